"""Rates and times of timecodes: what they count at, what they leave out, and what is none."""

import numpy as np
import pytest

from rgb_core.driving.timecode import read_clock
from rgb_core.errors import InputError


def codes(first: int, count: int, base: int, dropping: bool = False, mark: str = ":", step: float = 1) -> list[str]:
    """`count` timecodes from frame `first` on, every `step` frames; `dropping` skips numbers as drop-frame does."""
    out = []
    for index in range(count):
        frame = first + index * step
        if dropping:
            skipped = base // 15
            tens, rest = divmod(frame, base * 600 - 9 * skipped)
            later = max(0, (rest - base * 60) // (base * 60 - skipped) + 1)
            frame += skipped * (9 * tens + later)
        seconds, part = divmod(frame, base)
        clock = int(seconds)
        out.append(f"{clock // 3600:02d}:{clock // 60 % 60:02d}:{clock % 60:02d}{mark}{part:06.3f}")
    return out


@pytest.mark.parametrize("base", [24, 25, 30, 50, 60])
def test_the_rate_is_what_the_seconds_turn_at(base: int):
    clock = read_clock(codes(base // 2, base + 3, base), "take")
    assert clock.fps == base
    np.testing.assert_allclose(np.diff(clock.times), 1 / base)


def test_a_recording_within_one_second_is_at_the_rate_of_the_app():
    assert read_clock([f"12:00:00:{frame:02d}.000" for frame in range(12)], "take").fps == 60


@pytest.mark.parametrize(("base", "rate"), [(30, 30000 / 1001), (60, 60000 / 1001)])
@pytest.mark.parametrize("mark", [":", ";"])
def test_numbers_that_drop_frame_leaves_out_are_no_gaps(base: int, rate: float, mark: str):
    """Over a full minute, where 2 or 4 numbers are missing: with the semicolon that says so, and without."""
    clock = read_clock(codes(base * 58, base * 4, base, dropping=True, mark=mark), "take")
    assert clock.fps == pytest.approx(rate)
    np.testing.assert_allclose(np.diff(clock.times), 1 / rate, atol=1e-9)


def test_a_full_minute_without_missing_numbers_is_no_drop_frame():
    assert read_clock(codes(30 * 59, 60, 30), "take").fps == 30


def test_rows_may_be_finer_or_coarser_than_the_frames():
    assert read_clock(codes(20, 80, 30, step=0.5), "take").fps == 60
    assert read_clock(codes(50, 40, 60, step=2), "take").fps == 30


def test_missing_rows_leave_time_between_the_others():
    rows = codes(50, 40, 60)
    del rows[10:16]
    clock = read_clock(rows, "take")
    assert clock.fps == 60
    assert np.diff(clock.times).max() == pytest.approx(7 / 60)


def test_midnight_is_passed():
    day = 24 * 3600 * 25
    assert np.diff(read_clock([*codes(day - 3, 3, 25), *codes(0, 3, 25)], "take").times) == pytest.approx([0.04] * 5)


@pytest.mark.parametrize(
    ("rows", "says"),
    [
        (["12:00:00:01", "yesterday"], "row 2: 'yesterday' is no timecode"),
        (["12:00:05:01", "12:00:01:02"], "row 2 is earlier"),
        (["12:00:00:500"], "count to frame 500"),
    ],
)
def test_what_is_no_clock_is_one_sentence(rows: list[str], says: str):
    with pytest.raises(InputError, match=says):
        read_clock(rows, "take")
