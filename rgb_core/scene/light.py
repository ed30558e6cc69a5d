"""The light that falls on a head: an environment map and how it stands.

A map is float32 [3, H, W] of linear radiance, equirectangular. Row 0 is the zenith (+y), the seam lies on +x, columns
turn from +x towards +z, texel centres lie at (i + 0.5, j + 0.5).
"""

import math
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import lru_cache, partial
from pathlib import Path

import numpy as np
import torch
from diff_envshade import sample_envmap
from torch import Tensor

from ..errors import InputError, InputWarning, did_you_mean
from ..images.color import srgb_bytes_to_linear
from ..images.exr import open_exr
from ..images.hdr import open_hdr
from ..images.jpeg import open_jpeg
from ..images.png import open_png
from ..images.resize import overlap_weights, sparse_overlap, uniform_edges
from ..images.strips import Strips
from ..rotations import axis_angle_to_matrix
from ..tensors import to_device
from .builtin_lights import BUILTIN_LIGHTS, builtin_light
from .camera import Camera

_LACKING, _LACKING_SHARE = 2, 100
"""By how many columns, and one in how many, a map may miss being twice as wide as high."""
MOST_ROWS = 2048
"""Of a map: more than pictures of 1,000 pixels show of it as a background, and 64 times what lights a head."""
_BRIGHTEST_BYTE = 255
_BRIGHTEST = 1e12  # a thousand times the sun in candela per square metre; sums over a map stay finite


@dataclass(frozen=True, eq=False)
class Light:
    """Radiance from all directions, and how its map stands in the world."""

    radiance: Tensor
    """[3, H, W] the map."""
    turn: Tensor | None = None
    """[3, 3] rotation of the light after it was put where it stands; None for none."""
    carried: bool = False
    """Whether the camera carries the light: the axes of the map are then those of the camera, else of the world."""

    @classmethod
    def load(cls, name_or_file: str | Path) -> "Light":
        """A built-in light by name, or the map of an .hdr, .exr, .png or .jpg file; see `load_map`."""
        return cls(load_map(name_or_file))

    @property
    def size(self) -> tuple[int, int]:
        """Height and width of the map."""
        return self.radiance.shape[1], self.radiance.shape[2]

    def to(self, device: torch.device | str) -> "Light":
        """The same light on `device`."""
        return to_device(self, device)

    def rotated(self, yaw: float, pitch: float = 0.0) -> "Light":
        """The light raised by `pitch` radians and then turned by `yaw`; only how its map stands changes.

        Pitch turns about the world's -x: what came from +z, ahead of the face, comes from +y, above, at 90 degrees.
        Yaw turns about +y: what came from +z comes from +x, the head's left, at 90 degrees.
        """
        turn = axis_angle_to_matrix(torch.tensor([0.0, yaw, 0.0]))
        if pitch:
            turn = turn @ axis_angle_to_matrix(torch.tensor([-pitch, 0.0, 0.0]))
        turn = turn.to(self.radiance)
        return replace(self, turn=turn if self.turn is None else turn @ self.turn)

    def resampled(self, height: int, width: int) -> "Light":
        """The light with a map of another size and the same energy; see `resample`."""
        return replace(self, radiance=resample(self.radiance, height, width))

    def to_world(self, world_to_camera: Tensor) -> Tensor | None:
        """Rotation [3, 3] from the axes of the map to those of the world, for a camera [3, 4]; None for none."""
        if not self.carried:
            return self.turn
        carried = world_to_camera[:, :3].T.contiguous()
        return carried if self.turn is None else self.turn.to(carried) @ carried

    def background(self, camera: Camera) -> Tensor:
        """What `camera` sees of the light where nothing stands before it, [height, width, 3]."""
        rays = camera.ray_directions().to(self.radiance)
        to_world = self.to_world(camera.world_to_camera.to(self.radiance))
        return sample(self.radiance, rays if to_world is None else rays @ to_world)


def load_map(name_or_file: str | Path) -> Tensor:
    """A built-in map by name, or an .hdr, .exr, .png or .jpg (8-bit sRGB) file, as float32 [3, H, W].

    Negative texels, which resampling leaves beside bright lamps, become 0. A map that lacks a row or a column of being
    twice as wide as high is resampled, with an `InputWarning`. One of more than `MOST_ROWS` is averaged to that many
    while it is read, so that it takes the memory of the file and not of its texels.

    Raises:
        InputError: for an unknown name, an unreadable file, NaN or infinite texels, or a map not twice as wide as high.
    """
    name, path = str(name_or_file), Path(name_or_file)
    if name in BUILTIN_LIGHTS:
        return builtin_light(name)
    opened = MAP_READERS.get(path.suffix.lower())
    if opened is None:
        raise InputError(
            f"no light is called '{name}'{did_you_mean(name, BUILTIN_LIGHTS)}: use one of {', '.join(BUILTIN_LIGHTS)}, "
            f"or a file that ends in {', '.join(MAP_READERS)}"
        )
    strips = opened(path)
    height, width = strips.height, strips.width
    if abs(width - 2 * height) > min(_LACKING, width / _LACKING_SHARE):
        raise InputError(f"{path} is {width} x {height}; an equirectangular map is twice as wide as high")
    sound = replace(strips, parts=_sound(path, strips.parts))
    rows = min((width + 1) // 2, MOST_ROWS)
    if (height, width) == (rows, 2 * rows):
        return sound.whole().permute(2, 0, 1).contiguous()
    if width != 2 * height:
        message = f"{path} is {width} x {height}; it is taken for a panorama and resampled to {2 * rows} x {rows}"
        warnings.warn(message, InputWarning, stacklevel=2)
    by_row = sparse_overlap(_sine_edges(height), _sine_edges(rows))
    by_column = sparse_overlap(uniform_edges(width), uniform_edges(2 * rows))
    return sound.averaged(by_row, by_column).permute(2, 0, 1).contiguous()


def _sound(path: Path, parts: Iterator[tuple[int, np.ndarray]]) -> Iterator[tuple[int, np.ndarray]]:
    """Strips of texels that are not negative, and an error after the last where some were no light."""
    unusable, brightest = 0, 0.0
    for first, texels in parts:
        lowest, highest = float(texels.min()), float(texels.max())  # NaN where there is one
        if not math.isfinite(lowest + highest):
            unusable += int((~np.isfinite(texels)).any(-1).sum())
        brightest = max(brightest, highest)
        yield first, texels if lowest >= 0 else np.maximum(texels, 0)
    if unusable:
        raise InputError(f"{path} has {unusable} texels that are NaN or infinite; clip them to finite values first")
    if brightest > _BRIGHTEST:
        raise InputError(f"{path} has a texel of {brightest:.2g}, beyond {_BRIGHTEST:.0g}; scale the map down")


def _open_display(opened: Callable[[Path], Strips], path: Path) -> Strips:
    """Linear light of a file of sRGB bytes; a panorama's alpha means nothing.

    When all is read, an `InputWarning` says how much of it is as bright as a byte can be: a lamp there was brighter
    than the file tells.
    """
    strips = opened(path)
    return replace(strips, parts=_linear(path, strips))


def _linear(path: Path, strips: Strips) -> Iterator[tuple[int, np.ndarray]]:
    clipped = 0
    for first, pixels in strips.parts:
        colours = pixels[..., : 3 if pixels.shape[2] >= 3 else 1]
        clipped += int((colours == _BRIGHTEST_BYTE).any(-1).sum())
        linear = srgb_bytes_to_linear(torch.from_numpy(colours)).numpy()
        yield first, np.broadcast_to(linear, (*pixels.shape[:2], 3))
    if clipped:
        share = clipped / (strips.height * strips.width)
        message = (
            f"{path} holds 8 bits: {share:.1%} of its texels are at 255, and whatever was brighter there is lost; an "
            ".hdr or .exr of the place keeps its lamps"
        )
        warnings.warn(message, InputWarning, stacklevel=2)


MAP_READERS: dict[str, Callable[[Path], Strips]] = {
    ".hdr": open_hdr,
    ".exr": open_exr,
    ".png": partial(_open_display, open_png),
    ".jpg": partial(_open_display, open_jpeg),
    ".jpeg": partial(_open_display, open_jpeg),
}
"""Suffix -> reader of linear [H, W, 3], a strip at a time."""


def turn_map(radiance: Tensor, yaw: float) -> Tensor:
    """The map [3, H, W] of the light turned by `yaw` radians as `Light.rotated` does, for files, which only hold maps.

    A turn by a fraction of a texel splits every texel between two neighbours by area: each row keeps its energy.
    """
    width = radiance.shape[-1]
    shift = -yaw * width / (2 * math.pi)  # columns; azimuth runs from +x to +z, against a right-handed turn about +y
    whole = math.floor(shift)
    share = shift - whole
    rolled = radiance.roll(whole, -1)
    return torch.lerp(rolled, rolled.roll(1, -1), share)


def resample(radiance: Tensor, height: int, width: int) -> Tensor:
    """Average a map [3, H, W] over the solid angle of each new texel; larger maps repeat texels.

    The integral of radiance over the sphere is kept, for any ratio of sizes.
    """
    rows, columns = radiance.shape[1:]
    if (rows, columns) == (height, width):
        return radiance
    by_row, by_column = _weights(rows, columns, height, width, radiance.device)
    return (by_row @ radiance.double() @ by_column.T).to(radiance)


@lru_cache(maxsize=8)
def _weights(rows: int, columns: int, height: int, width: int, device: torch.device) -> tuple[Tensor, Tensor]:
    """How much of every old row and column, by solid angle, each new one takes; float64."""
    by_row = overlap_weights(_sine_edges(rows), _sine_edges(height))
    return by_row.to(device), overlap_weights(uniform_edges(columns), uniform_edges(width)).to(device)


def _sine_edges(rows: int) -> Tensor:
    """Row edges [rows + 1] measured by solid angle, 1 - sin(latitude) from 0 at the zenith to 2."""
    return 1 - torch.cos(math.pi * uniform_edges(rows))


def sample(radiance: Tensor, directions: Tensor) -> Tensor:
    """Bilinear radiance [..., 3] of a map from `directions` [..., 3] (any length), differentiable in the map.

    Columns wrap, rows clamp.
    """
    return sample_envmap(radiance, directions.reshape(-1, 3)).reshape(directions.shape)
