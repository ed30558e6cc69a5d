"""The shape of an eye: a sphere that carries the cornea, a smaller one, before the iris.

Measures are an adult's: 24 mm across the white, 11 mm across the iris, a cornea of 7.8 mm radius (Gullstrand's eye).
"""

import math

import numpy as np

from .makehuman import Floats, Indices, Part

RADIUS = 0.012
"""Metres from the centre to the white of the eye."""
LIMBUS = math.radians(27.0)
"""Angle at the centre between the gaze and the edge of the iris, where the cornea begins."""
CORNEA_RADIUS = 0.65
"""Radius of the cornea in units of the eye's."""
_CORNEA_CENTRE = math.cos(LIMBUS) - math.sqrt(CORNEA_RADIUS**2 - math.sin(LIMBUS) ** 2)
APEX = _CORNEA_CENTRE + CORNEA_RADIUS
"""Distance of the foremost point from the centre, in units of the radius."""
_RINGS = (6, 12, 18, 23, 27, 31, 38, 48, 60, 75, 95, 120, 150)
"""Degrees from the gaze at which vertices lie: close together where a highlight needs a smooth normal."""
_SECTORS = 20


def profile(angle: Floats) -> Floats:
    """Distance of the surface from the centre in units of the radius, by the angle (radians) from the gaze."""
    across = _CORNEA_CENTRE * np.sin(angle)
    cornea = _CORNEA_CENTRE * np.cos(angle) + np.sqrt(np.maximum(CORNEA_RADIUS**2 - across**2, 0))
    return np.where(angle < LIMBUS, cornea, 1.0)


def eyeball() -> Part:
    """An eye of radius RADIUS at the origin that looks along +z and is open behind, where the optic nerve would be.

    Its texture is the disc of angles from the gaze.
    """
    angle = np.radians(np.append(0, np.repeat(_RINGS, _SECTORS)))
    turn = np.append(0, np.tile(2 * np.pi * np.arange(_SECTORS) / _SECTORS, len(_RINGS)))
    around = np.stack([np.cos(turn), np.sin(turn)], axis=1)
    direction = np.column_stack([np.sin(angle)[:, None] * around, np.cos(angle)])
    quads = np.concatenate([_cap(), *(_band(1 + ring * _SECTORS) for ring in range(len(_RINGS) - 1))])
    return Part(RADIUS * profile(angle)[:, None] * direction, quads, angle[:, None] / np.pi * around)


def _cap() -> Indices:
    """Quads from the pole, vertex 0, to every second vertex of the first ring."""
    even = np.arange(0, _SECTORS, 2)
    return np.stack([np.zeros_like(even), *(1 + (even + corner) % _SECTORS for corner in range(3))], axis=1)


def _band(first: int) -> Indices:
    """Quads between the ring that starts at vertex `first` and the next one."""
    here = first + np.arange(_SECTORS)
    onward = first + (np.arange(_SECTORS) + 1) % _SECTORS
    return np.stack([here, here + _SECTORS, onward + _SECTORS, onward], axis=1)
