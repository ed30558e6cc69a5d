"""What is known about heads before the first picture: how shiny their parts are, and that skin is mostly even."""

from collections.abc import Callable
from typing import NamedTuple

import torch
from frnn import frnn_grid_points
from simple_knn import mean_squared_distance
from training_kernels import Neighbours, Ranges, unevenness

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
    stiffness: float = 1.0
    """By which the offsets of normals are multiplied before they cost."""
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
    # They may lean more there than elsewhere, where the mesh is nearly right: measured.
    Part((Region.SCALP,), (0.3, 0.8), (0.05, 0.6), 12.0, 0.0, stiffness=0.55),
    Part((Region.EYEBALL,), (0.1, 0.25), (0.6, 1.0), 0.2, 0.6, density=8.0),
    Part((Region.EYE_SOCKET,), *_SKIN, 2.0, 0.6, density=4.0),
    Part((Region.MOUTH,), (0.2, 0.5), (0.6, 1.0), 3.0, 0.6),
    Part((Region.TEETH,), (0.1, 0.4), (0.7, 1.0), 1.5, 0.6, density=4.0),
    Part((Region.LIPS,), (0.2, 0.6), (0.6, 1.0), 2.0, 0.6, density=3.0),
)

_NEIGHBOURS, _REACH = 4, 4.0  # how many, and how far in units of the usual distance between Gaussians
_NO_DISTANCE = 1e-6  # metres; where all lie in one place, since a radius of 0 is none
_ROBUST = 0.1
_BLACK = 0.02  # added to albedos before their logarithm


def part_ranges(region: torch.Tensor, surface: torch.Tensor, largest_mm: float) -> Ranges:
    """What Gaussians of the head regions [P] that belong to points `surface` [P, 3] may be for nothing.

    Args:
        largest_mm: their longest axis.
    """
    table = torch.zeros(len(Region), 6)
    for part in _PARTS:
        values = torch.tensor([*part.roughness, *part.specular, MILLIMETRE * part.reach, part.floor])
        table[list(part.regions)] = values
    rows = table.to(region.device)[region.long()]
    bounds, reach, floor = rows[:, :4].contiguous(), rows[:, 4].contiguous(), rows[:, 5].contiguous()
    return Ranges(surface, reach, bounds, floor, MILLIMETRE, largest_mm)


def usual_specular(region: torch.Tensor) -> torch.Tensor:
    """Specular albedo [P, 1] in the middle of the range of the head regions [P]."""
    return _by_part(region, lambda part: sum(part.specular) / 2)


def usual_roughness(region: torch.Tensor) -> torch.Tensor:
    """Roughness [P, 1] in the middle of the range of the head regions [P]."""
    return _by_part(region, lambda part: sum(part.roughness) / 2)


def birth_density(region: torch.Tensor, forward: torch.Tensor) -> torch.Tensor:
    """Relative number [N] of Gaussians born in the head regions [N], whose normals have `forward` [N] along the face.

    Where it looks forward, an eye or a tooth gets its part's share more; behind, it is never seen.
    """
    return 1 + (_by_part(region, lambda part: part.density)[:, 0] - 1) * forward.clamp_min(0)


def stiffness(region: torch.Tensor) -> torch.Tensor:
    """[P, 1] by which offsets of normals of the head regions [P] are multiplied before they cost."""
    return _by_part(region, lambda part: part.stiffness)


def _by_part(region: torch.Tensor, value: Callable[[Part], float]) -> torch.Tensor:
    """A value of their parts for the head regions [P], [P, 1]."""
    table = torch.zeros(len(Region))
    for part in _PARTS:
        table[list(part.regions)] = value(part)
    return table.to(region.device)[region.long()][:, None]


def neighbours(surface: torch.Tensor, region: torch.Tensor) -> Neighbours:
    """Gaussians of one head region that are attached near each other at `surface` [P, 3].

    None of the eyes': they are white around a dark iris, on few pixels, which an even colour would hide.
    """
    reach = _REACH * mean_squared_distance(surface).mean().sqrt().clamp_min(_NO_DISTANCE)
    _, index, _, _ = frnn_grid_points(surface[None], surface[None], K=_NEIGHBOURS + 1, r=reach[None])
    first = torch.arange(len(surface), device=surface.device).repeat_interleave(_NEIGHBOURS + 1)
    second = index.flatten()
    found = (second >= 0) & (second != first)  # each is its own nearest
    first, second = first[found], second[found]
    alike = (region[first] == region[second]) & (region[first] != Region.EYEBALL)
    return _pairs(first[alike], second[alike], len(surface))


def _pairs(first: torch.Tensor, second: torch.Tensor, count: int) -> Neighbours:
    """Pairs of `count` Gaussians, `first` sorted."""

    def starts(index: torch.Tensor) -> torch.Tensor:
        return torch.nn.functional.pad(torch.bincount(index, minlength=count).cumsum(0), (1, 0))

    return Neighbours(first, second, starts(first), torch.argsort(second, stable=True), starts(second))


def albedo_smoothness(albedo: torch.Tensor, pairs: Neighbours) -> torch.Tensor:
    """Mean robust (Charbonnier) difference of log albedo over `pairs`: edges cost little more than slopes."""
    return unevenness(albedo, pairs, _BLACK, _ROBUST)
