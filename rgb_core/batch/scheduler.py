"""Runs a manifest: hands the legs of all subjects to Ray, which places, schedules and retries them, and tells of it."""

import contextlib
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ..errors import InputError, RgbError, printable
from ..presets import Preset
from .board import BoardActor, RemoteBoard
from .manifest import Manifest
from .options import BatchOptions, Listener
from .records import Failure, SubjectRecord, load_record
from .report import write_report
from .session import check_alive, check_room, interruptible, ray
from .stages import Job, Leg, legs_of
from .worker import run_leg, run_leg_on_gpu

_RETRIES = 3  # of a task whose worker or machine was lost
_POLL = 0.25  # seconds between looks at what workers tell
_CHECK = 5.0  # seconds between looks at whether Ray is there


def run_subjects(
    manifest: Manifest, names: Sequence[str], out: Path, listener: Listener, options: BatchOptions, gpus: bool
) -> dict[str, SubjectRecord]:
    """Run these subjects, with `gpus` or without; returns their records (see `run.run_batch`)."""
    jobs = {name: _job(manifest, name, out.absolute(), gpus, options.force) for name in manifest.subjects}
    records = {name: load_record(job.out, job.entry) for name, job in jobs.items()}
    given_up = [name for name in names if records[name].failure and not options.retry_failed]
    legs = {name: legs_of(jobs[name].subject, manifest.needs, gpus) for name in names if name not in given_up}
    check_room([leg.needs for own in legs.values() for leg in own])
    listener.begin(list(legs), given_up)
    try:
        with interruptible():
            _Run(jobs, legs, listener, records).work(options.max_failures)
    finally:
        write_report(out, records)
    return {name: records[name] for name in names}


def _job(manifest: Manifest, name: str, out: Path, gpus: bool, force: bool) -> Job:
    subject = manifest.subjects[name]
    try:
        preset: Preset = subject.load_preset("default" if gpus else "cpu")
    except RgbError as error:
        raise InputError(f"subject {name}: {error}") from error
    return Job(name, subject, preset, out / name, force, manifest.about)


class _Run:
    """The tasks of one run, from the first to the last."""

    def __init__(
        self, jobs: Mapping[str, Job], legs: Mapping[str, list[Leg]], listener: Listener,
        records: dict[str, SubjectRecord],
    ):  # fmt: skip
        self._jobs, self._legs, self._listener, self._records = jobs, legs, listener, records
        self._running: dict[Any, tuple[str, int]] = {}
        self._failures = 0
        here = ray().get_runtime_context().get_node_id()
        beside = ray().util.scheduling_strategies.NodeAffinitySchedulingStrategy(here, soft=False)
        actor = ray().remote(BoardActor).options(num_cpus=0, max_restarts=-1, scheduling_strategy=beside)
        self._actor = actor.remote()
        self._board = ray().put(RemoteBoard(self._actor))
        self._on_cpu, self._on_gpu = ray().remote(run_leg), ray().remote(num_gpus=1, max_calls=1)(run_leg_on_gpu)

    def work(self, max_failures: int | None) -> None:
        """Run everything; the records of subjects that end are replaced.

        Args:
            max_failures: stop after so many; what runs ends with the session and continues in the next run.
        """
        for name in self._legs:
            self._submit(name, 0)
        checked = time.monotonic()
        while self._running and (max_failures is None or self._failures < max_failures):
            done, _ = ray().wait(list(self._running), timeout=_POLL)
            self._hear()
            for task in done:
                self._ended(task)
            if time.monotonic() > checked + _CHECK:
                check_alive()
                checked = time.monotonic()

    def _submit(self, name: str, index: int) -> None:
        leg = self._legs[name][index]
        task = (self._on_gpu if leg.needs.gpus else self._on_cpu).options(
            name=f"{name}: {', '.join(leg.stages)}",
            num_cpus=leg.needs.cpus,
            num_gpus=leg.needs.gpus,
            memory=int(leg.needs.memory_gb * 1e9),
            max_retries=_RETRIES,
        )
        self._running[task.remote(self._jobs[name], leg, self._board)] = name, index

    def _ended(self, task: Any) -> None:
        """A leg is over: the next begins, or the subject has ended."""
        name, index = self._running.pop(task)
        record = self._result(task, name, self._legs[name][index])
        last = index + 1 == len(self._legs[name])
        if not record.failure and not last:
            self._submit(name, index + 1)
            return
        record.finished = not record.failure
        record.save(self._jobs[name].out)
        self._records[name] = record
        self._failures += record.failure is not None
        self._listener.end(name, record)

    def _result(self, task: Any, name: str, leg: Leg) -> SubjectRecord:
        """What a leg returned; a worker that was lost more often than Ray tries again is a failure like others.

        Raises:
            InputError: when Ray itself was lost, which is no subject's fault.
        """
        errors = ray().exceptions
        try:
            return ray().get(task)
        except errors.RayTaskError as error:
            if not isinstance(error.cause, RgbError):
                raise InputError(f"a worker does not run: {error.cause}") from error
            sentence = str(error.cause)
        except (errors.WorkerCrashedError, errors.OutOfMemoryError) as error:
            sentence = f"its worker was lost {_RETRIES + 1} times: {error}"
        except errors.RayError as error:
            raise InputError(f"Ray ended ({error}); run the same command again to continue") from error
        job = self._jobs[name]
        record = load_record(job.out, job.entry)
        record.failure = Failure(", ".join(leg.stages), printable(sentence))
        return record

    def _hear(self) -> None:
        """Pass on what the workers told; a board whose machine was lost begins anew."""
        with contextlib.suppress(ray().exceptions.RayError):
            for event in ray().get(self._actor.take.remote(), timeout=_POLL * 20):
                self._listener.event(event)
