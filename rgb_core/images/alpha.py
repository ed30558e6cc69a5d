"""Straight alpha (files) and premultiplied alpha in linear light (everything inside)."""

import torch
from torch import Tensor

from .color import linear_to_srgb, srgb_bytes_to_linear, to_bytes


def premultiply(straight: Tensor) -> Tensor:
    """[..., 4] colour and alpha -> colour times alpha, and alpha."""
    return torch.cat([straight[..., :3] * straight[..., 3:], straight[..., 3:]], -1)


def unpremultiply(premultiplied: Tensor) -> Tensor:
    """The inverse of `premultiply`; colour is 0 where alpha is 0."""
    alpha = premultiplied[..., 3:]
    colour = torch.where(alpha > 0, premultiplied[..., :3] / alpha.clamp_min(torch.finfo(alpha.dtype).tiny), 0)
    return torch.cat([colour, alpha], -1)


def rgba_to_linear(rgba: Tensor) -> Tensor:
    """Straight sRGB bytes uint8 [..., 4] -> float32 [..., 4], linear and premultiplied."""
    alpha = rgba[..., 3:].float() / 255
    return torch.cat([srgb_bytes_to_linear(rgba[..., :3]) * alpha, alpha], -1)


def linear_to_rgba(image: Tensor) -> Tensor:
    """Linear premultiplied [..., 4] -> straight sRGB bytes uint8 [..., 4], clamped to what a byte holds."""
    straight = unpremultiply(image)
    return to_bytes(torch.cat([linear_to_srgb(straight[..., :3]), straight[..., 3:]], -1))
