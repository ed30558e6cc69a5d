"""Recordings of the app Live Link Face: a CSV of ARKit's shapes, and the angles of head and eyes in radians."""

import csv
import io
import math
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from ..errors import InputError
from ..files import read_text
from ..heads.arkit import ARKIT_NAMES
from ..progress import Progress
from .recording import Recording
from .rows import evenly
from .timecode import read_clock

_TIME, _COUNT = "timecode", "blendshapecount"
_HEAD = ("headyaw", "headpitch", "headroll")
_EYES = (("lefteyeyaw", "lefteyepitch"), ("righteyeyaw", "righteyepitch"))
_LARGEST_ANGLE = math.pi
_LARGEST_FILE = 80 << 20  # bytes: some 100,000 rows
_LARGEST = 100.0  # of a coefficient, which is 1 at most


def read_livelink(path: Path, progress: Progress) -> Recording:
    """The recording in a CSV; rows without a face are bridged, and rows that the app left out are filled in.

    Raises:
        InputError: naming the row and the column of what cannot be read.
    """
    header, lines = _table(path)
    columns = {title.strip().lower(): index for index, title in enumerate(header)}
    shapes = {name: columns[name.lower()] for name in ARKIT_NAMES if name.lower() in columns}
    if _TIME not in columns or not shapes:
        raise InputError(f"{path} is no recording of Live Link Face: it lacks the columns Timecode, EyeBlinkLeft, ...")
    angles = [name for name in (*_HEAD, *_EYES[0], *_EYES[1]) if name in columns]
    wanted = [*shapes.values(), *(columns[name] for name in angles)]
    clock = read_clock([line[columns[_TIME]] if len(line) > columns[_TIME] else "" for line in lines], str(path))
    seen = [_has_face(line, columns.get(_COUNT), wanted) for line in lines]
    if not any(seen):
        raise InputError(f"{path}: no row of it has a face")
    if missing := seen.count(False):
        progress.message(f"{path.name}: {missing} of {len(lines)} rows have no face and are bridged")
    rows = [index for index, face in enumerate(seen) if face]
    values = np.array([[_number(path, header, lines, row, column) for column in wanted] for row in rows])
    _check_range(path, header, wanted, values, len(shapes), rows)
    times, first = np.unique(clock.times[rows], return_index=True)
    table = evenly(torch.from_numpy(values[first]).float(), times, clock.fps)
    by_name = dict(zip(angles, table[:, len(shapes) :].unbind(1), strict=True))
    return Recording(
        path.stem, clock.fps, tuple(shapes), table[:, : len(shapes)], _angles(by_name, _HEAD), _gaze(by_name)
    )


def _table(path: Path) -> tuple[list[str], list[list[str]]]:
    """Titles and rows; lines without a cell are no rows."""
    try:
        header, *lines = [
            line for line in csv.reader(io.StringIO(read_text(path, _LARGEST_FILE)), strict=True) if any(line)
        ]
    except (csv.Error, ValueError) as error:
        raise InputError(f"{path} is no CSV with a line of titles: {error}") from error
    if not lines:
        raise InputError(f"{path} has titles but no rows")
    return header, lines


def _has_face(line: list[str], count: int | None, wanted: list[int]) -> bool:
    """Whether a row has every value; the app leaves them out, and counts 0 shapes, while it sees no face."""
    if count is not None and len(line) > count and line[count].strip() == "0":
        return False
    return len(line) > max(wanted) and all(line[column].strip() for column in wanted)


def _number(path: Path, header: list[str], lines: list[list[str]], row: int, column: int) -> float:
    try:
        return float(lines[row][column])
    except ValueError as error:
        raise InputError(f"{path}, row {row + 1}: {header[column]} is {lines[row][column]!r}, no number") from error


def _check_range(
    path: Path, header: list[str], wanted: list[int], values: np.ndarray, shapes: int, rows: list[int]
) -> None:
    """Refuse what is no number, and angles that are degrees."""
    limits = np.where(np.arange(len(wanted)) < shapes, _LARGEST, _LARGEST_ANGLE)
    bad = ~(np.abs(values) <= limits)
    if bad.any():
        row, column = (int(index[0]) for index in np.nonzero(bad))
        unit = "coefficients up to 1" if column < shapes else "radians"
        raise InputError(
            f"{path}, row {rows[row] + 1}: {header[wanted[column]]} is {values[row, column]:g}, {unit} are meant"
        )


def _angles(by_name: dict[str, Tensor], names: tuple[str, ...]) -> Tensor | None:
    """[N, len(names)]; None where a column is missing."""
    return torch.stack([by_name[name] for name in names], -1) if all(name in by_name for name in names) else None


def _gaze(by_name: dict[str, Tensor]) -> Tensor | None:
    left, right = (_angles(by_name, names) for names in _EYES)
    return None if left is None or right is None else torch.stack([left, right], 1)
