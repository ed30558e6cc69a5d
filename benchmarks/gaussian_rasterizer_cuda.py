"""Times the Gaussian rasteriser on a GPU, by stages: `python gaussian_rasterizer_cuda.py [thousands] [pixels]`.

Medians of CUDA events in milliseconds. "eager" has the host's launches in it; a graph replay has the kernels alone.
"""

import math
import sys
from functools import partial

import torch
from diff_gaussian_rasterization import cuda, rasterize
from diff_gaussian_rasterization.cuda_buffers import buffers
from kernel_runtime.timing import eager_ms, graph_ms

from rgb_core.benchmarking.scenes import ellipsoid, ellipsoid_view

BATCH = 4  # cameras in one call


def cameras(count: int, size: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Matrices [B,3,4] and intrinsics [B,4] of cameras 1 m from the origin, around the ellipsoid."""
    angles = torch.arange(count) * (2 * math.pi / count)
    matrices = torch.zeros(count, 3, 4)
    matrices[:, 0, 0], matrices[:, 0, 2] = torch.cos(angles), torch.sin(angles)
    matrices[:, 2, 0], matrices[:, 2, 2] = -torch.sin(angles), torch.cos(angles)
    matrices[:, 1, 1] = matrices[:, 2, 3] = 1
    _, (intrinsics, _, _) = ellipsoid_view(size)
    return matrices.cuda(), torch.tensor(intrinsics).repeat(count, 1).cuda()


def measure(points: int, size: int) -> None:
    """Print the time of forward and backward, for one camera and several, and of the stages."""
    scene = [tensor.cuda() for tensor in ellipsoid(points)]
    batch = [tensor.expand(BATCH, -1, -1).contiguous() for tensor in scene]
    matrices, intrinsics = cameras(BATCH, size)
    one = scene, (matrices[0], intrinsics[0], size, size)
    with torch.no_grad():  # a graph of the default stream kept alive would break the capture below
        first = rasterize(*scene, *one[1])
    instances = int(first.instances)
    covered = (first.alpha > 0.5).float().mean().item()
    print(f"{torch.cuda.get_device_name()}: {points} Gaussians, {size} x {size}, {covered:.0%} covered, ", end="")
    print(f"{instances} instances")
    print(f"  {'':40s} {'eager':>8s} {'capacity':>8s} {'graph':>8s}")
    several = batch, (matrices, intrinsics, size, size)
    for case, (tensors, camera), options in (
        ("", one, {}),
        (", antialiased", one, {"antialias": True}),
        (f", {BATCH} cameras", several, {}),
    ):
        inputs = [tensor.clone().requires_grad_() for tensor in tensors]
        shape = tensors[0].shape[:-2]
        gradients = [torch.randn(*shape, size, size, 3, device="cuda"), torch.randn(*shape, size, size, device="cuda")]
        room = 2 * instances * math.prod(shape)

        def forward(
            capacity: int | None, inputs: list = inputs, camera: tuple = camera, options: dict = options
        ) -> None:
            with torch.no_grad():
                rasterize(*inputs, *camera, capacity=capacity, **options)

        def both(
            capacity: int | None,
            inputs: list = inputs,
            camera: tuple = camera,
            options: dict = options,
            gradients: list = gradients,
        ) -> None:
            result = rasterize(*inputs, *camera, capacity=capacity, **options)
            torch.autograd.grad([result.image, result.alpha], inputs, gradients)

        for name, work in (("forward", forward), ("forward and backward", both)):
            times = eager_ms(partial(work, None)), eager_ms(partial(work, room)), graph_ms(partial(work, room))
            print(f"  {name + case:40s} " + " ".join(f"{time:8.3f}" for time in times))
    measure_stages(*one, 2 * instances)


def measure_stages(scene: list[torch.Tensor], camera: tuple, capacity: int) -> None:
    """Print the time of the stages of one camera."""
    means, rotations, scales, opacities, features = scene
    matrix, intrinsics, width, height = camera
    view = cuda.View.create(matrix.double(), intrinsics.double(), width, height, near=0.05, antialias=False)
    gaussians = means, (rotations, scales), opacities
    *_, lists = cuda.forward(*gaussians, features, view, 0, capacity)
    gradients = torch.randn(height, width, 3, device="cuda"), torch.randn(height, width, device="cuda")
    places = buffers(len(means), 1, view.tile_rows * view.tile_columns, height * width, 0)
    memory = torch.empty(places.size, dtype=torch.uint8, device="cuda")
    entries = torch.empty(2 * capacity, dtype=torch.int32, device="cuda")
    radii = torch.empty(len(means), dtype=torch.int32, device="cuda")

    def run(stages: int) -> None:
        call = cuda.begin(*gaussians, view, places, memory)
        cuda.project(call, radii, features)
        if stages > 1:
            cuda.sort(call)
        if stages > 2:
            cuda.count(call, None, None)
            cuda.place(call, entries.data_ptr(), capacity)

    stages = {
        "project": partial(run, 1),
        "project, sort by depth": partial(run, 2),
        "project, sort by depth and into tiles": partial(run, 3),
        "forward kernels": lambda: cuda.forward(*gaussians, features, view, 0, capacity),
        "backward kernels": lambda: cuda.backward(*gaussians, features, view, lists, *gradients, None),
    }
    for name, stage in stages.items():
        print(f"  {name:40s} {'':8s} {eager_ms(stage):8.3f} {graph_ms(stage):8.3f}")


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
