"""Times shading on the CPU: `python -P envshade.py [thousands of points] [rows of the map]`."""

import statistics
import sys
import time
from collections.abc import Callable

import torch
from diff_envshade import integrate

from rgb_core.benchmarking.scenes import shading_scene

REPEATS = 11


def report(name: str, work: Callable[[], object]) -> None:
    """Print the fastest and the median of REPEATS calls after one that compiles."""
    times = []
    for _ in range(REPEATS + 1):
        start = time.perf_counter()
        work()
        times.append(1e3 * (time.perf_counter() - start))
    print(f"{name:32s} {min(times[1:]):8.1f} ms fastest {statistics.median(times[1:]):8.1f} ms median")


def main() -> None:
    """Print times of the forward pass and of the backward pass with and without the map's gradient."""
    points = 1000 * int(sys.argv[1]) if len(sys.argv) > 1 else 70_000
    rows = int(sys.argv[2]) if len(sys.argv) > 2 else 16
    fixed, visibility = shading_scene(points, rows)
    tensors = [tensor.clone().requires_grad_() for tensor in fixed]
    weights = torch.ones(2, points, 3).unbind(0)
    print(f"{points} points, {rows} x {2 * rows} texels, {torch.get_num_threads()} threads")
    report("forward", lambda: integrate(*fixed, visibility))
    report("forward, no visibility", lambda: integrate(*fixed))
    report("forward, irradiance only", lambda: integrate(*fixed, visibility, enable_specular=False))
    outputs = integrate(*tensors, visibility)
    report("backward", lambda: torch.autograd.grad(outputs, tensors, weights, retain_graph=True))
    outputs = integrate(*tensors[:3], fixed[3], visibility)
    report("backward, fixed map", lambda: torch.autograd.grad(outputs, tensors[:3], weights, retain_graph=True))


if __name__ == "__main__":
    main()
