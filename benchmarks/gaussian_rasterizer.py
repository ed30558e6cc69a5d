"""Times the Gaussian rasteriser on a head-sized ellipsoid: `python -P gaussian_rasterizer.py [thousands] [pixels]`."""

import math
import statistics
import sys
import time

import torch
from diff_gaussian_rasterization import rasterize

SEMI_AXES = (0.09, 0.13, 0.11)  # metres
FIELD_OF_VIEW = 0.35  # radians
REPEATS = 15


def ellipsoid(points: int) -> list[torch.Tensor]:
    """Means, rotations, scales, opacities and colours of Gaussians on a noisy ellipsoid at the origin."""
    generator = torch.Generator().manual_seed(0)
    axes = torch.tensor(SEMI_AXES)
    directions = torch.nn.functional.normalize(torch.randn(points, 3, generator=generator), dim=1)
    means = directions * axes + 0.002 * torch.randn(points, 3, generator=generator)
    # Thomsen's formula for the area of an ellipsoid.
    a, b, c = (axis**1.6075 for axis in SEMI_AXES)
    area = 4 * math.pi * ((a * b + a * c + b * c) / 3) ** (1 / 1.6075)
    scales = 0.9 * math.sqrt(area / points) * torch.exp(0.3 * torch.randn(points, 3, generator=generator))
    rotations = torch.nn.functional.normalize(torch.randn(points, 4, generator=generator), dim=1)
    opacities = 0.45 + 0.5 * torch.rand(points, 1, generator=generator)
    return [means, rotations, scales, opacities, torch.rand(points, 3, generator=generator)]


def measure(points: int, size: int) -> None:
    """Print the median and the best time of forward and backward."""
    inputs = [tensor.requires_grad_() for tensor in ellipsoid(points)]
    world_to_camera = torch.eye(4)[:3]
    world_to_camera[2, 3] = 1
    focal = size / (2 * math.tan(FIELD_OF_VIEW / 2))
    intrinsics = (focal, focal, size / 2, size / 2)
    gradients = [torch.randn(size, size, 3), torch.randn(size, size)]
    forward, both = [], []
    for _ in range(REPEATS + 1):
        start = time.perf_counter()
        result = rasterize(*inputs, world_to_camera, intrinsics, size, size)
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
