"""What pictures say beyond landmarks: every point of the face keeps its local contrast while the head moves."""

import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d, grid_sample, interpolate, pad

from ...heads import HeadModel
from ...heads.regions import Region, in_regions
from ...progress import Progress
from .. import landmarks
from ..detect.correspondence import Correspondence
from ..detect.video_stream import Video
from .deviations import Deviations
from .evidence import Linearised, robust
from .observations import Observations, facing
from .rig import Rig
from .state import State, project, project_with_derivatives

_SIDE = 144  # pixels of a window
_REACH = 1.7  # of the face's size: side of a window
_BLUR = 6  # pixels: contrast is what differs from the mean over a square of this radius
_LEAST_CONTRAST = 0.02  # sRGB; noise of a flat area must not become texture
_LARGEST = 3.0  # in local standard deviations
_POINTS = 1600  # of the head's surface
_CHUNK = 64  # frames sampled at a time


class Windows:
    """Local contrast around the face in every frame of a clip.

    Attributes:
        contrast: float16 [N, S, S]. origin: [N, 2] of a window in pixels of the video. scale: window pixels per those.
    """

    def __init__(self, video: Video, observations: Observations, progress: Progress):
        """Decode the frames once and keep what is around the face."""
        points = observations.points[..., :2]
        known = observations.known()
        side = _REACH * float(landmarks.face_sizes(points[known]).median())
        self.scale = _SIDE / side
        middle = observations.filled(points[known].mean(1))
        self.origin = (middle - side / 2).round()
        numbers = {int(number): row for row, number in enumerate(observations.times)}
        self.contrast = torch.zeros(len(numbers), _SIDE, _SIDE, dtype=torch.float16)
        progress.start("looking at the face", len(numbers))
        for number, picture in video.frames(min(numbers), max(numbers) + 1):
            if number in numbers:
                row = numbers[number]
                self.contrast[row] = _contrast(_cut(picture, self.origin[row], round(side))).half()
                progress.advance()


def _cut(picture: Tensor, origin: Tensor, side: int) -> Tensor:
    """[S, S] luma of 0 to 1 in the square of `side` pixels at `origin` (x, y); the border is repeated outside."""
    height, width, _ = picture.shape
    left, top = (int(value) for value in origin)
    box = picture[max(top, 0) : max(top + side, 0), max(left, 0) : max(left + side, 0)].float()
    luma = box @ torch.tensor([0.299, 0.587, 0.114]) / 255
    missing = (max(-left, 0), max(left + side - width, 0), max(-top, 0), max(top + side - height, 0))
    return interpolate(pad(luma[None, None], missing, mode="replicate"), (_SIDE, _SIDE), mode="area")[0, 0]


def _contrast(luma: Tensor) -> Tensor:
    """Luma [S, S] in local standard deviations from the local mean, which shading hardly changes."""

    def mean(values: Tensor) -> Tensor:
        for _ in range(2):
            values = avg_pool2d(values[None, None], 2 * _BLUR + 1, 1, _BLUR, count_include_pad=False)[0, 0]
        return values

    away = luma - mean(luma)
    return (away / (mean(away.square()).sqrt() + _LEAST_CONTRAST)).clamp(-_LARGEST, _LARGEST)


class PhotometricEvidence:
    """Contrast of surface points against its mean over the clip, at the windows' scale divided by `coarseness`."""

    def __init__(
        self, head: HeadModel, base: Rig, windows: Windows, observations: Observations, deviations: Deviations
    ):
        self._rig = Rig(head, _surface_points(head), base.center)
        self._windows, self._deviations = windows, deviations
        self._center = torch.tensor(observations.size, dtype=torch.float64) / 2
        self._known = observations.known()
        self._contrast, self._scale = windows.contrast, windows.scale

    def look(self, state: State, coarseness: int) -> None:
        """Take the mean contrast of every point, and which frames show it, from a state."""
        windows = self._windows
        self._contrast = avg_pool2d(windows.contrast.float()[:, None], coarseness)[:, 0].half()
        self._scale = windows.scale / coarseness
        weight = facing(self._rig, state, hidden=0.0) * self._known[:, None]
        values = torch.cat(
            [self._sample(project(self._rig, state, rows)[0], rows)[..., 0] for rows in _rows(len(weight))]
        )
        self._mean = (weight * values).sum(0) / weight.sum(0).clamp_min(1e-6)
        self._visible = weight * self._deviations.photometric_evidence

    def cost(self, state: State, rows: slice) -> Tensor:
        """[] robust norm of the differences from the mean."""
        seen, camera = project(self._rig, state, rows)
        if bool((camera[..., 2] <= 0).any()):
            return torch.tensor(torch.inf, dtype=torch.float64)
        residual = self._residual(self._sample(seen, rows))
        return (self._visible[rows] * robust(residual.square(), self._deviations.robust)[0]).sum()

    def linearise(self, state: State, rows: slice) -> Linearised:
        """One row for every point."""
        seen = project_with_derivatives(self._rig, state, rows)
        sampled = self._sample(seen.pixels, rows)
        residual = self._residual(sampled)
        weight = self._visible[rows] * robust(residual.square(), self._deviations.robust)[1]
        slope = sampled[..., 1:].float() * (self._scale / self._deviations.contrast)
        jacobian = (slope[..., None, :] @ seen.jacobian)[..., 0, :]
        return Linearised(jacobian, residual[..., None].float(), weight[..., None].float())

    def _residual(self, sampled: Tensor) -> Tensor:
        return (sampled[..., 0] - self._mean) / self._deviations.contrast

    def _sample(self, seen: Tensor, rows: slice) -> Tensor:
        """[B, M, 3] contrast and its slope per window pixel at points [B, M, 2] from the principal point."""
        picture = self._contrast[rows].float()
        slope_x = pad(picture[:, :, 2:] - picture[:, :, :-2], (1, 1)) / 2
        slope_y = pad(picture[:, 2:] - picture[:, :-2], (0, 0, 1, 1)) / 2
        places = (seen + self._center - self._windows.origin[rows, None]) * self._scale
        grid = (2 * places / picture.shape[-1] - 1).float()[:, :, None]
        channels = torch.stack([picture, slope_x, slope_y], 1)
        return grid_sample(channels, grid, padding_mode="border", align_corners=False)[..., 0].mT.double()


def _surface_points(head: HeadModel) -> Correspondence:
    """Vertices of the skin and lips above the chin, a fixed random choice."""
    chin = head.vertices[head.landmarks68, 1].amin() if head.landmarks68 is not None else head.vertices[:, 1].median()
    allowed = in_regions(head.region, (Region.SKIN, Region.LIPS)) & (head.vertices[:, 1] > chin)
    vertices = allowed.nonzero()[:, 0]
    order = torch.randperm(len(vertices), generator=torch.Generator().manual_seed(0))[:_POINTS]
    corners = vertices[order.sort().values, None].expand(-1, 3)
    weights = torch.tensor([1.0, 0.0, 0.0]).expand(len(corners), 3)
    return Correspondence(corners, weights, torch.zeros(5, len(corners), 3).double())


def _rows(count: int) -> list[slice]:
    return [slice(first, min(first + _CHUNK, count)) for first in range(0, count, _CHUNK)]
