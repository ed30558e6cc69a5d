"""Environment maps: float32 [3, H, W] linear radiance, equirectangular.

Row 0 is the zenith (+y), the seam lies on +x, columns turn from +x towards +z; texel centres at (i + 0.5, j + 0.5).
"""

import math
from pathlib import Path

import torch
from diff_envshade import sample_envmap
from torch import Tensor

from ..errors import InputError
from ..images.color import srgb_to_linear
from ..images.exr import read_exr
from ..images.hdr import read_hdr
from ..images.png import read_png
from ..images.resize import overlap_weights, uniform_edges
from .builtin_lights import BUILTIN_LIGHTS, builtin_light
from .camera import Camera

_SUFFIXES = (".hdr", ".exr", ".png")


def load(name_or_file: str | Path) -> Tensor:
    """A built-in light by name, or an .hdr, .exr or .png (8-bit sRGB) file, as float32 [3, H, W].

    Negative texels, which resampling leaves beside bright lamps, become 0.

    Raises:
        InputError: for an unknown name, an unreadable file, NaN or infinite texels, or a map not twice as wide as high.
    """
    path = Path(name_or_file)
    if str(name_or_file) in BUILTIN_LIGHTS:
        return builtin_light(str(name_or_file))
    suffix = path.suffix.lower()
    if suffix not in _SUFFIXES:
        raise InputError(
            f"no light is called '{name_or_file}': use one of {', '.join(BUILTIN_LIGHTS)}, "
            f"or a file that ends in {', '.join(_SUFFIXES)}"
        )
    if suffix == ".png":
        image = read_png(path)
        colours = 3 if image.shape[-1] >= 3 else 1  # a panorama's alpha means nothing
        image = srgb_to_linear(image[..., :colours]).expand(-1, -1, 3)
    else:
        image = read_hdr(path) if suffix == ".hdr" else read_exr(path)
    height, width, _ = image.shape
    if width != 2 * height:
        raise InputError(f"{path} is {width} x {height}; an equirectangular map is twice as wide as high")
    if not torch.isfinite(image).all():
        count = int((~torch.isfinite(image)).any(-1).sum())
        raise InputError(f"{path} has {count} texels that are NaN or infinite; clip them to finite values first")
    return image.clamp_min(0).permute(2, 0, 1).contiguous()


def rotate(envmap: Tensor, yaw: float) -> Tensor:
    """Turn the light by `yaw` radians about +y, right-handed: what came from +z then comes from +x at a quarter turn.

    A turn by a fraction of a texel splits every texel between two neighbours by area: each row keeps its energy.
    """
    width = envmap.shape[-1]
    shift = -yaw * width / (2 * math.pi)  # columns; azimuth runs from +x to +z, against a right-handed turn about +y
    whole = math.floor(shift)
    share = shift - whole
    rolled = envmap.roll(whole, -1)
    return torch.lerp(rolled, rolled.roll(1, -1), share)


def resample(envmap: Tensor, height: int, width: int) -> Tensor:
    """Average [3, H, W] over the solid angle of each new texel; larger maps repeat texels.

    The integral of radiance over the sphere is kept, for any ratio of sizes.
    """
    rows, columns = envmap.shape[1:]
    if (rows, columns) == (height, width):
        return envmap
    by_row = overlap_weights(_sine_edges(rows), _sine_edges(height))
    by_column = overlap_weights(uniform_edges(columns), uniform_edges(width))
    return (by_row @ envmap.double().cpu() @ by_column.T).to(envmap)


def _sine_edges(rows: int) -> Tensor:
    """Row edges [rows + 1] measured by solid angle, 1 - sin(latitude) from 0 at the zenith to 2."""
    return 1 - torch.cos(math.pi * uniform_edges(rows))


def sample(envmap: Tensor, directions: Tensor) -> Tensor:
    """Bilinear radiance [..., 3] that arrives from `directions` [..., 3] (any length), differentiable in `envmap`.

    Columns wrap, rows clamp.
    """
    return sample_envmap(envmap, directions.reshape(-1, 3)).reshape(directions.shape)


def background(envmap: Tensor, camera: Camera) -> Tensor:
    """The environment [height, width, 3] that `camera` sees where nothing stands before it."""
    return sample(envmap, camera.ray_directions().to(envmap))
