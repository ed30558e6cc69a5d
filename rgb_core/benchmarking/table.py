"""The table of `rgb bench`."""

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from kernel_runtime.timing import eager_ms, graph_ms, host_ms, peak_mb

from ..progress import Progress
from .comparison import Comparison, compare
from .workloads import Workload, curve_workloads, frame_workloads, kernel_workloads

_CPU_REPEATS = 5


@dataclass(frozen=True)
class Row:
    """One line; times are medians in milliseconds."""

    name: str
    milliseconds: float
    """On a GPU replayed from a CUDA graph: the kernels alone."""
    eager: float | None = None
    """On a GPU with the host's launches."""
    host: float | None = None
    """On a GPU what a call keeps the host busy, the device being left to itself."""
    memory: float | None = None
    """On a GPU what a call allocates at the most beside its inputs, MB."""
    target: float | None = None
    """What docs/performance.md asks of an H200."""
    other: float | None = None
    """Another package by the same call."""
    ratio: float | None = None
    """Its time over ours."""
    file: str | None = None
    """The file of that package that was loaded."""


def benchmark(device: torch.device, progress: Progress, upstream: Path | None = None, sizes: bool = False) -> list[Row]:
    """Time the kernels, the stages of a frame and the whole frame on `device`, and other packages where they are.

    Args:
        upstream: folder with the original packages.
        sizes: also time the rasteriser for many numbers of Gaussians and pixels, and larger frames.

    Raises:
        InputError: when `upstream` holds no package that runs.
    """
    compared = compare(upstream) if upstream is not None or device.type == "cuda" else []
    workloads: list[Workload] = []
    with torch.no_grad():
        workloads += frame_workloads(device)
    workloads = kernel_workloads(device) + workloads
    curve = curve_workloads(device) if sizes else []
    progress.start("timing", len(workloads) + len(curve))
    rows = []
    for workload in workloads:
        rows.append(_time(workload, device))
        progress.advance()
    for make in curve:  # made one after the other, since the largest fill a card
        rows.append(_time(make(), device))
        progress.advance()
    return rows + list(map(_compared, compared))


def _compared(row: Comparison) -> Row:
    name = f"by the calls of {row.package}: {row.name}"
    return Row(name, row.ours, other=row.theirs, ratio=row.theirs / row.ours, file=row.file)


def _time(workload: Workload, device: torch.device) -> Row:
    if device.type == "cuda":
        eager, host, memory = eager_ms(workload.run), host_ms(workload.run), peak_mb(workload.run)
        return Row(workload.name, graph_ms(workload.in_graph), eager, host, memory, workload.target_ms)
    return Row(workload.name, _wall_ms(workload.run))


def _wall_ms(work: Callable[[], object]) -> float:
    work()
    times = []
    for _ in range(_CPU_REPEATS):
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return 1e3 * statistics.median(times)
