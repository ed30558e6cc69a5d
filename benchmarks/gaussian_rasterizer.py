"""Times the Gaussian rasteriser on a head-sized ellipsoid: `python -P gaussian_rasterizer.py [thousands] [pixels]`."""

import statistics
import sys
import time

import torch
from diff_gaussian_rasterization import rasterize

from rgb_core.benchmarking.scenes import ellipsoid, ellipsoid_view

REPEATS = 15


def measure(points: int, size: int) -> None:
    """Print the median and the best time of forward and backward."""
    inputs = [tensor.requires_grad_() for tensor in ellipsoid(points)]
    world_to_camera, lens = ellipsoid_view(size)
    gradients = [torch.randn(size, size, 3), torch.randn(size, size)]
    forward, both = [], []
    for _ in range(REPEATS + 1):
        start = time.perf_counter()
        result = rasterize(*inputs, world_to_camera, *lens)
        forward.append(1e3 * (time.perf_counter() - start))
        torch.autograd.backward([result.image, result.alpha], gradients)
        both.append(1e3 * (time.perf_counter() - start))
    covered = (result.alpha > 0.5).float().mean().item()
    print(f"{points} Gaussians, {size} x {size}, {covered:.0%} covered, {torch.get_num_threads()} threads")
    print(f"  first call, with compilation or its cache {both[0]:8.1f} ms")
    for name, times in (("forward", forward[1:]), ("forward and backward", both[1:])):
        print(f"  {name:20s} median {statistics.median(times):7.1f} ms, best {min(times):7.1f} ms")


def main() -> None:
    """Time the scene of the command line, or the two that the documentation quotes."""
    if len(sys.argv) == 3:
        measure(1000 * int(sys.argv[1]), int(sys.argv[2]))
        return
    measure(70_000, 512)
    measure(20_000, 256)


if __name__ == "__main__":
    main()
