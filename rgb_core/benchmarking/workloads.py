"""What is timed, as functions without arguments."""

import itertools
import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from diff_envshade import PointVisibility, integrate
from diff_gaussian_rasterization import rasterize
from gaussian_blendshapes import FaceRings, pose_head, vertex_normals, weighted_segment_sum
from torchoptixext_visibility import MeshBvh

from ..avatar import Avatar
from ..avatar.packing import pack_avatar
from ..heads import Pose
from ..images import linear_to_srgb
from ..rendering import Renderer
from ..rendering.renderer import lit_vertices
from ..rendering.stages import attach_packed, pose_packed, splat, visible_to
from ..rotations import axis_angle_to_matrix
from ..shading import SurfaceTracer, light_gaussians
from .scenes import bench_avatar, ellipsoid, ellipsoid_view, head_mesh, shading_scene

GAUSSIANS, VISIBILITY_POINTS, SIZE = 70_000, 20_000, 512
LARGE_FRAMES = (1024, 2048)
_TURN_DEGREES, _TURNS = 1.0, 5  # of the head between two frames; how many one way
CURVE, CURVE_SIZES = (1_000, 10_000, 70_000, 500_000, 2_000_000), (256, 512, 1024, 2048)
_SAMPLED = 80_500  # Poisson sampling keeps about GAUSSIANS of them


@dataclass(frozen=True)
class Workload:
    """One line of the table."""

    name: str
    run: Callable[[], object]
    target_ms: float | None = None
    """On an H200, without the host's launches."""
    captured: Callable[[], object] | None = None
    """What is timed in a CUDA graph; None: the same."""

    @property
    def in_graph(self) -> Callable[[], object]:
        """What is timed in a CUDA graph."""
        return self.captured or self.run


def kernel_workloads(device: torch.device) -> list[Workload]:
    """The lines of the kernels."""
    return [
        *_shading(device, 16, 0.10, 0.30),
        *_shading(device, 32, 0.35, 1.2),
        *_rasterising(device),
        visibility_turning(device),
        _launch(device),
    ]


def frame_workloads(device: torch.device) -> list[Workload]:
    """Whole relit, animated frames on the built-in head as it is and split once, and the stages of the former."""
    whole = [_whole_frame(bench_avatar(_SAMPLED, splits).to(device)) for splits in (0, 1)]
    return [whole[0], *_stages(bench_avatar(_SAMPLED).to(device)), whole[1]]


def _pose(avatar: Avatar) -> Pose:
    expression = torch.rand(len(avatar.head.expression_names), generator=torch.Generator().manual_seed(0))
    return Pose(expression, avatar.portrait.joints, avatar.portrait.translation)


def _whole_frame(avatar: Avatar, size: int = SIZE) -> Workload:
    renderer, camera = Renderer(avatar), avatar.portrait.camera.resized(size, size)
    renderer.render(_pose(avatar), camera)  # finds out how much room it needs
    inputs = renderer.inputs(_pose(avatar), camera)
    what = f"whole frame, {avatar.count} Gaussians, {avatar.head.vertex_count} vertices, {size} x {size}"
    return Workload(what, lambda: renderer.draw(inputs, camera.lens), 1.0)


def _stages(avatar: Avatar) -> list[Workload]:
    """The stages of a frame, each on what the ones before left."""
    camera, faces = avatar.portrait.camera, avatar.head.faces.to(torch.int32)
    given = Renderer(avatar).inputs(_pose(avatar), camera)
    head, table = pack_avatar(avatar)
    tracer = SurfaceTracer(avatar.head.faces, lit_vertices(avatar, None), avatar.light.size)
    mesh = pose_head(head, given.expression, given.joints, given.translation)
    words, occlusion = tracer.visibility(mesh.vertices, mesh.normals, given.light_to_world)
    gaussians = pose_packed(table, mesh)

    def shade() -> torch.Tensor:
        surface = attach_packed(table, gaussians, mesh, occlusion, given.world_to_camera)
        seen = visible_to(avatar.attachment, faces, words)
        return light_gaussians(gaussians, surface, seen, given.envmap, given.light_to_world, True).radiance

    radiance = shade()
    drawn = splat(gaussians, radiance, given.world_to_camera, camera.lens, avatar.antialias)
    room = 2 * int(drawn.instances)
    return [
        Workload("  pose mesh", lambda: pose_head(head, given.expression, given.joints, given.translation)),
        Workload("  visibility", lambda: tracer.visibility(mesh.vertices, mesh.normals, given.light_to_world)),
        Workload("  blend and skin", lambda: pose_packed(table, mesh)),
        Workload("  shade", shade),
        Workload(
            "  splat",
            lambda: splat(gaussians, radiance, given.world_to_camera, camera.lens, avatar.antialias, capacity=room),
        ),
        Workload("  encode", lambda: (linear_to_srgb(drawn.image).clamp(0, 1) * 255 + 0.5).to(torch.uint8)),
    ]


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


def curve_workloads(device: torch.device) -> list[Callable[[], Workload]]:
    """Makers of the lines that show how cost grows: the rasteriser's, forward and backward together, and a frame's."""
    rasterising = [partial(_rasterising_both, device, count, size, None) for count in CURVE for size in CURVE_SIZES]
    frames = [partial(_whole_frame, bench_avatar(_SAMPLED).to(device), size) for size in LARGE_FRAMES]
    return [*rasterising, *frames]


def _rasterising(device: torch.device) -> list[Workload]:
    inputs, camera, capacity = _rasteriser_inputs(device, GAUSSIANS, SIZE)
    fixed = [tensor.detach() for tensor in inputs]
    return [
        Workload(
            f"rasterise {GAUSSIANS} Gaussians, {SIZE} x {SIZE}: forward", lambda: rasterize(*fixed, *camera), 0.15,
            lambda: rasterize(*fixed, *camera, capacity=capacity),
        ),
        _rasterising_both(device, GAUSSIANS, SIZE, 0.50),
    ]  # fmt: skip


def _rasterising_both(device: torch.device, gaussians: int, size: int, target_ms: float | None) -> Workload:
    inputs, camera, capacity = _rasteriser_inputs(device, gaussians, size)
    gradients = [torch.ones(size, size, 3, device=device), torch.ones(size, size, device=device)]

    def both(capacity: int | None = None) -> None:
        drawn = rasterize(*inputs, *camera, capacity=capacity)
        torch.autograd.grad([drawn.image, drawn.alpha], inputs, gradients)

    name = f"rasterise {gaussians} Gaussians, {size} x {size}: forward + backward"
    return Workload(name, both, target_ms, partial(both, capacity))


def _rasteriser_inputs(
    device: torch.device, gaussians: int, size: int
) -> tuple[list[torch.Tensor], tuple[Any, ...], int]:
    """Gaussians that want gradients, camera, and room for what a graph needs."""
    inputs = [tensor.to(device).requires_grad_() for tensor in ellipsoid(gaussians)]
    world_to_camera, (intrinsics, width, height) = ellipsoid_view(size)
    camera = world_to_camera.double().to(device), intrinsics, width, height
    with torch.no_grad():
        capacity = 2 * int(rasterize(*inputs, *camera).instances)
    return inputs, camera, capacity


def visibility_turning(device: torch.device) -> Workload:
    """Refit and visibility of the built-in head, split once, which turns by a degree a call."""
    vertices, faces = (tensor.to(device) for tensor in head_mesh())
    bvh = MeshBvh(vertices, faces)
    normals = vertex_normals(vertices, FaceRings.of(faces, len(vertices)))
    light = torch.eye(3, device=device)
    turns = (_turned(_TURN_DEGREES * step, device) for step in (*range(_TURNS), *range(_TURNS, 0, -1)))
    # The head turns to and fro: a call must find neither the very scene that the last one left nor that before.
    poses = itertools.cycle([(vertices @ turn, normals @ turn) for turn in turns])
    points = vertices[:VISIBILITY_POINTS]

    def pose() -> None:
        moved, upward = next(poses)
        bvh.refit(moved)
        bvh.visibility(moved[:VISIBILITY_POINTS], upward[:VISIBILITY_POINTS], 16, 32, light)

    return Workload(f"visibility, {len(points)} points x 512, {len(faces)} faces, refit", pose, 0.5)


def _turned(degrees: float, device: torch.device) -> torch.Tensor:
    """Rotation [3, 3] about +y, for rows."""
    return axis_angle_to_matrix(torch.tensor([0.0, math.radians(degrees), 0.0])).T.to(device)


def _launch(device: torch.device) -> Workload:
    """What one launch costs: a kernel that has next to nothing to do, behind the checks of its arguments."""
    values, weights = torch.ones(1, 1, device=device), torch.ones(1, device=device)
    offsets = torch.tensor([0, 1], device=device)
    return Workload(
        "one launch, of a kernel that sums one number", lambda: weighted_segment_sum(values, weights, offsets)
    )
