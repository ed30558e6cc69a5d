"""A performance written by hand: YAML that names what the face does at some moments; in between it moves smoothly."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from scipy.interpolate import PchipInterpolator
from torch import Tensor

from ..errors import InputError, did_you_mean
from ..files import read_text
from ..heads import HeadModel
from ..heads.arkit import GAZE, arkit_parts
from ..yaml_text import parse_yaml
from .recording import Recording
from .retarget import JAW_OPEN, check_names
from .rows import MOST_FRAMES

FORMAT, VERSION = "rgb-keyframes", 1
_USUAL_RATE = 25.0
_EXPRESSION, _EYES = "expression", "eyes"
_ANGLES = {"head": ("yaw", "pitch", "roll"), _EYES: ("yaw", "pitch")}
_KEY = (_EXPRESSION, "jaw", *_ANGLES)
_LARGEST_FILE = 1 << 20  # bytes
_LARGEST, _LARGEST_ANGLE, _FASTEST = 10.0, 180.0, 1000.0  # coefficients, degrees, frames a second

Name = tuple[str, str]
"""A number of the performance: its part (expression, head or eyes) and what it is called there."""
Track = dict[float, float]
"""What one number is, by second."""


def read_keyframes(path: Path, head: HeadModel) -> Recording:
    """The performance of a keyframe file, for an avatar of `head`.

    Every number has a track of its own: it passes through the values it is given without overshooting between them
    (a monotone cubic, Fritsch and Carlson 1980) and holds the last one. Where the first key does not name it, it is 0.

    Raises:
        InputError: naming the moment and what is wrong there.
    """
    fps, keys = _contents(path)
    seconds = [_number(time, f"{path}, keys", 0.0, MOST_FRAMES / fps) for time in keys]
    tracks: dict[Name, Track] = {}
    for time, (given, key) in zip(seconds, keys.items(), strict=True):
        for name, value in _values_at(key, head, f"{path}, second {given}").items():
            tracks.setdefault(name, {})[time] = value
    times = np.arange(round(max(seconds) * fps) + 1) / fps

    def columns(part: str, names: Sequence[str]) -> Tensor:
        curves = [_curve({min(seconds): 0.0, **tracks.get((part, name), {})}, times) for name in names]
        return torch.from_numpy(np.stack(curves, -1) if curves else np.zeros((len(times), 0))).float()

    head_turn, eyes = (columns(part, names).deg2rad() for part, names in _ANGLES.items())
    names = tuple(name for part, name in tracks if part == _EXPRESSION)
    gaze = eyes[:, None].expand(-1, 2, -1) if any(part == _EYES for part, _ in tracks) else None
    if gaze is not None and (twice := [name for name in names if name.startswith(GAZE)]):
        raise InputError(f"{path}: {twice[0]} and eyes both say where the eyes look: give one of them")
    return Recording(path.stem, fps, names, columns(_EXPRESSION, names), head_turn, gaze)


def _contents(path: Path) -> tuple[float, dict[Any, Any]]:
    """Frames a second, and the keys by their seconds."""
    values = parse_yaml(read_text(path, _LARGEST_FILE), str(path))
    if not isinstance(values, dict) or values.get("format") != FORMAT:
        raise InputError(f"{path} is no keyframe file: it must begin with `format: {FORMAT}` and `version: {VERSION}`")
    if values.get("version") != VERSION:
        raise InputError(f"{path}: version {values.get('version')!r} is unknown; this program reads version {VERSION}")
    _check_known(values, ("format", "version", "fps", "keys"), str(path))
    keys = values.get("keys")
    if not isinstance(keys, dict) or not keys:
        raise InputError(f"{path}: keys must map seconds to what the face does then, as in `0.5: {{jaw: 0.4}}`")
    return _number(values.get("fps", _USUAL_RATE), f"{path}: fps", 1.0, _FASTEST), keys


def _values_at(key: Any, head: HeadModel, where: str) -> dict[Name, float]:
    """Every number that one key sets."""
    if not isinstance(key, dict):
        raise InputError(f"{where}: a key is a mapping such as {{expression: {{jawOpen: 0.4}}, head: {{yaw: 10}}}}")
    _check_known(key, _KEY, where)
    found: dict[Name, float] = {}
    for part, names in _ANGLES.items():
        turns = _mapping(key, part, where)
        _check_known(turns, names, f"{where}, {part}")
        for name, value in turns.items():
            found[part, name] = _number(value, f"{where}, {part}.{name}", -_LARGEST_ANGLE, _LARGEST_ANGLE)
    expressions = {str(name): value for name, value in _mapping(key, _EXPRESSION, where).items()}
    if "jaw" in key:
        if JAW_OPEN in expressions:
            raise InputError(f"{where}: jaw and {JAW_OPEN} are the same: give one of them")
        expressions[JAW_OPEN] = key["jaw"]
    sided = {part: value for name, value in expressions.items() for part in _sides(name, head)}
    check_names(list(sided), head, where)
    return found | {
        (_EXPRESSION, name): _number(value, f"{where}, {name}", -_LARGEST, _LARGEST) for name, value in sided.items()
    }


def _sides(name: str, head: HeadModel) -> tuple[str, ...]:
    """Both sides of a shape that is named without one, as in `eyeBlink`; else the name alone."""
    both = (f"{name}Left", f"{name}Right")
    known = name in head.expression_names or arkit_parts(name) or not all(map(arkit_parts, both))
    return (name,) if known else both


def _curve(track: Track, times: np.ndarray) -> np.ndarray:
    """The values of a track at `times`."""
    moments = sorted(track)
    values = [track[moment] for moment in moments]
    if len(moments) == 1:
        return np.full(len(times), values[0])
    return PchipInterpolator(moments, values)(times.clip(moments[0], moments[-1]))


def _mapping(key: dict[str, Any], part: str, where: str) -> dict[str, Any]:
    value = key.get(part, {})
    if not isinstance(value, dict):
        raise InputError(f"{where}: {part} must be a mapping of names to numbers")
    return value


def _check_known(values: dict[Any, Any], known: Sequence[str], where: str) -> None:
    for name in values:
        if name not in known:
            raise InputError(f"{where}: nothing is called {str(name)!r}{did_you_mean(str(name), known)}")


def _number(value: Any, where: str, low: float, high: float) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high:
        raise InputError(f"{where}: {value!r} is no number from {low:g} to {high:g}")
    return float(value)
