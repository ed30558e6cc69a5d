"""How bright the skin is and how bright the light: what a clip leaves open, decided by what is known of both.

A picture stays the same when all albedos are multiplied by a colour and the light is divided by it; only gloss, whose
strength physics knows, tells the two apart. Everything here is a normal distribution of logarithms, so that what is
known adds up and the most likely level has a closed form.
"""

import math
from dataclasses import dataclass

import torch

from ..avatar import PosedGaussians
from ..heads.regions import Region
from .light import COLOUR_AXES, MEAN_DEVIATION, mean_radiance

# Human skin, mean albedo of the face: log colour of skin with little melanin, and what a unit of it changes.
_PALE = torch.tensor([0.75, 0.50, 0.38]).log()
_MELANIN = -torch.tensor([0.78, 1.0, 1.15])
_MELANIN_MEAN, _MELANIN_DEVIATION = 1.0, 0.8
_BLOOD = -torch.tensor([0.03, 0.15, 0.10])
_SKIN_DEVIATION = 0.12
# Mean radiance over the sphere of the light that a picture is exposed for: about half of display white, within 2.
_LIGHT_MEAN, _LIGHT_DEVIATION = math.log(0.5), 0.7
# The white of the eye and teeth: the brightest part of the Gaussians there.
_WHITES = {Region.EYEBALL: (0.62, 0.35), Region.TEETH: (0.65, 0.4)}
_WHITE_SHARE = (0.05, 0.2)


@dataclass(frozen=True)
class Level:
    """Which Gaussians say something about the level."""

    skin: torch.Tensor  # [S] index
    skin_mean: torch.Tensor  # [3]
    skin_precision: torch.Tensor  # [3, 3]
    light_precision: torch.Tensor  # [3, 3]
    whites: tuple[tuple[torch.Tensor, float, float], ...]  # index, log albedo, deviation

    @classmethod
    def of(cls, region: torch.Tensor) -> "Level":
        """By the head region [P] of every Gaussian."""
        skin = (region == Region.SKIN).nonzero()[:, 0]
        everywhere = torch.arange(len(region), device=region.device)
        whites = []
        for code, (albedo, deviation) in _WHITES.items():
            index = (region == code).nonzero()[:, 0]
            if len(index) >= 20:
                whites.append((index, math.log(albedo), deviation))
        mean, precision, of_light = (
            values.to(region.device) for values in (skin_mean(), skin_precision(), light_precision())
        )
        return cls(skin if len(skin) else everywhere, mean, precision, of_light, tuple(whites))

    def improbability(self, gaussians: PosedGaussians, envmap: torch.Tensor) -> torch.Tensor:
        """Half the squared deviations of skin, light and whites from what is known of them."""
        skin = self._skin(gaussians.albedo) - self.skin_mean
        light = mean_radiance(envmap).log() - _LIGHT_MEAN
        total = skin @ self.skin_precision @ skin + light @ self.light_precision @ light
        for value, wanted, deviation in self._whites(gaussians.albedo):
            total = total + ((value - wanted) / deviation).square()
        return total / 2

    def most_likely(self, albedo: torch.Tensor, radiance: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Log factor [3] of the albedo [P, 3], and divisor of the light of mean `radiance` [3], that together are most
        likely, and the covariance [3, 3] of what is known.
        """
        precision = self.skin_precision + self.light_precision
        pull = self.skin_precision @ (self.skin_mean - self._skin(albedo))
        pull = pull + self.light_precision @ (radiance.log() - _LIGHT_MEAN)
        grey = torch.full((3,), 1 / 3, device=albedo.device)
        for value, wanted, deviation in self._whites(albedo):
            precision = precision + grey[:, None] * grey / deviation**2
            pull = pull + grey * (wanted - value) / deviation**2
        return torch.linalg.solve(precision, pull), torch.linalg.inv(precision)

    def _skin(self, albedo: torch.Tensor) -> torch.Tensor:
        return albedo.index_select(0, self.skin).mean(0).log()

    def _whites(self, albedo: torch.Tensor) -> list[tuple[torch.Tensor, float, float]]:
        found = []
        for index, wanted, deviation in self.whites:
            ranked = albedo.index_select(0, index).mean(1).sort(descending=True).values
            first, last = (int(share * len(index)) for share in _WHITE_SHARE)
            found.append((ranked[first : last + 1].mean().log(), wanted, deviation))
        return found


def skin_mean() -> torch.Tensor:
    """[3] log albedo of the average face."""
    return _PALE + _MELANIN_MEAN * _MELANIN


def skin_precision() -> torch.Tensor:
    """[3, 3] inverse covariance of the log albedo of faces: melanin, blood, and what these do not explain."""
    melanin, blood = _MELANIN_DEVIATION * _MELANIN, _BLOOD
    covariance = melanin[:, None] * melanin + blood[:, None] * blood + _SKIN_DEVIATION**2 * torch.eye(3)
    return torch.linalg.inv(covariance)


def light_precision() -> torch.Tensor:
    """[3, 3] inverse covariance of the log of the light's mean radiance: exposure, and colour."""
    deviation = torch.tensor([_LIGHT_DEVIATION * 3**0.5, *MEAN_DEVIATION[1:]])
    return COLOUR_AXES.T @ torch.diag(deviation**-2) @ COLOUR_AXES
