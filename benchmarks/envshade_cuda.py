"""Times shading on a GPU, medians by CUDA events: `python envshade_cuda.py [thousands of points]`."""

import sys
from functools import partial

import torch
from diff_envshade import PointVisibility, cuda, integrate
from kernel_runtime.timing import graph_ms

from rgb_core.benchmarking.scenes import shading_scene

SIZES = (16, 32)
# The table of design.md for 70,000 points: forward and backward at each size, ms.
TARGETS = {(16, "forward"): 0.10, (16, "backward"): 0.30, (32, "forward"): 0.35, (32, "backward"): 1.2}


def main() -> None:
    """Print times of both passes as the autograd function runs them, with what varies switched off in turn."""
    points = 1000 * int(sys.argv[1]) if len(sys.argv) > 1 else 70_000
    print(f"{torch.cuda.get_device_name()}, {points} points")
    for rows in SIZES:
        tensors, visibility = shading_scene(points, rows)
        fixed = [tensor.cuda() for tensor in tensors]
        seen = PointVisibility(*(tensor.cuda() for tensor in vars(visibility).values()))
        rotation = torch.eye(3, device="cuda")
        grads = torch.randn(2, points, 3, device="cuda").unbind(0)

        def backward(fixed=fixed, seen=seen, rotation=rotation, grads=grads, specular=True, of_map=True):
            normal, view, roughness, envmap = fixed
            surface = cuda.Surface(normal, view, None, None, roughness, envmap, cuda.Mesh.of(seen), rotation)
            return cuda.shade_backward((None, *grads), (None, None), surface, specular, of_map)

        cases = {
            "forward": lambda fixed=fixed, seen=seen: integrate(*fixed, seen),
            "forward, no visibility": lambda fixed=fixed: integrate(*fixed),
            "forward, irradiance only": lambda fixed=fixed, seen=seen: integrate(*fixed, seen, enable_specular=False),
            "backward": backward,
            "backward, no visibility": partial(backward, seen=None),
            "backward, fixed map": partial(backward, of_map=False),
        }
        for name, work in cases.items():
            target = TARGETS.get((rows, name)) if points == 70_000 else None
            goal = f"   target {target:.2f}" if target else ""
            print(f"{rows:3d} x {2 * rows:<3d}  {name:26s} {graph_ms(work):8.4f} ms{goal}")


if __name__ == "__main__":
    main()
