"""A batch on a Ray of this machine: a worker that is killed, a subject that fails, and one that was left alone."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch

from rgb_core.batch import scheduler
from rgb_core.batch.board import Board
from rgb_core.batch.manifest import Manifest, parse_manifest
from rgb_core.batch.options import BatchOptions
from rgb_core.batch.records import Failure, SubjectRecord, load_record
from rgb_core.batch.run import run_batch
from rgb_core.batch.stages import Job, Leg
from rgb_core.devices import resolve_device
from rgb_core.errors import InputError

ray = pytest.importorskip("ray", reason="needs Ray: pip install 'rgb-avatar[batch]'")


def leg(job: Job, leg: Leg, board: Board) -> SubjectRecord:
    """What a worker does, without the work: `bad` fails, `dies` kills its process the first time."""
    if job.name == "bad":
        return SubjectRecord(job.entry, failure=Failure("import", "the clip is damaged"))
    tries = job.out / "tries"
    job.out.mkdir(exist_ok=True)
    with tries.open("a") as file:
        file.write(f"{','.join(leg.stages)} {os.environ['OMP_WAIT_POLICY']}\n")
    if job.name == "dies" and tries.read_text().count("\n") == 1:
        os.kill(os.getpid(), signal.SIGKILL)
    board.tell({"subject": job.name, "stage": leg.stages[0], "done": 1, "total": 1})
    time.sleep(0.5)  # for the driver to look
    return SubjectRecord(job.entry)


class Heard:
    """Keeps what a batch says."""

    def __init__(self) -> None:
        self.begun: list[Sequence[str]] = []
        self.events: list[dict[str, Any]] = []
        self.ended: dict[str, SubjectRecord] = {}

    def begin(self, subjects: Sequence[str], given_up: Sequence[str]) -> None:
        self.begun = [subjects, given_up]

    def event(self, event: dict[str, Any]) -> None:
        self.events.append(event)

    def end(self, subject: str, record: SubjectRecord) -> None:
        self.ended[subject] = record


@pytest.fixture
def manifest(tmp_path: Path) -> Manifest:
    rows = "dies: {dataset: d}, bad: {clip: c}, given_up: {dataset: d}, other: {dataset: d}"
    text = f"format: rgb-batch\nversion: 1\nneeds: {{eval: {{memory_gb: 0.1}}}}\nsubjects: {{{rows}}}"
    return parse_manifest(text, "manifest", tmp_path)


def test_a_killed_worker_is_replaced_and_failures_stop_nobody(
    manifest: Manifest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("RAY_ADDRESS", "127.0.0.1:1")  # of a cluster that the user has for other work
    ray.cloudpickle.register_pickle_by_value(sys.modules[__name__])
    monkeypatch.setattr(scheduler, "run_leg", leg)
    out, heard = tmp_path / "out", Heard()
    preset = scheduler._job(manifest, "given_up", out, gpus=False, force=False)
    SubjectRecord(preset.entry, failure=Failure("track", "before")).save(out / "given_up")
    options = BatchOptions(only=("dies", "bad", "given_*"), workers=1, device="cpu")
    records = run_batch(manifest, out, heard, options)
    assert heard.begun == [["dies", "bad"], ["given_up"]]
    assert set(heard.ended) == {"dies", "bad"}
    assert records["dies"].finished
    assert records["bad"].failure == Failure("import", "the clip is damaged")
    assert records["given_up"].failure == Failure("track", "before")
    assert {name: load_record(out / name, record.entry) for name, record in records.items()} == records
    tries = (out / "dies" / "tries").read_text().splitlines()
    first, third = "fit-geometry,fit-gaussians passive", "relight,export passive"
    assert tries == [first, first, "eval passive", third]
    assert "fit-geometry" in {event["stage"] for event in heard.events}  # the last may come too late
    assert "other,unfinished" in (out / "results.csv").read_text()
    assert not ray.is_initialized()


LOST = """
import os, signal, subprocess, sys, time
from pathlib import Path
from rgb_core.batch import scheduler
from rgb_core.batch.manifest import parse_manifest
from rgb_core.batch.options import BatchOptions
from rgb_core.batch.run import run_batch
from rgb_core.errors import InputError

def leg(job, leg, board):
    board.tell({"subject": job.name, "stage": "eval", "done": 1, "total": 2})
    time.sleep(600)

class Killer:
    def begin(self, subjects, given_up): pass
    def end(self, subject, record): pass
    def event(self, event):
        ray = subprocess.run(["pgrep", "-P", str(os.getpid()), "gcs_server"], capture_output=True, text=True)
        for process in ray.stdout.split():
            os.kill(int(process), signal.SIGKILL)

scheduler.run_leg = leg
manifest = parse_manifest("format: rgb-batch\\nversion: 1\\nsubjects: {a: {dataset: d}}", "manifest", Path(sys.argv[1]))
try:
    run_batch(manifest, Path(sys.argv[1]) / "out", Killer(), BatchOptions(workers=1, device="cpu"))
except InputError as error:
    print(error)
"""


def test_when_ray_itself_is_killed_a_sentence_says_so_and_the_results_are_written(tmp_path: Path):
    command = [sys.executable, "-c", LOST, str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=300)
    assert done.stdout == "Ray has ended; run the same command again to continue\n"
    assert "a,unfinished" in (tmp_path / "out" / "results.csv").read_text()


def test_a_mistyped_subject_is_refused_before_anything_starts(manifest: Manifest, tmp_path: Path):
    with pytest.raises(InputError, match=r"no subject is called 'dis' \(did you mean dies\?\)"):
        run_batch(manifest, tmp_path / "out", Heard(), BatchOptions(only=("dis",)))
    assert not (tmp_path / "out").exists()


def test_a_preset_that_cannot_be_read_names_its_subject(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    text = "format: rgb-batch\nversion: 1\nsubjects: {a: {dataset: d, preset: demmo}}"
    with pytest.raises(InputError, match="subject a: preset 'demmo' does not exist"):
        scheduler._job(parse_manifest(text, "manifest", tmp_path), "a", tmp_path, gpus=False, force=False)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_a_missing_gpu_is_said_as_other_commands_say_it(manifest: Manifest, tmp_path: Path):
    with pytest.raises(InputError) as single:
        resolve_device("cuda")
    with pytest.raises(InputError) as batch:
        run_batch(manifest, tmp_path / "out", Heard(), BatchOptions(workers=1, device="cuda"))
    assert str(batch.value) == str(single.value)


def test_ray_starts_before_anything_that_takes_seconds_to_import():
    code = "import sys, rgb_core.batch.run, rgb_core.batch.board; print({'torch', 'numba', 'scipy'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"
