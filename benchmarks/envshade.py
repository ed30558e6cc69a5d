"""Times shading on the CPU: `python -P envshade.py [thousands of points] [rows of the map]`."""

import statistics
import sys
import time
from collections.abc import Callable

import torch
from diff_envshade import PointVisibility, integrate
from torch.nn.functional import normalize

VERTICES, FACES = 20_000, 40_000
REPEATS = 11


def scene(points: int, rows: int) -> tuple[list[torch.Tensor], PointVisibility]:
    """Normals, views, roughness and a rows x 2 rows map, all wanting gradients, with random visibility bits."""
    generator = torch.Generator().manual_seed(0)
    normal, view = normalize(torch.randn(2, points, 3, generator=generator), dim=-1)
    roughness = 0.1 + 0.9 * torch.rand(points, 1, generator=generator)
    envmap = torch.rand(3, rows, 2 * rows, generator=generator)
    words = torch.randint(-(2**31), 2**31, (VERTICES, -(-2 * rows * rows // 32)), generator=generator).int()
    faces = torch.randint(0, VERTICES, (FACES, 3), generator=generator).int()
    face_id = torch.randint(0, FACES, (points,), generator=generator)
    visibility = PointVisibility(words, faces, face_id, torch.full((points, 3), 1 / 3))
    return [tensor.requires_grad_() for tensor in (normal, view, roughness, envmap)], visibility


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
    tensors, visibility = scene(points, rows)
    fixed = [tensor.detach() for tensor in tensors]
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
