"""The environment light as something to optimise: as likely as lights are that people are seen under.

The logarithm of natural illumination is close to a random field on the sphere whose power falls with the square of the
degree of its spherical harmonics, in brightness far more than in colour (Dror, Willsky and Adelson 2004 found the power
law; the variances here are those of the built-in lights and of the environments that the shared subjects are relit
under, `benchmarks/natural_light.py`). A map is that field filtered from independent unit normal numbers, so that

- the prior is the mean square of these numbers,
- one step of all of them changes the coarse structure most: the light is found from coarse to fine.
"""

import math
from functools import lru_cache

import torch
from diff_envshade import texel_directions, texel_solid_angles

from ..scene.harmonics import irradiance

# Orthonormal directions of log colour: brightness, warm to cold, green to magenta.
COLOUR_AXES = torch.nn.functional.normalize(torch.tensor([[1.0, 1, 1], [1, 0, -1], [1, -2, 1]]), dim=1)
# Variance per coefficient of degree 1 along every axis; degree l has the l-squared part of it.
POWER = (6.0, 0.17, 0.006)
# Standard deviation of the mean over the sphere along every axis.
MEAN_DEVIATION = (1.0, 0.28, 0.09)
_START_STEPS, _START_RATE, _START_PRIOR = 400, 0.02, 0.02  # from grey to the light that explains an irradiance
_MOST = 12.0  # log of the radiance over the level, where a float32 still has room for its square


class LightParameters:
    """A map exp(log level + field), whose field is filtered from `raw`: grey and constant where raw is 0.

    Args:
        raw: [3, H, W] independent numbers along COLOUR_AXES.
        level: [3] linear radiance.
    """

    def __init__(self, raw: torch.Tensor, level: torch.Tensor):
        self.raw = raw
        self.level = level
        self._filters = [matrix.to(raw.device) for matrix in field_filters(*raw.shape[1:])]
        self._axes = COLOUR_AXES.to(raw.device)

    def envmap(self) -> torch.Tensor:
        """Linear radiance [3, H, W]."""
        field = torch.stack([kernel @ axis for kernel, axis in zip(self._filters, self.raw.flatten(1), strict=True)])
        return (self.level[:, None] * (self._axes.T @ field).clamp_max(_MOST).exp()).view_as(self.raw)

    @torch.no_grad()
    def scale(self, factor: torch.Tensor) -> None:
        """Multiply the light by `factor` [3], in place, so that recorded steps find it."""
        self.level.mul_(factor)

    def start_from(self, directions: torch.Tensor, wanted: torch.Tensor) -> None:
        """The most likely map whose irradiance over pi towards `directions` [N, 3] is near `wanted` [N, 3]."""
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


@lru_cache(maxsize=4)
def field_filters(height: int, width: int) -> tuple[torch.Tensor, ...]:
    """For every colour axis the symmetric square root [H W, H W] of the covariance of log radiance at the texels."""
    directions = texel_directions(height, width, torch.float64)
    cosine = (directions @ directions.T).clamp(-1, 1)
    top = height - 1
    polynomials = [torch.ones_like(cosine), cosine]
    for at in range(2, top + 1):
        polynomials.append(((2 * at - 1) * cosine * polynomials[-1] - (at - 1) * polynomials[-2]) / at)
    shape = sum((2 * at + 1) / (4 * math.pi * at**2) * polynomials[at] for at in range(1, top + 1))
    filters = []
    for power, deviation in zip(POWER, MEAN_DEVIATION, strict=True):
        values, vectors = torch.linalg.eigh(power * shape + deviation**2)
        filters.append(((vectors * values.clamp_min(0).sqrt()) @ vectors.T).float())
    return tuple(filters)


def light_improbability(raw: torch.Tensor) -> torch.Tensor:
    """Mean square of a light's independent numbers: 1 for the lights that the statistics are of."""
    return raw.square().mean()


@lru_cache(maxsize=8)
def _texel_shares(height: int, width: int, device: torch.device) -> torch.Tensor:
    """Share [1, H, W] of the sphere that each texel covers."""
    weight = texel_solid_angles(height, width).view(1, height, width)
    return (weight / weight.sum()).to(device)


def mean_radiance(envmap: torch.Tensor) -> torch.Tensor:
    """[3] mean over the sphere of a map [3, H, W]."""
    return (envmap * _texel_shares(*envmap.shape[1:], envmap.device)).sum((1, 2))
