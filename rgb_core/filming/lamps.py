"""Lamps: round lights at a great distance, given by where they stand, how large they look, and how bright they are."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from diff_envshade import texel_directions, texel_solid_angles
from torch import Tensor

from ..errors import InputError
from ..images.color_text import parse_color
from ..images.resize import downsample
from ..rotations import direction_of

_ROWS = 128  # of the map that lamps are drawn into
_SUPERSAMPLING = 4  # texels a side that one texel averages
FORM = "azimuth,elevation,size,colour,stops as in 40,30,20,#ffe0c0,0"
_RANGES = {"azimuth": (-360.0, 360.0), "elevation": (-90.0, 90.0), "size": (1.0, 180.0), "stops": (-20.0, 20.0)}


def _white() -> Tensor:
    return torch.ones(3)


@dataclass(frozen=True, eq=False)
class Lamp:
    """A round lamp of even brightness, so far away that it shines from one direction on the whole head."""

    azimuth: float
    """Radians from straight ahead of the face (+z) towards the head's left (+x)."""
    elevation: float
    """Radians above the horizon."""
    size: float = math.radians(20.0)
    """Radians that it is wide, seen from the head, up to pi."""
    color: Tensor = field(default_factory=_white)
    """[3] linear."""
    stops: float = 0.0

    @property
    def strength(self) -> Tensor:
        """[3] its irradiance, over pi, of a surface that faces it: the radiance of white paper there, 1 at 0 stops.

        The size has no part in it: a lamp twice as wide is a quarter as bright and casts softer shadows.
        """
        return self.color * 2.0**self.stops

    @classmethod
    def parse(cls, text: str) -> "Lamp":
        """A lamp written as `azimuth,elevation,size,colour,stops` in degrees; what stands last may be left out.

        Raises:
            InputError: when it is not written so, or a number is out of range.
        """
        words = [word.strip() for word in text.split(",")]
        if not 2 <= len(words) <= 5:
            raise InputError(f"--lamp {text}: write {FORM}; all from the size on may be left out")
        size = _number(words[2], "size", text) if len(words) > 2 else 20.0
        return cls(
            math.radians(_number(words[0], "azimuth", text)),
            math.radians(_number(words[1], "elevation", text)),
            math.radians(size),
            parse_color(words[3], f"--lamp {text}") if len(words) > 3 else _white(),
            _number(words[4], "stops", text) if len(words) > 4 else 0.0,
        )


def lamp_map(lamps: Sequence[Lamp], rows: int = _ROWS) -> Tensor:
    """The environment map float32 [3, rows, 2 rows] of lamps in the dark.

    Each lamp is a disc of even radiance L = pi strength / (integral of the cosine over its solid angle), which for a
    disc of angular radius a is strength / sin(a)^2; the integral is taken over the very texels that are drawn, so that
    a lamp of a few texels is as bright as it should be.
    """
    fine = _SUPERSAMPLING * rows
    directions, solid_angles = texel_directions(fine, 2 * fine), texel_solid_angles(fine, 2 * fine)
    radiance = torch.zeros(len(directions), 3)
    for lamp in lamps:
        cosine = directions @ torch.tensor(direction_of(lamp.azimuth, lamp.elevation))
        inside = (cosine >= math.cos(lamp.size / 2)).float()
        integral = (inside * cosine.clamp_min(0) * solid_angles).sum()
        radiance += inside[:, None] * (math.pi / integral * lamp.strength)
    weighted = torch.cat([radiance * solid_angles[:, None], solid_angles[:, None]], 1).reshape(fine, 2 * fine, 4)
    mean = downsample(weighted, 2 * rows, rows)
    return (mean[..., :3] / mean[..., 3:]).permute(2, 0, 1).contiguous()


def _number(word: str, name: str, text: str) -> float:
    low, high = _RANGES[name]
    try:
        value = float(word)
    except ValueError:
        raise InputError(f"--lamp {text}: the {name} '{word}' is no number; write {FORM}") from None
    if not low <= value <= high:
        raise InputError(f"--lamp {text}: the {name} {word} is not in the range from {low:g} to {high:g}")
    return value
