"""The built-in lights: smooth analytic radiance as a function of direction (+y up, the face looks along +z)."""

import math
from collections.abc import Callable

import torch
from diff_envshade import texel_directions, texel_solid_angles
from torch import Tensor

from ..images.resize import downsample
from ..rotations import direction_of

HEIGHT, WIDTH = 64, 128
_SUPERSAMPLING = 4  # texels a side that one texel averages, so that a small sun keeps its energy
_WHITE_FACING_FORWARD = 0.65  # exposure: mean linear radiance of a white diffuse surface that faces +z


def _direction(azimuth_deg: float, elevation_deg: float) -> tuple[float, float, float]:
    return direction_of(math.radians(azimuth_deg), math.radians(elevation_deg))


def _rgb(red: float, green: float, blue: float) -> Tensor:
    return torch.tensor([red, green, blue])


def _angle(directions: Tensor, axis: tuple[float, float, float]) -> Tensor:
    """Angle in radians [N] between directions and a unit axis."""
    return torch.acos((directions @ torch.tensor(axis)).clamp(-1, 1))


def _edge(inside: Tensor, softness: float) -> Tensor:
    """Smooth step from 0 to 1 as `inside` passes 0, `softness` wide in its units."""
    return torch.sigmoid(inside / (softness / 4))


def _panel(
    directions: Tensor, azimuth_deg: float, elevation_deg: float, width_deg: float, height_deg: float, softness: float
) -> Tensor:
    """[N] coverage of a rectangle that faces the head, by its projection on the plane at unit distance."""
    forward = torch.tensor(_direction(azimuth_deg, elevation_deg))
    right = torch.nn.functional.normalize(torch.linalg.cross(torch.tensor([0.0, 1.0, 0.0]), forward), dim=0)
    up = torch.linalg.cross(forward, right)
    depth = directions @ forward
    ahead = depth.clamp_min(1e-3)
    across, along = (directions @ right) / ahead, (directions @ up) / ahead
    half_width, half_height = math.tan(math.radians(width_deg / 2)), math.tan(math.radians(height_deg / 2))
    inside = _edge(half_width - across.abs(), softness) * _edge(half_height - along.abs(), softness)
    return torch.where(depth > 0, inside, 0)


def _studio(directions: Tensor) -> Tensor:
    """A large key softbox, a weaker cool fill, a rim light behind, grey room."""
    key = _panel(directions, 40, 35, 50, 60, 0.1)[:, None] * _rgb(14, 13.4, 12.6)
    fill = _panel(directions, -60, 10, 40, 70, 0.1)[:, None] * _rgb(2.6, 2.8, 3.1)
    rim = _panel(directions, 160, 30, 20, 60, 0.08)[:, None] * _rgb(10, 10, 10)
    room = (0.12 + 0.06 * directions[:, 1:2]) * _rgb(1, 1, 1)
    return key + fill + rim + room


def _window(directions: Tensor) -> Tensor:
    """Daylight through a window of four panes on the head's left, a warm dim room, a wooden floor."""
    panes = torch.stack(
        [_panel(directions, azimuth, elevation, 21, 25, 0.04) for azimuth in (43, 67) for elevation in (-1, 28)]
    ).sum(0)
    sky = (0.6 + 0.4 * directions[:, 1:2].clamp_min(0)) * _rgb(22, 25, 30)
    walls = _rgb(0.42, 0.36, 0.30) * (1 + 0.5 * directions[:, :1])
    floor = _rgb(0.30, 0.19, 0.11)
    below = _edge(-0.35 - directions[:, 1:2], 0.3)
    return panes[:, None] * sky + torch.lerp(walls, floor.expand_as(walls), below)


def _sunset(directions: Tensor) -> Tensor:
    """A low orange sun with its glow, a sky from orange at the horizon to blue above, dark ground."""
    height = directions[:, 1:2]
    to_sun = _angle(directions, _direction(-35, 8))[:, None]
    sun = 350 * torch.exp(-((to_sun / math.radians(4)) ** 2)) * _rgb(1, 0.55, 0.22)
    glow = 2.2 * torch.exp(-to_sun / math.radians(22)) * _rgb(1, 0.5, 0.2)
    sky = torch.lerp(_rgb(0.75, 0.45, 0.30).expand_as(directions), _rgb(0.16, 0.26, 0.50), height.clamp(0, 1).sqrt())
    ground = _rgb(0.10, 0.075, 0.055)
    return sun + torch.lerp(ground.expand_as(directions), sky + glow, _edge(height, 0.08))


def _ring(directions: Tensor) -> Tensor:
    """A ring light around the camera in front of the face, in a dark room."""
    from_axis = _angle(directions, (0.0, 0.0, 1.0))[:, None]
    ring = torch.exp(-(((from_axis - math.radians(24)) / math.radians(4.5)) ** 2))
    return 20 * ring * _rgb(1, 0.97, 0.93) + 0.08 * (1 + 0.4 * directions[:, 1:2]) * _rgb(0.9, 0.95, 1)


def _sun(directions: Tensor) -> Tensor:
    """One hard sun high on the head's right under a weak blue sky."""
    to_sun = _angle(directions, _direction(-40, 42))[:, None]
    disc = 900 * torch.exp(-((to_sun / math.radians(2.5)) ** 2)) * _rgb(1, 0.96, 0.88)
    sky = torch.lerp(_rgb(0.10, 0.09, 0.08), _rgb(0.16, 0.22, 0.32), _edge(directions[:, 1:2], 0.2))
    return disc + sky


BUILTIN_LIGHTS: dict[str, Callable[[Tensor], Tensor]] = {
    "studio": _studio,
    "window": _window,
    "sunset": _sunset,
    "ring": _ring,
    "sun": _sun,
}
"""Name -> unscaled linear radiance [N, 3] of unit directions [N, 3]; `builtin_light` makes the map of it."""


def builtin_light(name: str, height: int = HEIGHT, width: int = WIDTH) -> Tensor:
    """The environment map float32 [3, height, width] of one of `BUILTIN_LIGHTS`.

    Exposed so that a white diffuse surface facing +z has a mean radiance of 0.65.
    """
    rows, columns = _SUPERSAMPLING * height, _SUPERSAMPLING * width
    directions, solid_angles = texel_directions(rows, columns), texel_solid_angles(rows, columns)
    radiance = BUILTIN_LIGHTS[name](directions)
    facing = directions[:, 2].clamp_min(0) * solid_angles / math.pi
    radiance = radiance * (_WHITE_FACING_FORWARD / (facing @ radiance).mean())
    weighted = torch.cat([radiance * solid_angles[:, None], solid_angles[:, None]], 1).reshape(rows, columns, 4)
    mean = downsample(weighted, width, height)
    return (mean[..., :3] / mean[..., 3:]).permute(2, 0, 1).contiguous()
