"""Medians of GPU times by CUDA events, and what calls cost the host: what benchmarks and `rgb bench` print."""

import statistics
import time
from collections.abc import Callable

import torch

REPEATS, WARM_UP, RUNS_PER_GRAPH = 100, 5, 10

Work = Callable[[], object]


def eager_ms(work: Work, repeats: int = REPEATS) -> float:
    """Median milliseconds of `work` on the current stream, the host's launches included."""
    for _ in range(WARM_UP):
        work()
    events = [(torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)) for _ in range(repeats)]
    for start, end in events:
        start.record()
        work()
        end.record()
    torch.cuda.synchronize()
    return statistics.median(start.elapsed_time(end) for start, end in events)


def graph_ms(work: Work, runs: int = RUNS_PER_GRAPH, repeats: int = REPEATS) -> float:
    """Median milliseconds of one run of `work` among `runs` in a CUDA graph: the kernels alone.

    `work` must not wait for the device.
    """
    return eager_ms(capture(work, runs).replay, repeats) / runs


def capture(work: Work, runs: int = 1) -> torch.cuda.CUDAGraph:
    """A CUDA graph of `runs` runs of `work`, after one run outside of it that compiles and allocates."""
    side = torch.cuda.Stream()
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):
        work()
    torch.cuda.current_stream().wait_stream(side)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        for _ in range(runs):
            work()
    return graph


def host_ms(work: Work, calls: int = 20, repeats: int = 10) -> float:
    """Median milliseconds that `work` keeps the host, among `calls` of it in a row that do not wait for the device.

    Where the device takes longer than the host for more launches than its queue holds, this is the device's time.
    """
    work()
    times = []
    for _ in range(repeats):
        torch.cuda.synchronize()
        start = time.perf_counter()
        for _ in range(calls):
            work()
        times.append((time.perf_counter() - start) / calls)
    torch.cuda.synchronize()
    return 1e3 * statistics.median(times)


def peak_mb(work: Work) -> float:
    """Megabytes that `work` has allocated at the most, beside what there was before."""
    torch.cuda.synchronize()
    before = torch.cuda.memory_allocated()
    torch.cuda.reset_peak_memory_stats()
    work()
    torch.cuda.synchronize()
    return (torch.cuda.max_memory_allocated() - before) / 1e6
