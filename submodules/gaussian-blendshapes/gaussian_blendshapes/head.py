"""A head mesh packed for posing one frame at a time: half-precision blendshapes, skinning, normals."""

from typing import NamedTuple

import torch
from kernel_runtime import ArgumentError, check_tensor, device_of

from . import cuda, reference
from .tables import FaceRings, HeadTable


class PosedMesh(NamedTuple):
    """A head in one pose."""

    vertices: torch.Tensor  # [V, 3] metres
    normals: torch.Tensor  # [V, 3] unit; 0 where a vertex has no face with area
    transforms: torch.Tensor  # [J, 12] rigid motion of every joint from rest to pose, rows of [R | t]
    weights: torch.Tensor  # [E + K] the expression, then (with correctives) R - I of every joint but the root


def pack_head(
    rest: torch.Tensor,  # [V, 3]
    faces: torch.Tensor,  # [F, 3]
    expression_basis: torch.Tensor,  # [E, V, 3]
    pose_basis: torch.Tensor,  # [K, V, 3]
    skin_weights: torch.Tensor,  # [V, J]
    joint_rest: torch.Tensor,  # [J, 3]
    joint_parents: torch.Tensor,  # [J]
    joint_basis: torch.Tensor | None = None,  # [E, J, 3]
) -> HeadTable:
    """The table of a head on the device of its tensors. Offsets are rounded to float16: 5 micrometres at a centimetre.

    Raises:
        ArgumentError: for a wrong shape, or parents that form a cycle.
    """
    vertices, joints = len(rest), len(joint_rest)
    check_tensor("expression_basis", expression_basis, (None, vertices, 3), expression_basis.dtype)
    check_tensor("pose_basis", pose_basis, (None, vertices, 3), pose_basis.dtype)
    wanted = 9 * (joints - 1)
    if len(pose_basis) not in (0, wanted):
        raise ArgumentError(f"pose_basis: expected 0 or {wanted} rows for {joints} joints, got {len(pose_basis)}")
    return HeadTable(
        rest=check_tensor("rest", rest, (None, 3)),
        basis=torch.nn.functional.pad(torch.cat([expression_basis, pose_basis.to(expression_basis)]), (0, 1)).half(),
        skin_weights=check_tensor("skin_weights", skin_weights, (vertices, joints)),
        joint_rest=check_tensor("joint_rest", joint_rest, (joints, 3)),
        joint_basis=None if joint_basis is None else joint_basis.contiguous(),
        parents=joint_parents.to(rest.device, torch.int32),
        order=torch.tensor(_chain_order(joint_parents.tolist()), dtype=torch.int32, device=rest.device),
        rings=FaceRings.of(faces, vertices),
        expressions=len(expression_basis),
    )


def _chain_order(parents: list[int]) -> list[int]:
    order: list[int] = []
    while len(order) < len(parents):
        ready = [j for j, parent in enumerate(parents) if j not in order and (parent < 0 or parent in order)]
        if not ready:
            raise ArgumentError(f"joint_parents: {parents} form a cycle")
        order += ready
    return order


def pose_head(table: HeadTable, expression: torch.Tensor, joints: torch.Tensor, translation: torch.Tensor) -> PosedMesh:
    """Blendshapes, correctives, linear blend skinning, translation, then normals; without gradients.

    On a CUDA device nothing waits, and the call may be captured in a CUDA graph.

    Args:
        expression: [E] coefficients.
        joints: [J, 3] axis-angle, radians, each relative to its parent.
        translation: [3] metres, added after skinning.

    Raises:
        ArgumentError: for a wrong shape, dtype or device.
    """
    kind = device_of("pose_head", table.rest, expression, joints, translation)
    expression = check_tensor("expression", expression.detach(), (table.expressions,))
    joints = check_tensor("joints", joints.detach(), (len(table.joint_rest), 3))
    translation = check_tensor("translation", translation.detach(), (3,))
    backend = reference if kind == "cpu" else cuda
    return PosedMesh(*backend.pose_head(table, expression, joints, translation))


def vertex_normals(vertices: torch.Tensor, rings: FaceRings) -> torch.Tensor:
    """Unit normals [V, 3] of vertices [V, 3]: area-weighted sums over the faces around, 0 where none has area.

    Without gradients; the same bits in every run, on any device.
    """
    kind = device_of("vertex_normals", vertices, rings.faces)
    vertices = check_tensor("vertices", vertices.detach(), (len(rings.offsets) - 1, 3))
    return (reference if kind == "cpu" else cuda).vertex_normals(vertices, rings)
