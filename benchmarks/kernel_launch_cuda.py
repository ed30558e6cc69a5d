"""Times what a kernel launch and a whole call cost the host on a machine with a GPU: `python kernel_launch_cuda.py`.

Medians over rounds in microseconds of wall time, the device's work being shorter than the host's.
"""

import statistics
import time
from collections.abc import Callable

import torch
from diff_gaussian_rasterization import cuda, rasterize
from diff_gaussian_rasterization.cuda_buffers import buffers
from gaussian_blendshapes import weighted_segment_sum
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
    places = buffers(POINTS, 1, view.tile_rows * view.tile_columns, SIZE * SIZE, 0)
    memory = torch.empty(places.size, dtype=torch.uint8, device="cuda")
    radii = torch.empty(POINTS, dtype=torch.int32, device="cuda")
    call = cuda.begin(*gaussians, view, places, memory)
    values, weights = torch.ones(1, 1, device="cuda"), torch.ones(1, device="cuda")
    offsets = torch.tensor([0, 1], device="cuda")

    def step() -> None:
        result = rasterize(*inputs, *camera, capacity=CAPACITY)
        torch.autograd.grad([result.image, result.alpha], inputs, [result.image.detach(), result.alpha.detach()])

    print(torch.cuda.get_device_name())
    for name, work in (
        ("torch: empty", lambda: means.new_empty(1000)),
        ("torch: add_", lambda: features.add_(0)),
        ("checked launch with 6 arguments", lambda: weighted_segment_sum(values, weights, offsets)),
        ("prepared launch with 10 arguments", lambda: cuda.sort(call)),
        ("prepared launch with 28 arguments", lambda: cuda.project(call, radii, features)),
        ("rasterize: 7 launches", lambda: cuda.forward(*gaussians, features, view, 0, CAPACITY)),
        ("rasterize, checks and autograd", lambda: rasterize(*inputs, *camera, capacity=CAPACITY)),
        ("rasterize and gradients: 9 launches", step),
    ):
        work()
        print(f"  {name:40s} {host_us(work):8.1f} us")


if __name__ == "__main__":
    main()
