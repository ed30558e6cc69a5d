"""What a worker of a batch does: some stages of one subject, with a log and a record in the subject's folder."""

import contextlib
import sys
import time
import traceback
from pathlib import Path
from typing import Any

import numba
import torch

from ..devices import device_name, resolve_device
from ..errors import RgbError, printable
from ..output_folder import is_finished, locked
from .board import Board
from .records import LOG, Failure, SubjectRecord, Taken, load_record
from .stages import STAGES, Job, Leg

_LOCK = ".rgb-batch.lock"
_PATIENCE = 120.0  # seconds for the worker to end whose machine or driver was lost
_TELL_EVERY = 0.5  # seconds between reports of progress
_MB = 1e6


def set_threads(count: int) -> None:
    """How many threads torch and our kernels on the CPU use in this process."""
    numba.set_num_threads(min(count, numba.config.NUMBA_NUM_THREADS))  # type: ignore[attr-defined]
    torch.set_num_threads(count)  # after numba, which starts as many of OpenMP's threads as there are cores


def run_leg(job: Job, leg: Leg, board: Board) -> SubjectRecord:
    """Run a leg's stages that are not finished yet; returns the subject's record, in which a failure is noted.

    An error of a stage ends the subject and nothing else: the sentence is in the record, the traceback of an error
    that nobody foresaw in the log.
    """
    set_threads(leg.needs.cpus)
    # One that another machine took over may still be ending.
    with locked(job.out, _LOCK, f"another batch is working in {job.out}; wait for it", _PATIENCE):
        record = load_record(job.out, job.entry)
        record.failure = None
        progress = _Reports(job, board)
        device = resolve_device("cuda" if leg.needs.gpus else "cpu")
        for name in leg.stages:
            progress.stage = name
            try:
                _run(name, job, device, progress, record)
            except RgbError as error:
                record.failure = Failure(name, str(error))
            except Exception as error:  # a defect of ours must not stop the other subjects
                progress.log(traceback.format_exc())
                record.failure = Failure(name, printable(f"{type(error).__name__}: {error} ({job.out / LOG} has more)"))
            if record.failure:
                progress.log(f"failed: {record.failure.sentence}")
                break
        record.save(job.out)
    return record


def run_leg_on_gpu(job: Job, leg: Leg, board: Board) -> SubjectRecord:
    """The same for a worker with a share of a GPU, which ends with its task: it could not give the card back, nor use
    another one for its next task."""
    return run_leg(job, leg, board)


def _run(name: str, job: Job, device: torch.device, progress: "_Reports", record: SubjectRecord) -> None:
    """One stage, and what it took; what an earlier run noted of a finished stage is kept."""
    stage = STAGES[name]
    made = job.out / stage.folder
    known = name in record.stages and (is_finished(made) or made.is_file())
    _forget_peaks(device)
    started = time.perf_counter()
    progress.begin()
    stage.run(job, device, progress)
    if not known:
        record.stages[name] = Taken(
            seconds=time.perf_counter() - started,
            memory_mb=_peak_memory() / _MB,
            gpu_mb=torch.cuda.max_memory_reserved(device) / _MB if device.type == "cuda" else 0.0,
            disk_mb=_size(made) / _MB,
            device=device_name(device),
        )
        record.save(job.out)
    progress.log(f"{name} finished after {record.stages[name].seconds:.1f} s")


def _forget_peaks(device: torch.device) -> None:
    """Let the most memory that the process had begin anew, where the system can."""
    if sys.platform == "linux":
        with contextlib.suppress(OSError):
            Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
    if device.type == "cuda":
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats(device)


def _peak_memory() -> float:
    """The most bytes that the process had since they were forgotten; 0 where the system does not say."""
    if sys.platform == "linux":
        import resource

        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024.0
    return 0.0


def _size(path: Path) -> int:
    files = [path] if path.is_file() else path.rglob("*")
    return sum(file.stat().st_size for file in files if file.is_file() and not file.is_symlink())


class _Reports:
    """The progress of a subject: all of it to the log's messages, a little of it to the board."""

    def __init__(self, job: Job, board: Board):
        self.stage = ""
        self._job, self._board = job, board
        self._done = self._total = 0
        self._told = 0.0

    def begin(self) -> None:
        """A stage of the batch begins."""
        self.log(f"{self.stage} starts")
        self._tell(what=self.stage, done=0, total=0)

    def start(self, stage: str, total: int, done: int = 0) -> None:
        """See `progress.Progress`."""
        self._done, self._total = done, total
        self._tell(what=stage, done=done, total=total)

    def advance(self, units: int = 1, **values: float) -> None:
        """See `progress.Progress`."""
        self._done += units
        if time.monotonic() - self._told > _TELL_EVERY:
            self._tell(done=self._done, total=self._total)

    def message(self, text: str) -> None:
        """See `progress.Progress`."""
        self.log(printable(text))
        self._tell(message=printable(text))

    def log(self, text: str) -> None:
        """A line of the subject's log."""
        with (self._job.out / LOG).open("a", encoding="utf-8") as file:
            file.write(f"{time.strftime('%Y-%m-%d %H:%M:%S')} {text}\n")

    def _tell(self, **values: Any) -> None:
        self._told = time.monotonic()
        self._board.tell({"subject": self._job.name, "stage": self.stage, **values})
