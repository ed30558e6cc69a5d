"""The pictures that scores and losses compare: colour on black, weighted by alpha in sRGB.

A dataset image stores straight sRGB bytes and a matte; on black it is their plain product, as published scores have it.
A rendering is linear and premultiplied, so it is divided by its alpha, encoded, and weighted by its alpha again.
"""

from torch import Tensor

from .color import linear_to_srgb

# Below this coverage a pixel contributes less than half an 8-bit step, so its straight colour need not be exact.
_LEAST_ALPHA = 1e-3


def truth_on_black(rgba: Tensor) -> Tensor:
    """Straight sRGB bytes uint8 [..., 4] -> float32 [..., 3], sRGB on black in 0 to 1."""
    return rgba[..., :3].float() * (rgba[..., 3:].float() / 255**2)


def prediction_on_black(color: Tensor, alpha: Tensor) -> Tensor:
    """A rendering as sRGB on black, unclamped, with finite gradients everywhere, alpha 0 included.

    Args:
        color: [..., 3] linear, premultiplied.
        alpha: [...] coverage in 0 to 1.
    """
    coverage = alpha[..., None].clamp_min(_LEAST_ALPHA)
    return linear_to_srgb(color / coverage) * coverage
