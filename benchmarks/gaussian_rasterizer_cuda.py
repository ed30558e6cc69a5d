"""Times the Gaussian rasteriser on a GPU, by stages: `python gaussian_rasterizer_cuda.py [thousands] [pixels]`.

Medians of CUDA events in milliseconds. "eager" has the host's launches in it; a graph replay has the kernels alone.
"""

import math
import statistics
import sys
from collections.abc import Callable
from functools import partial

import torch
from diff_gaussian_rasterization import cuda, rasterize
from gaussian_rasterizer import FIELD_OF_VIEW, ellipsoid

REPEATS = 100
WARM_UP = 5
LAUNCHES_PER_GRAPH = 10


def median_time(work: Callable[[], object]) -> float:
    """Median milliseconds of `work` on the current stream."""
    for _ in range(WARM_UP):
        work()
    events = [(torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)) for _ in range(REPEATS)]
    for start, end in events:
        start.record()
        work()
        end.record()
    torch.cuda.synchronize()
    return statistics.median(start.elapsed_time(end) for start, end in events)


def graph_time(work: Callable[[], object]) -> float:
    """Median milliseconds of one run of `work` within a CUDA graph of several."""
    side = torch.cuda.Stream()
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):
        work()
    torch.cuda.current_stream().wait_stream(side)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        for _ in range(LAUNCHES_PER_GRAPH):
            work()
    return median_time(graph.replay) / LAUNCHES_PER_GRAPH


def measure(points: int, size: int) -> None:
    """Print the time of forward and backward, and of the stages."""
    inputs = [tensor.cuda().requires_grad_() for tensor in ellipsoid(points)]
    world_to_camera = torch.eye(4, device="cuda")[:3].contiguous()
    world_to_camera[2, 3] = 1
    focal = size / (2 * math.tan(FIELD_OF_VIEW / 2))
    camera = world_to_camera, (focal, focal, size / 2, size / 2), size, size
    gradients = [torch.randn(size, size, 3, device="cuda"), torch.randn(size, size, device="cuda")]
    with torch.no_grad():  # a graph of the default stream kept alive would break the capture below
        first = rasterize(*inputs, *camera)
    instances = int(first.instances)
    capacity = 2 * instances

    def forward(capacity: int | None) -> None:
        with torch.no_grad():
            rasterize(*inputs, *camera, capacity=capacity)

    def both(capacity: int | None) -> None:
        result = rasterize(*inputs, *camera, capacity=capacity)
        torch.autograd.grad([result.image, result.alpha], inputs, gradients)

    means, rotations, scales, opacities, features = (tensor.detach() for tensor in inputs)
    shape = rotations, scales
    view = cuda.View.create(world_to_camera.double(), *camera[1:], near=0.05)
    projected = cuda._project(means, shape, opacities, view)
    arguments = means, shape, opacities, features, view
    lists = cuda.forward(*arguments, 0, capacity)[-1]
    stages = {
        "project": lambda: cuda._project(means, shape, opacities, view),
        "sort by depth": lambda: torch.sort(projected.depths, stable=True),
        "sort by depth, then into tiles": lambda: cuda._bin(projected, view, capacity),
        "forward kernels": lambda: cuda.forward(*arguments, 0, capacity),
        "backward kernels": lambda: cuda.backward(*arguments, lists, *gradients),
    }
    covered = (first.alpha > 0.5).float().mean().item()
    print(f"{torch.cuda.get_device_name()}: {points} Gaussians, {size} x {size}, {covered:.0%} covered, ", end="")
    print(f"{instances} instances")
    print(f"  {'':32s} {'eager':>8s} {'capacity':>8s} {'graph':>8s}")
    for name, work in (("forward", forward), ("forward and backward", both)):
        roomy = partial(work, capacity)
        times = median_time(partial(work, None)), median_time(roomy), graph_time(roomy)
        print(f"  {name:32s} " + " ".join(f"{time:8.3f}" for time in times))
    for name, stage in stages.items():
        print(f"  {name:32s} {'':8s} {median_time(stage):8.3f} {graph_time(stage):8.3f}")


def main() -> None:
    """Time the scene of the command line, or those that the documentation quotes."""
    if len(sys.argv) == 3:
        measure(1000 * int(sys.argv[1]), int(sys.argv[2]))
        return
    measure(70_000, 512)
    measure(20_000, 256)
    measure(200_000, 1024)


if __name__ == "__main__":
    main()
