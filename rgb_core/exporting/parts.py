"""The parts of a head that exports tell apart."""

import torch

from ..heads.regions import Region, in_regions

PARTS = {"skin": (), "eyes": (Region.EYEBALL,), "teeth": (Region.TEETH,), "mouth": (Region.MOUTH,)}
"""Regions by part; all that belongs to no other is skin."""


def part_of(region: torch.Tensor) -> torch.Tensor:
    """Number of the part [N] int64 of region codes [N]."""
    part = torch.zeros_like(region, dtype=torch.int64)
    for number, regions in enumerate(PARTS.values()):
        if regions:
            part[in_regions(region, regions)] = number
    return part
