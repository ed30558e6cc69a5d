"""Launches of the posing kernels and the segment sum."""

from collections.abc import Sequence

import torch
from kernel_runtime.cuda import CudaModule

from .tables import Anchors, Carrier, FaceRings, GaussianTable, HeadTable

_PACKAGE, _HEADERS = "gaussian_blendshapes", ("skinning.cuh", "posing.cuh")
_HEAD = CudaModule(_PACKAGE, "head.cu", ("posing.cuh",))
_POSE_JOINTS, _POSE_VERTICES, _NORMALS = (
    _HEAD.kernel(name) for name in ("pose_joints", "pose_vertices", "vertex_normals")
)
_GAUSSIANS = CudaModule(_PACKAGE, "gaussians.cu", _HEADERS)
_POSE_GAUSSIANS = _GAUSSIANS.kernel("pose_gaussians")
_ATTACHING = CudaModule(_PACKAGE, "attaching.cu", ("posing.cuh",))
_ATTACH, _ATTACH_BACKWARD = _ATTACHING.kernel("attach"), _ATTACHING.kernel("attach_backward")
_SKINNING = CudaModule(_PACKAGE, "skinning.cu", _HEADERS)
_SKIN, _SKIN_BACKWARD = _SKINNING.kernel("skin_forward"), _SKINNING.kernel("skin_backward")
_SEGMENTS = CudaModule(_PACKAGE, "segment_sum.cu")
_SUM, _SUM_BACKWARD = _SEGMENTS.kernel("segment_sum"), _SEGMENTS.kernel("segment_sum_backward")

_THREADS, _WARP = 128, 32
_GAUSSIAN_THREADS, _GAUSSIANS_PER_BLOCK = 256, 48  # as in gaussians.cu
_JOINT_THREADS = 64


def segment_sum(values: torch.Tensor, weights: torch.Tensor, offsets: torch.Tensor) -> torch.Tensor:
    """[P, C]; see `segment_sum.weighted_segment_sum`."""
    segments, channels = len(offsets) - 1, values.shape[1]
    out = values.new_empty(segments, channels)
    if channels:
        _SUM.launch(_warps(segments), _THREADS, (values, weights, offsets, segments, channels, out))
    return out


def segment_sum_backward(gradient: torch.Tensor, weights: torch.Tensor, offsets: torch.Tensor) -> torch.Tensor:
    """Gradient [N, C] by the values."""
    segments, channels = gradient.shape
    out = gradient.new_empty(len(weights), channels)
    if channels:
        _SUM_BACKWARD.launch(_warps(segments), _THREADS, (gradient, weights, offsets, segments, channels, out))
    return out


def pose_head(
    table: HeadTable, expression: torch.Tensor, joints: torch.Tensor, translation: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
    """Vertices [V, 3], normals [V, 3], transforms [J, 12], weights [E + K]."""
    count, vertices = len(joints), len(table.rest)
    transforms, weights = joints.new_empty(count, 12), joints.new_empty(len(table.basis))
    _POSE_JOINTS.launch(1, _JOINT_THREADS, (
        expression, table.expressions, joints, translation, table.joint_rest, table.joint_basis, table.parents,
        table.order, count, table.correctives, transforms, weights,
    ))  # fmt: skip
    posed = torch.empty_like(table.rest)
    _POSE_VERTICES.launch(_blocks(vertices), _THREADS, (
        table.rest, table.basis, weights, len(weights), table.skin_weights, transforms, count, vertices, posed,
    ))  # fmt: skip
    return posed, vertex_normals(posed, table.rings), transforms, weights


def vertex_normals(vertices: torch.Tensor, rings: FaceRings) -> torch.Tensor:
    """[V, 3]; see `head.vertex_normals`."""
    count, normals = len(vertices), torch.empty_like(vertices)
    _NORMALS.launch(_blocks(count), _THREADS, (vertices, rings.faces, rings.offsets, rings.around, count, normals))
    return normals


def pose_gaussians(table: GaussianTable, weights: torch.Tensor, transforms: torch.Tensor) -> tuple[torch.Tensor, ...]:
    """The fields of `gaussians.PosedGaussians`."""
    points, correctives = len(table.neutral), len(table.corrective)
    outputs = tuple(weights.new_empty(points, width) for width in (3, 4, 3, 1, 3, 1, 1))
    _POSE_GAUSSIANS.launch(-(-points // _GAUSSIANS_PER_BLOCK), _GAUSSIAN_THREADS, (
        table.neutral, table.offsets, table.expression, table.deltas, weights, len(weights) - correctives,
        table.corrective, correctives, table.skin_weights, transforms, len(transforms), points,
        table.least_roughness, *outputs,
    ))  # fmt: skip
    return outputs


def skin(
    neutral: Sequence[torch.Tensor],
    learned: torch.Tensor,
    delta_scale: torch.Tensor,
    carrier: Carrier,
    least_roughness: float,
) -> tuple[torch.Tensor, ...]:
    """The fields of `gaussians.PosedGaussians`; see `skinning.skin_gaussians`."""
    outputs = tuple(torch.empty_like(tensor) for tensor in neutral)
    inputs = _skinning_arguments(neutral, learned, delta_scale, carrier, least_roughness)
    _SKIN.launch(_blocks(len(learned)), _THREADS, (*inputs, *outputs))
    return outputs


def skin_backward(
    neutral: Sequence[torch.Tensor],
    learned: torch.Tensor,
    delta_scale: torch.Tensor,
    carrier: Carrier,
    least_roughness: float,
    gradients: Sequence[torch.Tensor],
) -> tuple[torch.Tensor, ...]:
    """Gradients by the tensors of `neutral` and by `learned`."""
    outputs = tuple(torch.empty_like(tensor) for tensor in (*neutral, learned))
    inputs = _skinning_arguments(neutral, learned, delta_scale, carrier, least_roughness)
    given = [gradient.contiguous() for gradient in gradients]
    _SKIN_BACKWARD.launch(_blocks(len(learned)), _THREADS, (*inputs, *given, *outputs))
    return outputs


def _skinning_arguments(
    neutral: Sequence[torch.Tensor],
    learned: torch.Tensor,
    delta_scale: torch.Tensor,
    carrier: Carrier,
    least_roughness: float,
) -> tuple[torch.Tensor | int | float | None, ...]:
    joints, points = len(carrier.transforms), len(learned)
    mesh = carrier.moved, carrier.corrective, carrier.skin_weights, carrier.transforms
    return *neutral, learned, delta_scale, *mesh, joints, points, least_roughness


def attach(
    anchors: Anchors,
    vertex_normals: torch.Tensor,
    occlusion: torch.Tensor | None,
    normal_offset: torch.Tensor,
    means: torch.Tensor,
    rotations: torch.Tensor,
    world_to_camera: torch.Tensor,
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """The fields of `attaching.Attached`."""
    points = len(means)
    outputs = means.new_empty(points, 3), means.new_empty(points, 3), means.new_empty(points, 1)
    _ATTACH.launch(_blocks(points), _THREADS, (
        vertex_normals, occlusion, *anchors, normal_offset, means, rotations, world_to_camera, points, *outputs,
    ))  # fmt: skip
    return outputs


def attach_backward(
    anchors: Anchors,
    vertex_normals: torch.Tensor,
    rotations: torch.Tensor,
    world_to_camera: torch.Tensor,
    normal_offset: torch.Tensor,
    means: torch.Tensor,
    by_normals: torch.Tensor,
    by_views: torch.Tensor,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Gradients [P, 3] by `normal_offset` and by `means`."""
    outputs = torch.empty_like(normal_offset), torch.empty_like(means)
    _ATTACH_BACKWARD.launch(_blocks(len(means)), _THREADS, (
        vertex_normals, *anchors, normal_offset, means, rotations, world_to_camera, len(means),
        by_normals.contiguous(), by_views.contiguous(), *outputs,
    ))  # fmt: skip
    return outputs


def _blocks(threads: int) -> int:
    return -(-threads // _THREADS)


def _warps(count: int) -> int:
    """Blocks for one warp each."""
    return _blocks(count * _WARP)
