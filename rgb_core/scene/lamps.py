"""Lights with one main lamp: where it stands, and a grid of texels that is finest there.

A grid of 16 x 32 texels shows a sun of eight degrees as up to four lamps eleven degrees apart, and its shadows as four
copies beside each other. Texels of an equirectangular grid are narrow at its poles, though, and a grid may stand in
any way: turned so that the lamp lies at its pole, the first row shows it as a ring about where it is.
"""

import math
from typing import NamedTuple

import torch
from diff_envshade import texel_directions, texel_solid_angles
from torch import Tensor

from ..rotations import skew
from .light import resample

_LAMP_RADIUS = math.radians(10.0)  # around the brightest texel
_LEAST_SHARE = 0.3  # of all light that a lamp must send to count as the main one
_FINE_ROWS = 256  # that a map is read at to be turned


class Turned(NamedTuple):
    """A map, and how its texels stand."""

    radiance: Tensor
    """[3, H, W]."""
    turn: Tensor | None
    """[3, 3] rotation from the axes of the texels to those of the map that it was made from; None for none."""


def main_direction(envmap: Tensor) -> Tensor | None:
    """[3] unit, towards the one lamp of `envmap` [3, h, w]; None where no lamp sends a large share of the light."""
    height, width = envmap.shape[1:]
    directions = texel_directions(height, width)
    radiance = envmap.mean(0).flatten()
    energy = radiance * texel_solid_angles(height, width)
    near = directions @ directions[radiance.argmax()] > math.cos(_LAMP_RADIUS)
    if float(energy[near].sum()) < _LEAST_SHARE * float(energy.sum()):
        return None
    return torch.nn.functional.normalize((energy[near, None] * directions[near]).sum(0), dim=0)


def resample_at_lamp(radiance: Tensor, height: int, width: int) -> Turned:
    """A map [3, H, W] of another size and the same energy, finest at its main lamp.

    A map without one, or of no more texels than asked for, keeps its axes: see `scene.light.resample`.
    """
    if radiance.shape[1] <= height:
        return Turned(resample(radiance, height, width), None)
    fine = resample(radiance, _FINE_ROWS, 2 * _FINE_ROWS).cpu()
    lamp = main_direction(fine)
    if lamp is None:
        return Turned(resample(radiance, height, width), None)
    turn = _turn_to(lamp)
    directions = texel_directions(_FINE_ROWS, 2 * _FINE_ROWS) @ turn
    row = (torch.acos(directions[:, 1].clamp(-1, 1)) * (height / math.pi)).long().clamp_max(height - 1)
    azimuth = torch.remainder(torch.atan2(directions[:, 2], directions[:, 0]) / (2 * math.pi), 1.0)
    texel = row * width + (azimuth * width).long().clamp_max(width - 1)
    energy = (fine.flatten(1) * texel_solid_angles(_FINE_ROWS, 2 * _FINE_ROWS)).double()
    collected = energy.new_zeros(3, height * width).index_add_(1, texel, energy)
    found = collected / texel_solid_angles(height, width, torch.float64)
    return Turned(found.to(radiance).view(3, height, width), turn.to(radiance))


def _turn_to(lamp: Tensor) -> Tensor:
    """The smallest rotation [3, 3] that brings the nearer pole onto `lamp` [3]."""
    pole = torch.tensor([0.0, math.copysign(1.0, float(lamp[1])), 0.0])
    cross = skew(torch.linalg.cross(pole, lamp))
    return torch.eye(3) + cross + cross @ cross / (1 + pole @ lamp)
