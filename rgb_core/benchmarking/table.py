"""The table of `rgb bench`."""

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from kernel_runtime.timing import eager_ms, graph_ms

from ..progress import Progress
from .comparison import compare
from .workloads import Workload, frame_workloads, kernel_workloads

_CPU_REPEATS = 5


@dataclass(frozen=True)
class Row:
    """One line; times are medians in milliseconds."""

    name: str
    milliseconds: float  # on a GPU replayed from a CUDA graph: the kernels alone
    eager: float | None = None  # on a GPU with the host's launches
    target: float | None = None  # what docs/performance.md asks of an H200
    upstream: float | None = None  # upstream's package by the same call
    ratio: float | None = None  # upstream's time over ours


def benchmark(device: torch.device, progress: Progress, upstream: Path | None = None) -> list[Row]:
    """Time the kernels, the stages of a frame and the whole frame on `device`, and upstream's packages where given.

    Raises:
        InputError: when `upstream` holds no package that runs.
    """
    compared = {} if upstream is None else compare(upstream)
    workloads: list[Workload] = []
    with torch.no_grad():
        workloads += frame_workloads(device)
    workloads = kernel_workloads(device) + workloads
    progress.start("timing", len(workloads))
    rows = []
    for workload in workloads:
        rows.append(_time(workload, device))
        progress.advance()
    rows += [
        Row(f"by upstream's calls: {name}", ours, upstream=theirs, ratio=theirs / ours)
        for name, (ours, theirs) in compared.items()
    ]
    return rows


def _time(workload: Workload, device: torch.device) -> Row:
    if device.type == "cuda":
        eager = eager_ms(workload.run)
        return Row(workload.name, graph_ms(workload.run), eager, workload.target_ms)
    return Row(workload.name, _wall_ms(workload.run))


def _wall_ms(work: Callable[[], object]) -> float:
    work()
    times = []
    for _ in range(_CPU_REPEATS):
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return 1e3 * statistics.median(times)
