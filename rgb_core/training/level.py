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
# Of the albedo that whites of eyes say: brightness (they lie in shadow and are small), colour (they differ a little).
_BY_WHITES_DEVIATIONS = 0.3, 0.2
_GREY = torch.full((3,), 1 / 3)


class SkinPrior(NamedTuple):
    """What is known of the log of the face's mean albedo before a fit: a normal distribution."""

    mean: torch.Tensor
    """[3]."""
    precision: torch.Tensor
    """[3, 3] inverse covariance."""

    @classmethod
    def of(cls, by_whites: torch.Tensor | None = None, luminance: float | None = None) -> "SkinPrior":
        """That of all people, narrowed by what is known of one.

        Args:
            by_whites: [3] albedo that the skin has beside the eyes' whites (`skin_beside_whites`).
            luminance: the mean albedo of the face where it is known: decides its brightness alone then.
        """
        prior = cls(_PALE + _MELANIN_MEAN * _MELANIN, _skin_precision())
        if by_whites is not None:
            prior = prior.given(by_whites.log(), _precision_by_whites())
        if luminance is None:
            return prior
        known = prior.mean + math.log(luminance / float(prior.mean.exp().mean()))
        return prior.given(known, _GREY[:, None] * _GREY / _GIVEN_DEVIATION**2)

    def given(self, mean: torch.Tensor, precision: torch.Tensor) -> "SkinPrior":
        """This and one more observation, independent of it: `mean` [3] with `precision` [3, 3]."""
        total = self.precision + precision
        return SkinPrior(torch.linalg.solve(total, self.precision @ self.mean + precision @ mean), total)


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
    prior: SkinPrior
    light_precision: torch.Tensor
    """[3, 3] of the log of the mean radiance."""

    @classmethod
    def of(cls, region: torch.Tensor, prior: SkinPrior) -> "Level":
        """By the head region [P] of every Gaussian."""
        device = region.device
        skin = (region == Region.SKIN).nonzero()[:, 0]
        if not len(skin):
            skin = torch.arange(len(region), device=device)
        return cls(skin, SkinPrior(*(value.to(device) for value in prior)), _light_precision().to(device))

    def improbability(self, gaussians: PosedGaussians, envmap: torch.Tensor) -> torch.Tensor:
        """Half the squared deviations of skin and light from what is known of them."""
        skin = self._skin(gaussians.albedo) - self.prior.mean
        light = mean_radiance(envmap).log() - _LIGHT_MEAN
        return (skin @ self.prior.precision @ skin + light @ self.light_precision @ light) / 2

    def most_likely(self, albedo: torch.Tensor, radiance: torch.Tensor) -> Likely:
        """What to multiply all albedos [P, 3] with, and to divide the light by, whose mean `radiance` is [3]."""
        precision = self.prior.precision + self.light_precision
        pull = self.prior.precision @ (self.prior.mean - self._skin(albedo))
        pull = pull + self.light_precision @ (radiance.log() - _LIGHT_MEAN)
        return Likely(torch.linalg.solve(precision, pull), torch.linalg.inv(precision))

    def found(self, albedo: torch.Tensor, radiance: torch.Tensor) -> dict[str, Any]:
        """For avatar.yaml: `skin_albedo` of the face, and the factor that it is `known_within` (one standard deviation
        of its logarithm) by what is known of skin, eyes and exposure; gloss makes it surer than that."""
        deviation = float(self.most_likely(albedo, radiance).covariance.mean().sqrt())
        return {
            "skin_albedo": [round(value, 4) for value in self._skin(albedo).exp().tolist()],
            "known_within": round(math.exp(deviation), 3),
        }

    def _skin(self, albedo: torch.Tensor) -> torch.Tensor:
        """[3] log of the mean albedo of the face."""
        return albedo.index_select(0, self.skin).mean(0).log()


def _skin_precision() -> torch.Tensor:
    """[3, 3] inverse covariance of the log albedo of faces: melanin, blood, and what these do not explain."""
    melanin = _MELANIN_DEVIATION * _MELANIN
    covariance = melanin[:, None] * melanin + _BLOOD[:, None] * _BLOOD + _SKIN_DEVIATION**2 * torch.eye(3)
    return torch.linalg.inv(covariance)


def _precision_by_whites() -> torch.Tensor:
    """[3, 3] inverse covariance of the log albedo that eyes' whites say."""
    brightness, colour = _BY_WHITES_DEVIATIONS
    return _COLOUR_AXES.T @ torch.diag(torch.tensor([brightness * 3**0.5, colour, colour]) ** -2) @ _COLOUR_AXES


def _light_precision() -> torch.Tensor:
    """[3, 3] inverse covariance of the log of the light's mean radiance: exposure, and colour."""
    deviation = torch.tensor([_LIGHT_DEVIATION * 3**0.5, *_COLOUR_DEVIATIONS])
    return _COLOUR_AXES.T @ torch.diag(deviation**-2) @ _COLOUR_AXES
