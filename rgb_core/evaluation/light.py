"""How near the fitted light comes to the true one: what it does to a surface, where it is brightest, its colours."""

import math
from collections.abc import Mapping
from typing import Any, NamedTuple

import torch
from diff_envshade import texel_directions, texel_solid_angles
from torch import Tensor

from ..scene import Light
from ..scene.harmonics import irradiance

_LAMP_RADIUS = math.radians(15.0)
_LEAST_SHARE = 0.1  # of all light that must come from the brightest direction to count as one


class Lamp(NamedTuple):
    """The brightest direction of a light."""

    direction: Tensor
    """[3] unit."""
    share: float
    """Share of all light that comes from within 15 degrees."""


def brightest(envmap: Tensor) -> Lamp:
    """Where the 15 degrees are that send the most light, and the centre of what comes from there."""
    height, width = envmap.shape[1:]
    directions = texel_directions(height, width)
    energy = envmap.mean(0).flatten() * texel_solid_angles(height, width)
    near = (directions @ directions.T > math.cos(_LAMP_RADIUS)).float()
    inside = near @ energy
    best = inside.argmax()
    centre = torch.nn.functional.normalize((near[best] * energy) @ directions, dim=0)
    return Lamp(centre, float(inside[best] / energy.sum()))


def irradiance_scale(fitted: Tensor, true: Tensor) -> Tensor:
    """The factor of `fitted` [3, h, w] that brings its irradiance nearest to that of `true` [3, h, w]."""
    directions, solid_angles = texel_directions(*fitted.shape[1:]), texel_solid_angles(*fitted.shape[1:])[:, None]
    mine, theirs = irradiance(fitted, directions), irradiance(true, directions)
    return (solid_angles * mine * theirs).sum() / (solid_angles * mine * mine).sum()


def level_line(provenance: Mapping[str, Any]) -> dict[str, str]:
    """What the report says about the level that a fit found, from the provenance of avatar.yaml."""
    level = provenance.get("level")
    if not level:
        return {}
    albedo = " ".join(f"{value:.2f}" for value in level["skin_albedo"])
    return {"albedo of the face": f"{albedo}, known within a factor of {level['known_within']:.2f} before gloss"}


def light_scores(fitted: Light, true: Light | None) -> dict[str, float | None]:
    """The `light` record of metrics.json; None for everything without truth.

    - `irradiance_error`: root mean square over all directions and channels of the difference of irradiance (harmonics
      of degrees 0 to 2) under one scale, relative to that of the true irradiance;
    - `brightest_deg`: angle between the brightest directions, None where the true light has none;
    - `chroma_upper`, `chroma_lower`: distance of the mean colours of a hemisphere, of sum 1 each.

    Args:
        fitted, true: in the same axes.
    """
    if true is None:
        return {"irradiance_error": None, "brightest_deg": None, "chroma_upper": None, "chroma_lower": None}
    size = fitted.size
    mine_map, true_map = fitted.radiance.cpu(), true.resampled(*size).radiance.cpu()
    directions, solid_angles = texel_directions(*size), texel_solid_angles(*size)[:, None]
    mine, theirs = irradiance(mine_map, directions), irradiance(true_map, directions)
    scale = irradiance_scale(mine_map, true_map)
    error = (solid_angles * (scale * mine - theirs).square()).sum() / (solid_angles * theirs.square()).sum()
    lamp, wanted = brightest(mine_map), brightest(true_map)
    angle = math.degrees(math.acos(min(1.0, float(lamp.direction @ wanted.direction))))
    upper = directions[:, 1] > 0
    return {
        "irradiance_error": float(error.sqrt()),
        "brightest_deg": angle if wanted.share >= _LEAST_SHARE else None,
        "chroma_upper": _chroma_distance(mine_map, true_map, solid_angles[:, 0] * upper),
        "chroma_lower": _chroma_distance(mine_map, true_map, solid_angles[:, 0] * ~upper),
    }


def _chroma_distance(fitted: Tensor, true: Tensor, weight: Tensor) -> float:
    means = [(envmap.flatten(1) * weight).sum(1) for envmap in (fitted, true)]
    mine, theirs = (mean / mean.sum() for mean in means)
    return float((mine - theirs).norm())
