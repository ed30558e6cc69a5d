"""Numbers as pictures: errors, normals and lights, uint8 [H, W, 3] for the report."""

import torch
from diff_envshade import integrate
from torch import Tensor

from ..images import linear_to_srgb, to_bytes

ERROR_RANGE = 0.25  # absolute error on the 0-1 scale that is drawn white
ANGLE_RANGE = 60.0  # degrees that are drawn white
_LIGHT_WIDTH = 256  # pixels
_BALL_SIZE, _BALL_ALBEDO, _BALL_ROUGHNESS, _BALL_MEAN = 128, 0.4, 0.3, 0.25
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


def white_level(envmap: Tensor) -> Tensor:
    """The radiance of [3, h, w] that is to be drawn white, so that all but the brightest tenth lies below."""
    return torch.quantile(envmap.amax(0), _BRIGHT_QUANTILE).clamp_min(torch.finfo(envmap.dtype).tiny)


def ball_picture(envmap: Tensor) -> Tensor:
    """A ball of grey skin-like plastic that looks along -z at whoever looks at it, lit by [3, h, w] alone.

    Exposed for itself: two balls compare colour and direction of two lights, not their level.
    """
    axis = torch.linspace(-1, 1, _BALL_SIZE)
    y, x = torch.meshgrid(-axis, axis, indexing="ij")
    inside = x**2 + y**2 < 1
    normals = torch.stack([x, y, (1 - x**2 - y**2).clamp_min(0).sqrt()], -1)[inside].contiguous()
    views = torch.tensor([0.0, 0.0, 1.0]).expand_as(normals).contiguous()
    rough = torch.full((len(normals), 1), _BALL_ROUGHNESS)
    diffuse, gloss = integrate(normals, views, rough, envmap.contiguous())
    radiance = _BALL_ALBEDO * diffuse + gloss
    picture = torch.zeros(*inside.shape, 3)
    picture[inside] = linear_to_srgb(radiance * (_BALL_MEAN / radiance.mean()))
    return to_bytes(picture)


def light_picture(envmap: Tensor, level: Tensor) -> Tensor:
    """[3, h, w] linear radiance over the `level` that is drawn white, in blocks."""
    width = envmap.shape[2]
    repeat = max(1, _LIGHT_WIDTH // width)
    picture = to_bytes(linear_to_srgb(envmap / level)).permute(1, 2, 0)
    return picture.repeat_interleave(repeat, 0).repeat_interleave(repeat, 1)
