"""Times what a kernel launch and a whole call cost the host on a machine with a GPU: `python kernel_launch_cuda.py`.

Medians over rounds in microseconds of wall time, the device's work being shorter than the host's.
"""

import statistics
import time
from collections.abc import Callable

import torch
from diff_gaussian_rasterization import cuda, rasterize
from gaussian_rasterizer_cuda import cameras

from rgb_core.benchmarking.scenes import ellipsoid

ROUNDS, CALLS = 20, 50
POINTS, SIZE, CAPACITY = 500, 64, 50_000


def host_us(work: Callable[[], object]) -> float:
    """Median microseconds of one call, without waiting for the device between calls."""
    times = []
    for _ in range(ROUNDS):
        torch.cuda.synchronize()
        start = time.perf_counter()
        for _ in range(CALLS):
            work()
        times.append((time.perf_counter() - start) / CALLS)
    return 1e6 * statistics.median(times)


def main() -> None:
    """Print the table."""
    scene = [tensor.cuda() for tensor in ellipsoid(POINTS)]
    inputs = [tensor.clone().requires_grad_() for tensor in scene]
    matrices, intrinsics = cameras(1, SIZE)
    camera = matrices[0].double(), intrinsics[0].double(), SIZE, SIZE
    view = cuda.View.create(*camera, near=0.05, antialias=False)
    means, rotations, scales, opacities, features = scene
    gaussians = means, (rotations, scales), opacities
    projected = cuda._project(*gaussians, view)
    order, seen = cuda._sort(projected, view)
    counts = order.new_empty(view.tile_rows * view.tile_columns)
    few = projected.splats, order, seen, POINTS, POINTS, view.tile_rows, view.tile_columns, counts
    many = (
        means, None, rotations, scales, opacities, view.world_to_camera, view.intrinsics, *view.lens, view.near, POINTS,
        SIZE, SIZE, False, projected.splats, projected.depths, projected.radii, projected.tile_counts, projected.bases,
        projected.next_row, projected.histograms,
    )  # fmt: skip

    def step() -> None:
        result = rasterize(*inputs, *camera, capacity=CAPACITY)
        torch.autograd.grad([result.image, result.alpha], inputs, [result.image.detach(), result.alpha.detach()])

    print(torch.cuda.get_device_name())
    for name, work in (
        ("torch: empty", lambda: means.new_empty(1000)),
        ("torch: add_", lambda: features.add_(0)),
        (f"launch with {len(few)} arguments", lambda: cuda._COUNT.launch((1, 1, 1), 256, few)),
        (f"launch with {len(many)} arguments", lambda: cuda._PROJECT_FORWARD.launch((2, 1), 256, many)),
        ("rasterize: 9 launches", lambda: cuda.forward(*gaussians, features, view, 0, CAPACITY)),
        ("rasterize, checks and autograd", lambda: rasterize(*inputs, *camera, capacity=CAPACITY)),
        ("rasterize and gradients: 11 launches", step),
    ):
        work()
        print(f"  {name:40s} {host_us(work):8.1f} us")


if __name__ == "__main__":
    main()
