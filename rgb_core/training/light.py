"""The environment light as something to optimise: positive, smooth, and scaled by what skin looks like."""

import math
from functools import lru_cache

import torch
from diff_envshade import texel_solid_angles


class LightParameters:
    """A map [3, H, W], L = level * softplus(raw) / softplus(0): grey and constant where raw is 0."""

    def __init__(self, raw: torch.Tensor, level: float):
        self.raw = raw
        self.level = level

    def envmap(self) -> torch.Tensor:
        """Linear radiance [3, H, W]."""
        return self.level / math.log(2.0) * torch.nn.functional.softplus(self.raw)


def light_smoothness(envmap: torch.Tensor) -> torch.Tensor:
    """Mean absolute difference of log radiance between neighbouring texels, weighted by solid angle."""
    height, width = envmap.shape[1:]
    logarithm = torch.log(envmap + 1e-3 * envmap.mean().detach())
    weight = _texel_shares(height, width, envmap.device)
    across = (logarithm - logarithm.roll(1, 2)).abs()
    down = (logarithm[:, 1:] - logarithm[:, :-1]).abs()
    return (across * weight).sum() / 3 + (down * weight[:, 1:]).sum() / 3


@lru_cache(maxsize=8)
def _texel_shares(height: int, width: int, device: torch.device) -> torch.Tensor:
    """Share [1, H, W] of the sphere that each texel covers."""
    weight = texel_solid_angles(height, width).view(1, height, width)
    return (weight / weight.sum()).to(device)
