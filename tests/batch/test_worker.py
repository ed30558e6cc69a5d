"""A worker's run of a subject: failures end in a sentence, finished stages keep their figures, locks outlive nobody."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from filelock import FileLock

from rgb_core.batch import worker
from rgb_core.batch.manifest import Needs, Subject
from rgb_core.batch.records import load_record
from rgb_core.batch.stages import STAGES, Job, Leg, Stage
from rgb_core.errors import InputError
from rgb_core.output_folder import OutputFolder
from rgb_core.presets import Preset
from rgb_core.progress import Progress

LEG = Leg(("fit-geometry", "fit-gaussians"), Needs(gpus=0))


class Heard:
    """A board that keeps what it is told."""

    def __init__(self) -> None:
        self.events: list[dict[str, Any]] = []

    def tell(self, event: dict[str, Any]) -> None:
        self.events.append(event)


def work(job: Job, device: torch.device, progress: Progress) -> None:
    """A stage that says what it does and finishes its folder."""
    with OutputFolder.claim(job.out / "geometry", "geometry", "same") as folder:
        progress.start("counting", 2)
        progress.advance(2)
        progress.message("counted \x1b[2J twice")
        (folder.path / "result").write_bytes(b"x" * 2_000_000)
        folder.finish()


def fail(job: Job, device: torch.device, progress: Progress) -> None:
    raise InputError("the video shows nobody; film somebody")


def crash(job: Job, device: torch.device, progress: Progress) -> None:
    raise ZeroDivisionError("by nought")


@pytest.fixture
def job(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Job:
    monkeypatch.setitem(STAGES, "fit-geometry", Stage(work, "geometry"))
    monkeypatch.setattr(torch, "set_num_threads", lambda count: None)  # of the test run
    return Job("nina", Subject(dataset=tmp_path), Preset(), tmp_path / "nina")


def run(job: Job, monkeypatch: pytest.MonkeyPatch, second: Any) -> tuple[Any, Heard]:
    monkeypatch.setitem(STAGES, "fit-gaussians", Stage(second, "avatar"))
    board = Heard()
    return worker.run_leg(job, LEG, board), board


def test_a_bad_subject_ends_with_the_sentence_of_its_stage(job: Job, monkeypatch: pytest.MonkeyPatch):
    record, board = run(job, monkeypatch, fail)
    assert (record.failure.stage, record.failure.sentence) == ("fit-gaussians", "the video shows nobody; film somebody")
    assert record.stages["fit-geometry"].disk_mb == pytest.approx(2, rel=0.01)
    assert load_record(job.out, job.entry) == record
    assert {"subject": "nina", "stage": "fit-geometry", "what": "counting", "done": 0, "total": 2} in board.events
    log = (job.out / "log.txt").read_text()
    assert "film somebody" in log
    assert "counted \\x1b[2J twice" in log


def test_an_error_that_nobody_foresaw_is_a_line_and_its_traceback_is_in_the_log(
    job: Job, monkeypatch: pytest.MonkeyPatch
):
    record, _ = run(job, monkeypatch, crash)
    assert record.failure.sentence.startswith("ZeroDivisionError: by nought (")
    assert "in crash" in (job.out / "log.txt").read_text()


def test_a_finished_stage_keeps_the_figures_of_the_run_that_finished_it(job: Job, monkeypatch: pytest.MonkeyPatch):
    first, _ = run(job, monkeypatch, fail)
    second, _ = run(job, monkeypatch, lambda job, device, progress: None)
    assert second.failure is None
    assert second.stages["fit-geometry"] == first.stages["fit-geometry"]
    assert set(second.stages) == {"fit-geometry", "fit-gaussians"}


THREADS = """
import sys
from pathlib import Path
import numba, torch
from rgb_core.batch import worker
from rgb_core.batch.manifest import Needs, Subject
from rgb_core.batch.stages import STAGES, Job, Leg, Stage
from rgb_core.presets import Preset

class Board:
    def tell(self, event): pass

def count(job, device, progress):
    print(torch.get_num_threads(), numba.get_num_threads())

STAGES["eval"] = Stage(count, "report")
job = Job("nina", Subject(dataset=Path("none")), Preset(), Path(sys.argv[1]))
worker.run_leg(job, Leg(("eval",), Needs(cpus=int(sys.argv[2]), gpus=0)), Board())
"""


@pytest.mark.parametrize("cpus", ["1", "2"])
def test_a_stage_has_the_threads_that_its_leg_asks_for_however_many_cores_there_are(cpus: str, tmp_path: Path):
    environment = {**os.environ, "NUMBA_NUM_THREADS": "3", "OMP_NUM_THREADS": "3"}
    command = [sys.executable, "-c", THREADS, str(tmp_path), cpus]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.split() == [cpus, cpus]


def test_a_worker_waits_for_one_that_is_still_ending_and_then_says_so(job: Job, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(worker, "_PATIENCE", 0.1)
    job.out.mkdir()
    with FileLock(job.out / ".rgb-batch.lock"), pytest.raises(InputError, match="another batch is working in"):
        run(job, monkeypatch, fail)
    run(job, monkeypatch, fail)
