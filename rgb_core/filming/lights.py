"""What shines over a film: maps that follow each other, lamps beside them, and what both are at a moment."""

from collections.abc import Sequence
from pathlib import Path

import torch

from ..errors import InputError
from ..scene import Light
from ..scene.light import MAP_READERS
from .lamps import Lamp, lamp_map

OWN = "own"
"""The name of the light that the avatar was fitted under."""
_MOST_ROWS_OF_SEVERAL = 512  # of maps that are blended; blending is done anew for every picture
_LAMP_ROWS = 128


def load_lights(names: Sequence[str], lamps: Sequence[Lamp], own: Light) -> tuple[Light, ...]:
    """The lights that a film goes through, all with maps of one size.

    Args:
        names: built-in lights, files, folders of files in the order of their names, or `own`; where there is none,
            the avatar's own light, or only the lamps where there are any.
        lamps: added to every map.
        own: the light that the avatar was fitted under.

    Raises:
        InputError: for a light that cannot be read, a folder without maps, or an own light that cannot be mixed.
    """
    if not names and lamps:
        return (Light(lamp_map(lamps)),)
    expanded = [item for name in names for item in _maps_of(name)] or [OWN]
    lights = [own if name == OWN else Light.load(name) for name in expanded]
    mixed = len(lights) > 1 or bool(lamps)
    if mixed and any(light.carried for light in lights):
        raise InputError("the camera carries the avatar's own light: no lamp or other light can be mixed with it")
    if not mixed:
        return tuple(lights)
    rows = max(light.size[0] for light in lights)
    rows = max(rows, _LAMP_ROWS) if lamps else rows
    if len(lights) > 1:
        rows = min(rows, _MOST_ROWS_OF_SEVERAL)
    added = lamp_map(lamps, _LAMP_ROWS) if lamps else torch.zeros(3, _LAMP_ROWS, 2 * _LAMP_ROWS)
    beside = Light(added).resampled(rows, 2 * rows).radiance
    return tuple(Light(light.resampled(rows, 2 * rows).radiance + beside, light.turn) for light in lights)


def light_at(lights: Sequence[Light], share: float) -> Light:
    """The light at `share`, 0 to 1, of the film: between two of `lights`, their mix in linear light.

    The first shines at 0, the last at 1, the others at even distances between; at the middle between two it is their
    mean. How the first one stands holds for all.
    """
    place = share * (len(lights) - 1)
    before = min(int(place), len(lights) - 1)
    part = place - before
    if part == 0:
        return lights[before]
    mixed = torch.lerp(lights[before].radiance, lights[before + 1].radiance, part)
    return Light(mixed, lights[0].turn, lights[0].carried)


def _maps_of(name: str) -> list[str]:
    """The files of a folder of maps, or the one light of that name."""
    folder = Path(name)
    if not folder.is_dir():
        return [name]
    files = sorted(str(path) for path in folder.iterdir() if path.suffix.lower() in MAP_READERS)
    if not files:
        raise InputError(f"{folder} holds no map: a file that ends in {', '.join(MAP_READERS)}")
    return files
