"""Times shading on a GPU, medians by CUDA events: `python envshade_cuda.py [thousands of points]`."""

import statistics
import sys
from collections.abc import Callable

import torch
from diff_envshade import PointVisibility, cuda, integrate
from envshade import scene

WARM_UP, REPEATS = 10, 100
SIZES = (16, 32)
# The table of design.md for 70,000 points: forward and backward at each size, ms.
TARGETS = {(16, "forward"): 0.10, (16, "backward"): 0.30, (32, "forward"): 0.35, (32, "backward"): 1.2}


def median_ms(work: Callable[[], object]) -> float:
    """Median over REPEATS of the time of `work` on the GPU, replayed from a CUDA graph so that Python costs nothing."""
    side = torch.cuda.Stream()
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):
        work()
    torch.cuda.current_stream().wait_stream(side)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        work()
    times = []
    for repeat in range(WARM_UP + REPEATS):
        start, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
        start.record()
        graph.replay()
        end.record()
        end.synchronize()
        if repeat >= WARM_UP:
            times.append(start.elapsed_time(end))
    return statistics.median(times)


def main() -> None:
    """Print times of both passes as the autograd function runs them, with what varies switched off in turn."""
    points = 1000 * int(sys.argv[1]) if len(sys.argv) > 1 else 70_000
    print(f"{torch.cuda.get_device_name()}, {points} points")
    for rows in SIZES:
        tensors, visibility = scene(points, rows)
        fixed = [tensor.detach().cuda() for tensor in tensors]
        seen = PointVisibility(*(tensor.cuda() for tensor in vars(visibility).values()))
        rotation = torch.eye(3, device="cuda")
        grads = torch.randn(2, points, 3, device="cuda").unbind(0)

        def backward(fixed=fixed, seen=seen, rotation=rotation, grads=grads, specular=True, of_map=True):
            return cuda.backward(*grads, *fixed, seen, rotation, specular, of_map)

        cases = {
            "forward": lambda fixed=fixed, seen=seen: integrate(*fixed, seen),
            "forward, no visibility": lambda fixed=fixed: integrate(*fixed),
            "forward, irradiance only": lambda fixed=fixed, seen=seen: integrate(*fixed, seen, enable_specular=False),
            "backward": backward,
            "backward, no visibility": lambda run=backward: run(seen=None),
            "backward, fixed map": lambda run=backward: run(of_map=False),
        }
        for name, work in cases.items():
            target = TARGETS.get((rows, name)) if points == 70_000 else None
            goal = f"   target {target:.2f}" if target else ""
            print(f"{rows:3d} x {2 * rows:<3d}  {name:26s} {median_ms(work):8.4f} ms{goal}")


if __name__ == "__main__":
    main()
