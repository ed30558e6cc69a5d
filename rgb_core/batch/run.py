"""A run of a manifest: Ray starts while all that the stages need is imported, which takes as long."""

import fnmatch
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

from ..errors import InputError, did_you_mean
from ..output_folder import locked
from .manifest import Manifest
from .options import BatchOptions, Listener
from .records import SubjectRecord
from .session import ray_for, session

_LOCK = ".rgb-batch.lock"


def run_batch(manifest: Manifest, out: Path, listener: Listener, options: BatchOptions) -> dict[str, SubjectRecord]:
    """Run all subjects into `out`/NAME; finished stages are skipped and unfinished ones continue.

    The results and the page of all subjects are written however the run ends (see `report`).

    Returns:
        The records of the subjects that `options` choose, failed ones among them.

    Raises:
        InputError: when the manifest's settings, the folder or Ray cannot be used.
    """
    names = _chosen(manifest, options.only)
    threads = max([1, *(needs.cpus for needs in manifest.needs.values())])
    busy = f"another batch is writing to {out}; wait for it, or choose another folder"
    with locked(out, _LOCK, busy):
        ray_for(options.address)  # before the thread's imports, which would hold it up
        usable = _prepare(options)
        with session(options.address, options.workers, threads, options.device) as gpus:
            on_gpu = usable.result() and gpus  # what this machine lacks, the result says better than Ray
            if options.device == "cuda" and not on_gpu:
                raise InputError("--device cuda: no machine of the cluster has a GPU; use --device cpu")
            from .scheduler import run_subjects

            return run_subjects(manifest, names, out, listener, options, on_gpu)


def _prepare(options: BatchOptions) -> Future[bool]:
    """Import what the rest of a run needs, in a thread; whether stages may have a GPU, as far as this machine can say.

    The result raises an InputError where `devices.resolve_device` does.
    """

    def prepare() -> bool:
        from ..devices import resolve_device
        from . import scheduler  # noqa: F401

        ours = options.address is None and options.device != "cpu"
        return resolve_device(options.device).type == "cuda" if ours else options.device != "cpu"

    thread = ThreadPoolExecutor(1)
    prepared = thread.submit(prepare)
    thread.shutdown(wait=False)
    return prepared


def _chosen(manifest: Manifest, only: Sequence[str]) -> list[str]:
    for pattern in only:
        if not fnmatch.filter(manifest.subjects, pattern):
            raise InputError(f"--only: no subject is called '{pattern}'{did_you_mean(pattern, manifest.subjects)}")
    return [
        name for name in manifest.subjects if not only or any(fnmatch.fnmatchcase(name, pattern) for pattern in only)
    ]
