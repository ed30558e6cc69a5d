"""What is known about heads before the first picture: how shiny their parts are, and that skin is mostly even."""

from dataclasses import dataclass
from typing import NamedTuple

import torch
from scipy.spatial import cKDTree

from ..avatar import Avatar, PosedGaussians
from ..gathering import Gathering
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
    brightest: float
    """Largest albedo, of any channel."""


# Specular albedos multiply the 0.04 that the shading model reflects at normal incidence. Known there: skin 0.028 (index
# 1.4), the cornea 0.025, enamel 0.056, keratin 0.046, wet lips and gums between water's 0.02 and 0.04. Rough skin
# scatters some of it twice and its oil film shines more, hence ranges. Roughness of skin: two standard deviations about
# the population's mean (FLARE: 0.5 +- 0.1).
_SKIN = (0.3, 0.7), (0.6, 0.9)
# Largest albedos: the palest skin reflects 0.75 of red (level.py), the sclera about 0.62, enamel 0.65, wet gums and the
# tongue, which blood colours, half of red at most; and what single spots have beyond that.
_PARTS = (
    Part((Region.SKIN, Region.EAR), *_SKIN, 3.0, 0.6, 0.85),
    Part((Region.NECK, Region.OTHER), *_SKIN, 3.0, 0.0, 0.85),  # shoulders, often cut out of the matte, must vanish
    # Hair shines less than keratin: the mesh has no strands, and normals would lean to make up for it.
    Part((Region.SCALP,), (0.3, 0.8), (0.05, 0.6), 12.0, 0.0, 0.7),
    Part((Region.EYEBALL,), (0.1, 0.25), (0.6, 1.0), 0.2, 0.0, 0.75),
    Part((Region.EYE_SOCKET,), *_SKIN, 2.0, 0.6, 0.85),
    Part((Region.MOUTH,), (0.2, 0.5), (0.6, 1.0), 3.0, 0.6, 0.6),
    Part((Region.TEETH,), (0.1, 0.4), (0.7, 1.0), 1.5, 0.0, 0.8),
    Part((Region.LIPS,), (0.2, 0.6), (0.6, 1.0), 2.0, 0.6, 0.75),
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
    brightest: torch.Tensor
    """[P, 1] largest albedo."""
    hair: torch.Tensor
    """[P] 1 on hair, else 0."""

    @classmethod
    def of(cls, avatar: Avatar) -> "PartPriors":
        """The ranges of the avatar's Gaussians."""
        region = avatar.region()
        table = torch.zeros(len(Region), 7)
        for part in _PARTS:
            values = torch.tensor(
                [*part.roughness, *part.specular, MILLIMETRE * part.reach, part.floor, part.brightest]
            )
            table[list(part.regions)] = values
        rows = table.to(region.device)[region.long()]
        hair = (region == Region.SCALP).to(rows)
        return cls(rows[:, 0:2], rows[:, 2:4], rows[:, 4], rows[:, 5], rows[:, 6:7], hair)

    def materials(self, gaussians: PosedGaussians) -> torch.Tensor:
        """Mean squared excess of roughness and specular albedo over their ranges."""
        specular = gaussians.specular_albedo[:, 0]
        return _hinge(gaussians.roughness[:, 0], self.roughness) + _hinge(specular, self.specular)

    def too_bright(self, albedo: torch.Tensor) -> torch.Tensor:
        """Mean squared excess of albedos [P, 3] over what their parts can have."""
        return (albedo - self.brightest).clamp_min(0).square().mean()

    def opacity_floor(self, gaussians: PosedGaussians) -> torch.Tensor:
        """Mean squared lack of opacity below the parts' floors."""
        return (self.floor - gaussians.opacities[:, 0]).clamp_min(0).square().mean()

    def leaning(self, offset: torch.Tensor) -> dict[str, torch.Tensor]:
        """Squares of the offsets [P, 3] of normals by the names of their weights, those of hair apart from the rest."""
        squared = offset.square().mean(1)
        return {
            "normal_offset": (squared * (1 - self.hair)).mean(),
            "normal_offset_hair": (squared * self.hair).mean(),
        }


def usual_specular(region: torch.Tensor) -> torch.Tensor:
    """Specular albedo [P, 1] in the middle of the range of the head regions [P]."""
    middle = torch.zeros(len(Region))
    for part in _PARTS:
        middle[list(part.regions)] = sum(part.specular) / 2
    return middle.to(region.device)[region.long()][:, None]


def _hinge(value: torch.Tensor, bounds: torch.Tensor) -> torch.Tensor:
    below, above = (bounds[:, 0] - value).clamp_min(0), (value - bounds[:, 1]).clamp_min(0)
    return (below.square() + above.square()).mean()


class Pairs(NamedTuple):
    """M pairs of P Gaussians."""

    first: Gathering
    second: Gathering

    def differences(self, values: torch.Tensor) -> torch.Tensor:
        """[M, C] values [P, C] of the first less those of the second."""
        return self.first.rows(values) - self.second.rows(values)


def neighbours(surface: torch.Tensor, region: torch.Tensor) -> Pairs:
    """Gaussians of one head region that are attached near each other at `surface` [P, 3]."""
    points = surface.cpu().numpy()
    _, index = cKDTree(points).query(points, k=min(_NEIGHBOURS + 1, len(points)))
    first = torch.arange(len(points)).repeat_interleave(index.shape[1] - 1).to(region.device)
    second = torch.from_numpy(index[:, 1:]).flatten().to(region.device)
    alike = region[first] == region[second]
    return Pairs(Gathering(first[alike], len(points)), Gathering(second[alike], len(points)))


def albedo_smoothness(albedo: torch.Tensor, pairs: Pairs) -> torch.Tensor:
    """Mean robust (Charbonnier) difference of log albedo over `pairs`: edges cost little more than slopes."""
    difference = pairs.differences(torch.log(albedo + 0.02))
    return (difference.square().sum(1) + _ROBUST**2).sqrt().mean() - _ROBUST


def normal_smoothness(lean: torch.Tensor, pairs: Pairs) -> torch.Tensor:
    """Mean squared difference of how normals lean from the mesh's, [P, 3] in one space, over `pairs`."""
    return pairs.differences(lean).square().mean()


def opacity_entropy(opacity: torch.Tensor) -> torch.Tensor:
    """Mean binary entropy (nats): small when Gaussians are either there or not."""
    p = opacity.clamp(1e-4, 1 - 1e-4)
    return -(p * p.log() + (1 - p) * (1 - p).log()).mean()
