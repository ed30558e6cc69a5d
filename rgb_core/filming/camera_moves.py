"""Where the camera goes during a film: around the head, nearer, or closer by its lens, from where it was filmed."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import torch

from ..errors import InputError, did_you_mean
from ..files import read_text
from ..rendering import Shot
from ..rotations import axis_angle_to_matrix
from ..scene import Camera
from ..yaml_text import parse_yaml

FORMAT, VERSION = "rgb-camera", 1
_RANGES = {
    "at": (0.0, 1.0),
    "azimuth": (-36000.0, 36000.0),
    "elevation": (-89.0, 89.0),
    "distance": (0.1, 10.0),
    "zoom": (0.1, 10.0),
}


@dataclass(frozen=True)
class View:
    """How a camera differs from the one of the shot. All as it was by default."""

    azimuth: float = 0.0
    """Radians around the head, towards the head's left; the axis is the vertical through the head."""
    elevation: float = 0.0
    """Radians up, on the circle over the head."""
    distance: float = 1.0
    """Times as far away (a dolly): perspective changes."""
    zoom: float = 1.0
    """Times the focal length: perspective stays."""


@dataclass(frozen=True)
class CameraPath:
    """Views at moments of a film, `at` 0 to 1, in order; between them every number goes smoothly and never overshoots.

    Before the first and after the last moment the camera stands still.
    """

    at: tuple[float, ...]
    views: tuple[View, ...]

    def through(self, count: int) -> list[View]:
        """The views of `count` pictures, the first at 0 and the last at 1."""
        from scipy.interpolate import PchipInterpolator

        rows = [[v.azimuth, v.elevation, math.log(v.distance), math.log(v.zoom)] for v in self.views]
        moments = [min(max(index / max(count - 1, 1), self.at[0]), self.at[-1]) for index in range(count)]
        if len(rows) == 1:
            return list(self.views) * count
        values = PchipInterpolator(self.at, rows)(moments)
        return [View(row[0], row[1], math.exp(row[2]), math.exp(row[3])) for row in values.tolist()]


def orbit_and_zoom(count: int, orbit: float, zoom: float) -> list[View]:
    """Views around the head by `orbit` radians in even steps, the last picture one step before the end so that a full
    circle repeats, while the focal length grows evenly, by factors, to `zoom` times in the last picture."""
    return [View(azimuth=orbit * index / count, zoom=zoom ** (index / max(count - 1, 1))) for index in range(count)]


def moved(shots: Sequence[Shot], views: Sequence[View]) -> list[Shot]:
    """The shots seen by cameras that move by `views` about the mean place of the head."""
    pivot = torch.stack([shot.pose.translation for shot in shots]).mean(0)
    return [replace(shot, camera=_moved(shot.camera, view, pivot)) for shot, view in zip(shots, views, strict=True)]


def _moved(camera: Camera, view: View, pivot: torch.Tensor) -> Camera:
    if view == View():
        return camera
    rotation, translation = camera.world_to_camera[:, :3], camera.world_to_camera[:, 3]
    raised = axis_angle_to_matrix(-view.elevation * rotation[0])  # about the camera's own x, which points right
    turn = axis_angle_to_matrix(torch.tensor([0.0, view.azimuth, 0.0])) @ raised
    # Where the pivot is in camera axes stays, but for the distance: the camera turns about it as on a rod.
    seen = rotation @ pivot + translation
    turned = rotation @ turn.T
    place = torch.cat([turned, (seen * view.distance - turned @ pivot)[:, None]], 1)
    return replace(camera, world_to_camera=place).with_scaled_focal(view.zoom)


def load_camera_path(path: Path) -> CameraPath:
    """The camera path of a YAML file of format `rgb-camera`: `keys`, each with `at` from 0 to 1 and any of azimuth
    and elevation in degrees, distance and zoom as factors of what was filmed.

    Raises:
        InputError: when it is not written so.
    """
    record = parse_yaml(read_text(path), str(path))
    if not isinstance(record, dict) or record.get("format") != FORMAT or record.get("version") != VERSION:
        raise InputError(f"{path} is no camera path: it begins with 'format: {FORMAT}' and 'version: {VERSION}'")
    keys = record.get("keys")
    if not isinstance(keys, list) or not keys:
        raise InputError(f"{path} has no list of keys such as 'keys: [{{at: 0}}, {{at: 1, azimuth: 45}}]'")
    read = [_key(key, f"{path}: key {number}") for number, key in enumerate(keys, 1)]
    at = tuple(key["at"] for key in read)
    if any(later <= earlier for earlier, later in pairwise(at)):
        raise InputError(f"{path}: every key comes later than the one before, at {', '.join(f'{x:g}' for x in at)}")
    views = [
        View(math.radians(key["azimuth"]), math.radians(key["elevation"]), key["distance"], key["zoom"]) for key in read
    ]
    return CameraPath(at, tuple(views))


def _key(key: Any, source: str) -> dict[str, float]:
    """The numbers of one key, missing ones as they were filmed."""
    if not isinstance(key, dict) or "at" not in key:
        raise InputError(f"{source} has no 'at', its moment from 0 to 1")
    values = {"azimuth": 0.0, "elevation": 0.0, "distance": 1.0, "zoom": 1.0}
    for name, value in key.items():
        if name not in _RANGES:
            raise InputError(
                f"{source} has no number called '{name}'{did_you_mean(str(name), _RANGES)}: {', '.join(_RANGES)}"
            )
        low, high = _RANGES[name]
        if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high:
            raise InputError(f"{source}: {name} '{value}' is no number from {low:g} to {high:g}")
        values[name] = float(value)
    return values
