"""Numbers as pictures: errors, normals and lights, uint8 [H, W, 3] for the report."""

import torch
from torch import Tensor

from ..images import linear_to_srgb, to_bytes

ERROR_RANGE = 0.25  # absolute error on the 0-1 scale that is drawn white
ANGLE_RANGE = 60.0  # degrees that are drawn white
_LIGHT_WIDTH = 256  # pixels
_BRIGHT_QUANTILE = 0.9  # of a light's texels lie below the level that is drawn nearly white


def heat(values: Tensor) -> Tensor:
    """[H, W] in 0 to 1 -> black, red, yellow, white."""
    return to_bytes(torch.stack([3 * values, 3 * values - 1, 3 * values - 2], -1))


def error_picture(prediction: Tensor, truth: Tensor) -> Tensor:
    """The largest absolute error of the channels of two pictures [H, W, 3]; white at ERROR_RANGE."""
    return heat((prediction - truth).abs().amax(-1) / ERROR_RANGE)


def angle_picture(angles: Tensor) -> Tensor:
    """[H, W] degrees; white at ANGLE_RANGE."""
    return heat(angles / ANGLE_RANGE)


def normal_picture(normal: Tensor, alpha: Tensor) -> Tensor:
    """World-space normals [H, W, 3] of any length as (n + 1) / 2, over black."""
    unit = torch.nn.functional.normalize(normal, dim=-1)
    return to_bytes((unit + 1) / 2 * alpha[..., None])


def light_picture(envmap: Tensor) -> Tensor:
    """[3, h, w] linear radiance, exposed so that all but its brightest tenth is drawn below white, in blocks."""
    level = torch.quantile(envmap.amax(0), _BRIGHT_QUANTILE).clamp_min(torch.finfo(envmap.dtype).tiny)
    width = envmap.shape[2]
    repeat = max(1, _LIGHT_WIDTH // width)
    picture = to_bytes(linear_to_srgb(envmap / level)).permute(1, 2, 0)
    return picture.repeat_interleave(repeat, 0).repeat_interleave(repeat, 1)
