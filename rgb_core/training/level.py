"""How bright the skin is and how bright the light: what a clip leaves open, decided by what is known of both.

A picture stays the same when all albedos are multiplied by a colour and the light is divided by it; only gloss, whose
strength physics knows, tells the two apart. Everything here is a normal distribution of logarithms, so that what is
known adds up and the most likely level has a closed form.
"""

import math
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch

from ..avatar import PosedGaussians
from ..heads.regions import Region
from .light import mean_radiance

# Human skin, mean albedo of the face. Pale skin, and what blood changes, follow from absorption and scattering of skin
# with 1.3 % melanosomes (Jacques 1998, 2013: 1 and 6 % blood), seen through the sRGB primaries. Melanin alone would
# make the darkest skin redder than any is: its slope lies between that law and the range of measured skin.
_PALE = torch.tensor([0.75, 0.50, 0.38]).log()
_MELANIN, _MELANIN_MEAN, _MELANIN_DEVIATION = -torch.tensor([0.78, 1.0, 1.15]), 1.0, 0.8  # log green as the unit
_BLOOD = -torch.tensor([0.05, 0.25, 0.28])
_SKIN_DEVIATION = 0.12  # of what these two do not explain, every channel
_GIVEN_DEVIATION = 0.02  # of an albedo that the user states
# Mean radiance over the sphere of the light that a picture is exposed for: half of display white, within a factor 2.
_LIGHT_MEAN, _LIGHT_DEVIATION = math.log(0.5), 0.7
# Orthonormal directions of log colour: brightness, warm to cold, green to magenta; and how much the mean colour of
# lights varies along the last two (the built-in lights and those that the shared subjects are relit under).
_COLOUR_AXES = torch.nn.functional.normalize(torch.tensor([[1.0, 1, 1], [1, 0, -1], [1, -2, 1]]), dim=1)
_COLOUR_DEVIATIONS = 0.28, 0.09
# Mean albedo and log deviation of the brightest Gaussians of eyeballs (the sclera) and teeth: white in everybody.
_WHITES = {Region.EYEBALL: (0.62, 0.35), Region.TEETH: (0.65, 0.4)}
_WHITE_RANKS = 0.05, 0.2  # from the brightest, which may be catchlights
_FEWEST_WHITES = 20
_GREY = torch.full((3,), 1 / 3)


class Whites(NamedTuple):
    """Gaussians of a part that holds something white."""

    members: torch.Tensor
    """[N] index."""
    log_albedo: float
    deviation: float


class Likely(NamedTuple):
    """The most likely level."""

    log_factor: torch.Tensor
    """[3] to be added to log albedos and taken from log radiance."""
    covariance: torch.Tensor
    """[3, 3] of what is known about it."""


@dataclass(frozen=True)
class Level:
    """What is known about the level, and which Gaussians say something about it."""

    skin: torch.Tensor
    """[S] the Gaussians on skin, or all of them where a head has no skin."""
    skin_mean: torch.Tensor
    """[3] log albedo."""
    skin_precision: torch.Tensor
    """[3, 3]."""
    light_precision: torch.Tensor
    """[3, 3] of the log of the mean radiance."""
    whites: tuple[Whites, ...]

    @classmethod
    def of(cls, region: torch.Tensor, skin_luminance: float | None = None) -> "Level":
        """By the head region [P] of every Gaussian.

        Args:
            skin_luminance: the mean albedo of the face where it is known: decides alone then.
        """
        skin = (region == Region.SKIN).nonzero()[:, 0]
        if not len(skin):
            skin = torch.arange(len(region), device=region.device)
        mean, precision, of_light = _skin_mean(), _skin_precision(), _light_precision()
        if skin_luminance is not None:
            mean = mean + math.log(skin_luminance / float(mean.exp().mean()))
            precision = precision + _GREY[:, None] * _GREY / _GIVEN_DEVIATION**2
        indices = {code: (region == code).nonzero()[:, 0] for code in _WHITES}
        whites = tuple(
            Whites(index, math.log(_WHITES[code][0]), _WHITES[code][1])
            for code, index in indices.items()
            if len(index) >= _FEWEST_WHITES
        )
        device = region.device
        return cls(skin, mean.to(device), precision.to(device), of_light.to(device), whites)

    def improbability(self, gaussians: PosedGaussians, envmap: torch.Tensor) -> torch.Tensor:
        """Half the squared deviations of skin, whites and light from what is known of them."""
        skin = self._skin(gaussians.albedo) - self.skin_mean
        light = mean_radiance(envmap).log() - _LIGHT_MEAN
        total = skin @ self.skin_precision @ skin + light @ self.light_precision @ light
        for whites in self.whites:
            total = total + ((_white(gaussians.albedo, whites) - whites.log_albedo) / whites.deviation).square()
        return total / 2

    def most_likely(self, albedo: torch.Tensor, radiance: torch.Tensor) -> Likely:
        """What to multiply all albedos [P, 3] with, and to divide the light by, whose mean `radiance` is [3]."""
        precision = self.skin_precision + self.light_precision
        pull = self.skin_precision @ (self.skin_mean - self._skin(albedo))
        pull = pull + self.light_precision @ (radiance.log() - _LIGHT_MEAN)
        grey = _GREY.to(albedo.device)
        for whites in self.whites:
            precision = precision + grey[:, None] * grey / whites.deviation**2
            pull = pull + grey * (whites.log_albedo - _white(albedo, whites)) / whites.deviation**2
        return Likely(torch.linalg.solve(precision, pull), torch.linalg.inv(precision))

    def found(self, albedo: torch.Tensor, radiance: torch.Tensor) -> dict[str, Any]:
        """For avatar.yaml: `skin_albedo` of the face, and the factor that it is `known_within` (one standard deviation
        of its logarithm) by what is known of skin, eyes, teeth and exposure; gloss makes it surer than that."""
        deviation = float(self.most_likely(albedo, radiance).covariance.mean().sqrt())
        return {
            "skin_albedo": [round(value, 4) for value in self._skin(albedo).exp().tolist()],
            "known_within": round(math.exp(deviation), 3),
        }

    def _skin(self, albedo: torch.Tensor) -> torch.Tensor:
        """[3] log of the mean albedo of the face."""
        return albedo.index_select(0, self.skin).mean(0).log()


def _white(albedo: torch.Tensor, whites: Whites) -> torch.Tensor:
    """Log albedo of the brightest Gaussians of a part, without the very brightest."""
    ranked = albedo.index_select(0, whites.members).mean(1).sort(descending=True).values
    first, last = (int(share * len(ranked)) for share in _WHITE_RANKS)
    return ranked[first : last + 1].mean().log()


def _skin_mean() -> torch.Tensor:
    """[3] log albedo of the average face."""
    return _PALE + _MELANIN_MEAN * _MELANIN


def _skin_precision() -> torch.Tensor:
    """[3, 3] inverse covariance of the log albedo of faces: melanin, blood, and what these do not explain."""
    melanin = _MELANIN_DEVIATION * _MELANIN
    covariance = melanin[:, None] * melanin + _BLOOD[:, None] * _BLOOD + _SKIN_DEVIATION**2 * torch.eye(3)
    return torch.linalg.inv(covariance)


def _light_precision() -> torch.Tensor:
    """[3, 3] inverse covariance of the log of the light's mean radiance: exposure, and colour."""
    deviation = torch.tensor([_LIGHT_DEVIATION * 3**0.5, *_COLOUR_DEVIATIONS])
    return _COLOUR_AXES.T @ torch.diag(deviation**-2) @ _COLOUR_AXES
