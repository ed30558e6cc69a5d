"""Timecodes to seconds: they count frames but do not say of which rate, which is found from how they count."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ..errors import InputError

_CODE = re.compile(r"(\d{1,2}):(\d{2}):(\d{2})([:;.])(\d{1,3}(?:\.\d+)?)")
_RATES = (24, 25, 30, 48, 50, 60, 100, 120)
_USUAL = 60  # of Live Link Face, where a recording ends before its seconds turn
_DROPPED = {30: 2, 60: 4}  # frame numbers left out each minute but every tenth, to keep pace with 29.97 and 59.94
_NTSC = 1000 / 1001
_DAY = 24 * 3600.0
_BACK_IN_TIME = -1.0  # seconds that rows may be out of order by


@dataclass(frozen=True, eq=False)
class Clock:
    """When the rows of a recording were taken."""

    times: np.ndarray
    """[N] seconds, as the rows stand."""
    fps: float
    """Rows a second."""


def read_clock(codes: Sequence[str], where: str) -> Clock:
    """The clock of timecodes HH:MM:SS:FF.fff, one a row.

    The rate that the frame numbers FF count at is the least usual one above the largest of them; numbers that are left
    out at full minutes, or a semicolon before them, tell 29.97 and 59.94 from 30 and 60. Rows may be several frames
    apart, or several to a frame.

    Args:
        where: what the rows are of, for error messages.

    Raises:
        InputError: for what is no timecode, and for rows that go back in time.
    """
    matches = [_CODE.fullmatch(code.strip()) for code in codes]
    for row, match in enumerate(matches, 1):
        if match is None:
            raise InputError(f"{where}, row {row}: {codes[row - 1]!r} is no timecode such as 12:00:00:05.250")
    found = [match.groups() for match in matches if match is not None]
    minutes = np.array([60 * int(hours) + int(mins) for hours, mins, *_ in found])
    seconds = np.array([int(parts[2]) for parts in found])
    frames = np.array([float(parts[4]) for parts in found])
    base = _base(seconds, frames, where)
    dropping = any(parts[3] == ";" for parts in found) or _drops(minutes, seconds, frames, base)
    counted = (60.0 * minutes + seconds) * base + frames
    if dropping and base in _DROPPED:
        counted -= _DROPPED[base] * (minutes - minutes // 10)
    rate = base * _NTSC if dropping and base in _DROPPED else float(base)
    times = _over_midnight(counted / rate)
    if len(times) > 1 and np.diff(times).min() < _BACK_IN_TIME:
        raise InputError(f"{where}, row {int(np.diff(times).argmin()) + 2} is earlier than the row before it")
    return Clock(times, _row_rate(times, rate))


def _base(seconds: np.ndarray, frames: np.ndarray, where: str) -> int:
    """The rate that frame numbers count at."""
    highest = int(frames.max()) + 1
    if highest > _RATES[-1]:
        raise InputError(f"{where}: its timecodes count to frame {highest - 1}; rates up to {_RATES[-1]} are known")
    least = next(rate for rate in _RATES if rate >= highest)
    return least if len(np.unique(seconds)) > 1 else max(least, _USUAL)


def _drops(minutes: np.ndarray, seconds: np.ndarray, frames: np.ndarray, base: int) -> bool:
    """Whether every full minute but each tenth begins with the first number that is not left out there."""
    starts = np.flatnonzero((np.diff(minutes) == 1) & (minutes[1:] % 10 != 0) & (seconds[1:] == 0)) + 1
    if not len(starts) or base not in _DROPPED:
        return False
    return bool((frames[starts].astype(int) == _DROPPED[base]).all())


def _over_midnight(times: np.ndarray) -> np.ndarray:
    """Times that go on where the clock starts again."""
    return times + _DAY * np.concatenate([[0], np.cumsum(np.diff(times) < -_DAY / 2)])


def _row_rate(times: np.ndarray, rate: float) -> float:
    """Rows a second: `rate`, or a whole part or multiple of it."""
    steps = np.diff(np.unique(times))
    if not len(steps):
        return rate
    apart = float(np.median(steps)) * rate
    return rate / round(apart) if apart >= 0.75 else rate * round(1 / apart)
