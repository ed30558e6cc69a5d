"""What both fits share: the order in which frames are seen, and the log that stops at what is not finite."""

import pytest
import torch

from rgb_core.errors import DivergenceError
from rgb_core.fitting.log import StepLog
from rgb_core.fitting.order import FrameOrder
from rgb_core.progress import Silent

CPU = torch.device("cpu")


def order(count: int, batch: int, steps: int, seed: int) -> list[list[int]]:
    made = FrameOrder(count, batch, steps, seed, CPU)
    numbers = [made.numbers(step) for step in range(steps)]
    assert numbers == [made.rows(step).tolist() for step in range(steps)]
    return numbers


def test_every_pass_over_the_clip_shows_every_frame_once():
    steps = order(10, 5, 4, seed=1)
    for first in (0, 2):
        assert sorted(steps[first] + steps[first + 1]) == list(range(10))
    assert order(10, 5, 4, seed=1) == steps
    assert order(10, 5, 4, seed=2) != steps


def test_a_batch_never_has_a_frame_twice():
    assert order(3, 8, 5, seed=0) == [[0, 1, 2]] * 5
    assert all(len(set(rows)) == len(rows) for rows in order(5, 4, 20, seed=0))


class Told(Silent):
    """Keeps what was reported."""

    def __init__(self) -> None:
        self.reports: list[tuple[int, dict[str, float]]] = []

    def advance(self, units: int = 1, **values: float) -> None:
        self.reports.append((units, values))


def test_the_log_names_the_first_step_its_frames_and_the_value():
    log = StepLog(Silent(), torch.device("meta"), ("loss",), steps_at_once=100)
    good, bad = torch.ones(2), torch.tensor([1.0, torch.nan])
    log.add(3, "frames 1, 2", ("loss", "gradient"), good)
    log.flush()
    log.add(4, "frames 5, 6", ("loss", "gradient"), bad)
    log.add(5, "frames 7, 8", ("loss", "gradient"), torch.full((2,), torch.inf))
    assert not log.up_to_date
    with pytest.raises(DivergenceError, match="step 4, frames 5, 6: the gradient is not finite"):
        log.flush()
    assert log.up_to_date


def test_on_a_cpu_every_step_is_looked_at():
    log = StepLog(Silent(), CPU, ("loss",), steps_at_once=100)
    log.add(0, "frame 1", ("loss",), torch.ones(1))
    with pytest.raises(DivergenceError, match="step 1, frame 2: the loss"):
        log.add(1, "frame 2", ("loss",), torch.tensor([torch.inf]))


def test_a_report_shows_the_mean_of_the_steps_that_had_a_value():
    told = Told()
    log = StepLog(told, torch.device("meta"), ("loss", "late"), steps_at_once=3)
    for step, value in enumerate((1.0, 2.0)):
        log.add(step, "frame", ("loss",), torch.tensor([value]), gaussians=10)
    assert told.reports == []
    log.add(2, "frame", ("loss", "late"), torch.tensor([6.0, 5.0]), gaussians=12)
    assert told.reports == [(3, {"loss": 3.0, "late": 5.0, "gaussians": 12})]
