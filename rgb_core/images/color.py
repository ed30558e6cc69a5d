"""The sRGB transfer curve (IEC 61966-2-1) between encoded images and linear light, differentiable everywhere."""

import torch
from torch import Tensor

_ENCODED_KNEE = 0.04045
_LINEAR_KNEE = 0.0031308
_SLOPE = 12.92
_OFFSET = 0.055
_EXPONENT = 2.4


def srgb_to_linear(encoded: Tensor) -> Tensor:
    """Decode sRGB values (0 to 1, any shape, any float dtype); linear below 0, the same curve above 1."""
    upper = encoded.clamp_min(_ENCODED_KNEE)  # keeps the unused branch of `where` free of NaN gradients
    power = ((upper + _OFFSET) / (1 + _OFFSET)) ** _EXPONENT
    return torch.where(encoded <= _ENCODED_KNEE, encoded / _SLOPE, power)


def linear_to_srgb(linear: Tensor) -> Tensor:
    """Encode linear light (any shape, any float dtype); nothing is clamped, so that every value keeps a gradient.

    Below 0 the linear foot of the curve continues (slope 12.92), above 1 the power law does.
    """
    upper = linear.clamp_min(_LINEAR_KNEE)
    power = (1 + _OFFSET) * upper ** (1 / _EXPONENT) - _OFFSET
    return torch.where(linear <= _LINEAR_KNEE, linear * _SLOPE, power)


_DECODED_BYTES = srgb_to_linear(torch.arange(256, dtype=torch.float64) / 255).float()


def srgb_bytes_to_linear(encoded: Tensor) -> Tensor:
    """Decode 8-bit sRGB (uint8, any shape) to float32 linear light by table."""
    return _DECODED_BYTES.to(encoded.device)[encoded.int()]


def to_bytes(image: Tensor) -> Tensor:
    """Round values of 0 to 1 (clamped) to uint8, the nearest of 255 steps.

    Raises:
        ValueError: when a value is NaN, which no byte can stand for.
    """
    if torch.isnan(image).any():
        raise ValueError("the image has NaN values")
    return (image.detach().clamp(0, 1) * 255 + 0.5).to(torch.uint8)
