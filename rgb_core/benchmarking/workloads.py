"""What is timed, as functions without arguments."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from diff_envshade import PointVisibility, integrate
from diff_gaussian_rasterization import rasterize
from gaussian_blendshapes import FaceRings, vertex_normals
from torchoptixext_visibility import MeshBvh

from ..rendering import RealTimeRenderer
from .scenes import bench_avatar, ellipsoid, ellipsoid_view, head_mesh, shading_scene

GAUSSIANS, VISIBILITY_POINTS, SIZE = 70_000, 20_000, 512
_SAMPLED = 80_500  # Poisson sampling keeps about GAUSSIANS of them


@dataclass(frozen=True)
class Workload:
    """One line of the table."""

    name: str
    run: Callable[[], object]
    target_ms: float | None = None  # on an H200, without the host's launches


def kernel_workloads(device: torch.device) -> list[Workload]:
    """The lines of the kernels."""
    return [
        *_shading(device, 16, 0.10, 0.30),
        *_shading(device, 32, 0.35, 1.2),
        *_rasterising(device),
        _visibility(device),
    ]


def frame_workloads(device: torch.device) -> list[Workload]:
    """Whole relit, animated frames on the built-in head as it is and split once, and the stages of the former."""
    whole, stages = [], []
    for splits in (0, 1):
        avatar = bench_avatar(_SAMPLED, splits).to(device)
        renderer = RealTimeRenderer(avatar, avatar.portrait.camera.lens)
        expression = torch.rand(len(avatar.head.expression_names), generator=torch.Generator().manual_seed(0))
        renderer.render(_Pose(expression, avatar.portrait.joints, avatar.portrait.translation))
        what = f"whole frame, {avatar.count} Gaussians, {avatar.head.vertex_count} vertices, {SIZE} x {SIZE}"
        whole.append(Workload(what, renderer.frame, 1.0))
        if splits == 0:
            stages = [Workload(f"  {name}", stage) for name, stage in renderer.stages.items()]
    return [whole[0], *stages, whole[1]]


@dataclass(frozen=True)
class _Pose:
    expression: torch.Tensor
    joints: torch.Tensor
    translation: torch.Tensor


def _shading(device: torch.device, rows: int, forward_ms: float, backward_ms: float) -> list[Workload]:
    tensors, visibility = shading_scene(GAUSSIANS, rows)
    inputs = [tensor.to(device).requires_grad_() for tensor in tensors]
    fixed = [tensor.detach() for tensor in inputs]
    seen = PointVisibility(*(tensor.to(device) for tensor in vars(visibility).values()))
    gradients = torch.ones(2, GAUSSIANS, 3, device=device).unbind(0)

    def both() -> None:
        torch.autograd.grad(integrate(*inputs, seen), inputs, gradients)

    what = f"shading, {GAUSSIANS} points x {rows}x{2 * rows}, visibility"
    return [
        Workload(f"{what}: forward", lambda: integrate(*fixed, seen), forward_ms),
        Workload(f"{what}: forward + backward", both, forward_ms + backward_ms),
    ]


def _rasterising(device: torch.device) -> list[Workload]:
    inputs = [tensor.to(device).requires_grad_() for tensor in ellipsoid(GAUSSIANS)]
    fixed = [tensor.detach() for tensor in inputs]
    world_to_camera, lens = ellipsoid_view(SIZE)
    camera = world_to_camera.to(device), *lens
    capacity = 2 * int(rasterize(*fixed, *camera).instances)
    gradients = [torch.ones(SIZE, SIZE, 3, device=device), torch.ones(SIZE, SIZE, device=device)]

    def both() -> None:
        drawn = rasterize(*inputs, *camera, capacity=capacity)
        torch.autograd.grad([drawn.image, drawn.alpha], inputs, gradients)

    what = f"rasterise {GAUSSIANS} Gaussians, {SIZE} x {SIZE}"
    return [
        Workload(f"{what}: forward", lambda: rasterize(*fixed, *camera, capacity=capacity), 0.15),
        Workload(f"{what}: forward + backward", both, 0.50),
    ]


def _visibility(device: torch.device) -> Workload:
    vertices, faces = (tensor.to(device) for tensor in head_mesh())
    bvh = MeshBvh(vertices, faces)
    normals = vertex_normals(vertices, FaceRings.of(faces, len(vertices)))
    points, upward, light = vertices[:VISIBILITY_POINTS], normals[:VISIBILITY_POINTS], torch.eye(3, device=device)

    def pose() -> None:
        bvh.refit(vertices)
        bvh.visibility(points, upward, 16, 32, light)

    return Workload(f"visibility, {len(points)} points x 512, {len(faces)} faces, refit", pose, 0.5)
