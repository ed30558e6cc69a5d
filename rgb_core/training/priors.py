"""What is known about heads before the first picture: how shiny their parts are, and that skin is mostly even."""

from dataclasses import dataclass
from typing import NamedTuple

import torch
from gaussian_blendshapes import weighted_segment_sum
from scipy.spatial import cKDTree

from ..avatar import Avatar, PosedGaussians
from ..heads.regions import Region
from ..units import MILLIMETRE


class Part(NamedTuple):
    """What is known about one part of a head."""

    regions: tuple[Region, ...]
    """Regions of the head model that it is."""
    roughness: tuple[float, float]
    """Least and largest roughness."""
    specular: tuple[float, float]
    """Least and largest specular albedo."""
    reach: float
    """How far Gaussians may stand above the surface, mm."""
    floor: float
    """Least opacity; nothing shines through skin, but hair has gaps."""
    density: float = 1.0
    """How many times as many Gaussians are born where it faces forward: small parts that people look at."""


# Specular albedos multiply the 0.04 that the shading model reflects at normal incidence. Known there: skin 0.028 (index
# 1.4), the cornea 0.025, enamel 0.056, keratin 0.046, wet lips and gums between water's 0.02 and 0.04. Rough skin
# scatters some of it twice and its oil film shines more, hence ranges. Roughness of skin: two standard deviations about
# the population's mean (FLARE: 0.5 +- 0.1).
_SKIN = (0.3, 0.7), (0.6, 0.9)
_PARTS = (
    Part((Region.SKIN, Region.EAR), *_SKIN, 3.0, 0.6),
    Part((Region.NECK, Region.OTHER), *_SKIN, 3.0, 0.0),  # shoulders, often cut out of the matte, must vanish
    # Hair shines less than keratin: the mesh has no strands, and normals would lean to make up for it.
    Part((Region.SCALP,), (0.3, 0.8), (0.05, 0.6), 12.0, 0.0),
    Part((Region.EYEBALL,), (0.1, 0.25), (0.6, 1.0), 0.2, 0.6, density=8.0),
    Part((Region.EYE_SOCKET,), *_SKIN, 2.0, 0.6, density=4.0),
    Part((Region.MOUTH,), (0.2, 0.5), (0.6, 1.0), 3.0, 0.6),
    Part((Region.TEETH,), (0.1, 0.4), (0.7, 1.0), 1.5, 0.6, density=4.0),
    Part((Region.LIPS,), (0.2, 0.6), (0.6, 1.0), 2.0, 0.6, density=3.0),
)

_NEIGHBOURS = 4
_ROBUST = 0.1


@dataclass(frozen=True)
class PartPriors:
    """Ranges per Gaussian, looked up by the head region it is attached to."""

    roughness: torch.Tensor
    """[P, 2]."""
    specular: torch.Tensor
    """[P, 2]."""
    reach: torch.Tensor
    """[P] metres above the surface."""
    floor: torch.Tensor
    """[P] least opacity."""

    @classmethod
    def of(cls, avatar: Avatar) -> "PartPriors":
        """The ranges of the avatar's Gaussians."""
        region = avatar.region()
        table = torch.zeros(len(Region), 6)
        for part in _PARTS:
            values = torch.tensor([*part.roughness, *part.specular, MILLIMETRE * part.reach, part.floor])
            table[list(part.regions)] = values
        rows = table.to(region.device)[region.long()]
        return cls(rows[:, 0:2], rows[:, 2:4], rows[:, 4], rows[:, 5])

    def materials(self, gaussians: PosedGaussians) -> torch.Tensor:
        """Mean squared excess of roughness and specular albedo over their ranges."""
        specular = gaussians.specular_albedo[:, 0]
        return _hinge(gaussians.roughness[:, 0], self.roughness) + _hinge(specular, self.specular)

    def opacity_floor(self, gaussians: PosedGaussians) -> torch.Tensor:
        """Mean squared lack of opacity below the parts' floors."""
        return (self.floor - gaussians.opacities[:, 0]).clamp_min(0).square().mean()


def usual_materials(region: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Roughness and specular albedo [P, 1] in the middle of the ranges of the head regions [P]."""
    table = torch.zeros(len(Region), 2)
    for part in _PARTS:
        table[list(part.regions)] = torch.tensor([sum(part.roughness) / 2, sum(part.specular) / 2])
    return table.to(region.device)[region.long()].split(1, dim=1)


def birth_density(region: torch.Tensor, forward: torch.Tensor) -> torch.Tensor:
    """Relative number [N] of Gaussians born in the head regions [N], whose normals have `forward` [N] along the face.

    Where it looks forward, an eye or a tooth gets its part's share more; behind, it is never seen.
    """
    table = torch.ones(len(Region))
    for part in _PARTS:
        table[list(part.regions)] = part.density
    return 1 + (table[region.long()] - 1) * forward.clamp_min(0)


def _hinge(value: torch.Tensor, bounds: torch.Tensor) -> torch.Tensor:
    below, above = (bounds[:, 0] - value).clamp_min(0), (value - bounds[:, 1]).clamp_min(0)
    return (below.square() + above.square()).mean()


@dataclass(frozen=True)
class Pairs:
    """M pairs of P Gaussians, sorted by the first."""

    first: torch.Tensor
    """[M] int64."""
    second: torch.Tensor
    """[M] int64."""
    first_offsets: torch.Tensor
    """[P + 1]: the pairs whose first is p."""
    by_second: torch.Tensor
    """[M] the pairs sorted by the second."""
    second_offsets: torch.Tensor
    """[P + 1]: the places in `by_second` of those whose second is p."""

    @classmethod
    def of(cls, first: torch.Tensor, second: torch.Tensor, count: int) -> "Pairs":
        """Pairs of `count` Gaussians, `first` sorted."""

        def starts(index: torch.Tensor) -> torch.Tensor:
            return torch.nn.functional.pad(torch.bincount(index, minlength=count).cumsum(0), (1, 0))

        return cls(first, second, starts(first), torch.argsort(second, stable=True), starts(second))


class _Differences(torch.autograd.Function):
    """values[first] - values[second], whose gradient adds in a fixed order, unlike that of indexing on a GPU."""

    @staticmethod
    def forward(ctx, values, pairs):
        ctx.pairs = pairs
        return values[pairs.first] - values[pairs.second]

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx, gradient):
        pairs, ones = ctx.pairs, torch.ones_like(gradient[:, 0])
        out = weighted_segment_sum(gradient, ones, pairs.first_offsets)
        return out - weighted_segment_sum(gradient[pairs.by_second], ones, pairs.second_offsets), None


def neighbours(surface: torch.Tensor, region: torch.Tensor) -> Pairs:
    """Gaussians of one head region that are attached near each other at `surface` [P, 3].

    None of the eyes': they are white around a dark iris, and few enough pixels to lose that to an even colour.
    """
    points = surface.cpu().numpy()
    _, index = cKDTree(points).query(points, k=min(_NEIGHBOURS + 1, len(points)))
    first = torch.arange(len(points)).repeat_interleave(index.shape[1] - 1).to(region.device)
    second = torch.from_numpy(index[:, 1:]).flatten().to(region.device)
    alike = (region[first] == region[second]) & (region[first] != Region.EYEBALL)
    return Pairs.of(first[alike], second[alike], len(points))


def albedo_smoothness(albedo: torch.Tensor, pairs: Pairs) -> torch.Tensor:
    """Mean robust (Charbonnier) difference of log albedo over `pairs`: edges cost little more than slopes."""
    difference = _Differences.apply(torch.log(albedo + 0.02), pairs)
    return (difference.square().sum(1) + _ROBUST**2).sqrt().mean() - _ROBUST


def opacity_entropy(opacity: torch.Tensor) -> torch.Tensor:
    """Mean binary entropy (nats): small when Gaussians are either there or not."""
    p = opacity.clamp(1e-4, 1 - 1e-4)
    return -(p * p.log() + (1 - p) * (1 - p).log()).mean()
