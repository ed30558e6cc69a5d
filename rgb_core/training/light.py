"""The environment light as something to optimise: positive, smooth, started from what the frames show of it."""

import math
from functools import lru_cache

import torch
from diff_envshade import texel_solid_angles

from ..scene.harmonics import irradiance

_START_STEPS, _START_RATE = 400, 0.02  # from grey to the light that explains an irradiance
_START_PRIOR = 0.02  # weight of staying grey against the squared log error of the irradiance
_DARKEST = 1e-6  # share of the mean that a texel has at least, so that its logarithm is finite


class LightParameters:
    """A map [3, H, W], L = level * softplus(raw) / softplus(0): constant where raw is 0.

    Args:
        raw: [3, H, W].
        level: [3] linear radiance.
    """

    def __init__(self, raw: torch.Tensor, level: torch.Tensor):
        self.raw = raw
        self.level = level

    @classmethod
    def of(cls, radiance: torch.Tensor) -> "LightParameters":
        """Those of a map [3, H, W], with its means as level; a black one, not known yet, becomes white of level 1."""
        level = radiance.mean((1, 2))
        if not bool(radiance.any()):
            return cls(torch.zeros_like(radiance), torch.ones_like(level))
        # The inverse of softplus, log(exp(y) - 1) = y + log(1 - exp(-y)).
        wanted = (radiance * math.log(2.0) / level.view(3, 1, 1)).clamp_min(_DARKEST)
        return cls(wanted + torch.log(-torch.expm1(-wanted)), level)

    def envmap(self) -> torch.Tensor:
        """Linear radiance [3, H, W]."""
        return self.level.view(3, 1, 1) / math.log(2.0) * torch.nn.functional.softplus(self.raw)

    @torch.no_grad()
    def scale(self, factor: torch.Tensor) -> None:
        """Multiply the light by `factor` [3], in place, so that recorded steps find it."""
        self.level.mul_(factor)

    def start_from(self, directions: torch.Tensor, wanted: torch.Tensor) -> None:
        """A map near grey whose irradiance over pi towards `directions` [N, 3] is near `wanted` [N, 3]."""
        with torch.enable_grad():
            self.raw.requires_grad_()
            optimiser = torch.optim.Adam([self.raw], lr=_START_RATE)
            for _ in range(_START_STEPS):
                optimiser.zero_grad()
                found = irradiance(self.envmap(), directions)
                error = (found.clamp_min(1e-3 * wanted.mean()) / wanted).log().square().mean()
                (error + _START_PRIOR * self.raw.square().mean()).backward()
                optimiser.step()
        self.raw = self.raw.detach()


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


def mean_radiance(envmap: torch.Tensor) -> torch.Tensor:
    """[3] mean over the sphere of a map [3, H, W]."""
    return (envmap * _texel_shares(*envmap.shape[1:], envmap.device)).sum((1, 2))
