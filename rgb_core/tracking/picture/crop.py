"""The part of the video that becomes the dataset's pictures: a window around the head, scaled down where large."""

from dataclasses import dataclass

import torch
from torch import Tensor

from ...images import downsample
from ...scene import Camera

_MARGIN = 0.22  # of the head's extent: hair, and motion between the frames looked at
_EVEN = 2  # pixels; videos made from the pictures need even sides


@dataclass(frozen=True)
class Crop:
    """A window (left, top, width, height) of the video's pixels and the size (width, height) that it is scaled to."""

    window: tuple[int, int, int, int]
    size: tuple[int, int]

    def picture(self, frame: Tensor) -> Tensor:
        """uint8 [h, w, 3] of a video frame uint8 [H, W, 3]."""
        left, top, width, height = self.window
        cut = frame[top : top + height, left : left + width]
        if (width, height) == self.size:
            return cut.contiguous()
        return downsample(cut.float(), *self.size).round().clamp(0, 255).byte()

    def points(self, pixels: Tensor) -> Tensor:
        """Pixels of the picture [..., 2] of pixels of the video."""
        left, top, width, height = self.window
        scale = torch.tensor([self.size[0] / width, self.size[1] / height]).to(pixels)
        return (pixels - torch.tensor([left, top]).to(pixels)) * scale

    def camera(self, focal: float, video: tuple[int, int], world_to_camera: Tensor) -> Camera:
        """The camera of the pictures, given the video's focal length and size in pixels."""
        left, top, width, height = self.window
        across, down = self.size[0] / width, self.size[1] / height
        center = ((video[0] / 2 - left) * across, (video[1] / 2 - top) * down)
        return Camera((focal * across, focal * down, *center), world_to_camera.float(), *self.size)


def crop_around(outline: Tensor, video: tuple[int, int], longest: int) -> Crop:
    """The window around head outlines [..., 2] in pixels of a video (width, height), at most `longest` pixels a side.

    Square where the video is large enough; never larger than the video, and never scaled up.
    """
    points = outline.reshape(-1, 2).double()
    low, high = points.amin(0), points.amax(0)
    middle, extent = (low + high) / 2, high - low
    side = float(extent.max()) * (1 + 2 * _MARGIN)
    window = []
    for axis in range(2):
        length = min(round(side / _EVEN) * _EVEN, video[axis])
        start = round(float(middle[axis]) - length / 2)
        window.append((min(max(start, 0), video[axis] - length), length))
    (left, width), (top, height) = window
    scale = min(1.0, longest / max(width, height))
    size = tuple(
        max(_EVEN, round(length * scale / _EVEN) * _EVEN) if scale < 1 else length for length in (width, height)
    )
    return Crop((left, top, width, height), (size[0], size[1]))
