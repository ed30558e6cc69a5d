"""Posing in plain torch: any float dtype, the oracle of the tests and the CPU's implementation."""

import torch
from torch import Tensor
from torch.nn.functional import normalize

from .tables import CHANNELS, LEARNED, MOVED, Anchors, Carrier, FaceRings, GaussianTable, HeadTable

_POLAR_STEPS = 4


def pose_head(
    table: HeadTable, expression: Tensor, joints: Tensor, translation: Tensor
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Vertices [V, 3], normals [V, 3], transforms [J, 12], weights [E + K]."""
    rotations = _rotations(joints)
    centers = table.joint_rest.to(joints)
    if table.joint_basis is not None:
        centers = centers + torch.einsum("e,ejc->jc", expression, table.joint_basis.to(joints))
    local = torch.cat([rotations, (centers - torch.einsum("jab,jb->ja", rotations, centers))[..., None]], dim=2)
    chained: dict[int, Tensor] = {}
    for joint in table.order.tolist():
        parent = int(table.parents[joint])
        chained[joint] = local[joint] if parent < 0 else _compose(chained[parent], local[joint])
    shift = torch.nn.functional.pad(translation[:, None], (3, 0))
    transforms = torch.stack([chained[joint] for joint in range(len(joints))]) + shift
    weights = expression
    if table.correctives:
        weights = torch.cat([expression, (rotations[1:] - torch.eye(3).to(joints)).flatten()])
    vertices = table.rest.to(joints) + torch.einsum("e,evc->vc", weights, table.basis[..., :3].to(joints))
    vertices = _skin(table.skin_weights.to(joints), transforms.flatten(1), vertices)
    return vertices, vertex_normals(vertices, table.rings), transforms.flatten(1), weights


def vertex_normals(vertices: Tensor, rings: FaceRings) -> Tensor:
    """[V, 3]; see `head.vertex_normals`."""
    faces = rings.faces.long()
    a, b, c = (vertices[faces[:, corner]] for corner in range(3))
    area = torch.linalg.cross(b - a, c - a)
    sums = torch.zeros_like(vertices).index_add(0, faces.T.reshape(-1), area.repeat(3, 1))
    return normalize(sums, dim=1, eps=torch.finfo(vertices.dtype).tiny)


def pose_gaussians(table: GaussianTable, weights: Tensor, transforms: Tensor) -> tuple[Tensor, ...]:
    """The fields of `gaussians.PosedGaussians`."""
    rows = weights[table.expression.long()][:, None] * table.deltas.to(weights)
    owner = torch.repeat_interleave(table.offsets.long().diff())
    zeros = torch.zeros_like(table.neutral, dtype=weights.dtype)
    widths = list(CHANNELS.values())
    change = dict(zip(CHANNELS, zeros.index_add(0, owner, rows).split(widths, 1), strict=True))
    neutral = dict(zip(CHANNELS, table.neutral.to(weights).split(widths, 1), strict=True))
    corrective = torch.einsum(
        "k,kpc->pc", weights[len(weights) - len(table.corrective) :], table.corrective[..., :3].to(weights)
    )
    still = torch.zeros_like(corrective)
    moved = torch.cat([still, change["turn"], still], dim=1)
    learned = torch.cat([change[name] for name in LEARNED], dim=1)
    carrier = Carrier(moved, corrective, table.skin_weights.to(weights), transforms)
    tensors = [neutral[name] for name in LEARNED]
    return skin(tensors, learned, learned.new_ones(learned.shape[1]), carrier, table.least_roughness)


def skin(
    neutral: list[Tensor], learned: Tensor, delta_scale: Tensor, carrier: Carrier, least_roughness: float
) -> tuple[Tensor, ...]:
    """The fields of `gaussians.PosedGaussians`; see `skinning.skin_gaussians`."""
    changes = (learned * delta_scale).split(list(LEARNED.values()), dim=1)
    raw = {name: value + change for name, value, change in zip(LEARNED, neutral, changes, strict=True)}
    shift, turn, stretch = carrier.moved.split(list(MOVED.values()), dim=1)
    if carrier.corrective is not None:
        shift = shift + carrier.corrective
    identity = torch.eye(4, dtype=turn.dtype, device=turn.device)[0]
    own = _multiply(normalize(turn + identity, dim=1), normalize(raw["rotation"], dim=1))
    blended = (carrier.skin_weights @ carrier.transforms).view(-1, 3, 4)
    return (
        torch.einsum("pab,pb->pa", blended[:, :, :3], raw["position"] + shift) + blended[:, :, 3],
        _multiply(_smooth_quaternion(_nearest_rotation(blended[:, :, :3])), own),
        (raw["log_scale"] + stretch).exp(),
        torch.sigmoid(raw["opacity"]),
        torch.sigmoid(raw["albedo"]),
        least_roughness + (1 - least_roughness) * torch.sigmoid(raw["roughness"]),
        torch.sigmoid(raw["specular"]),
    )


def attach(
    anchors: Anchors,
    vertex_normals: Tensor,
    occlusion: Tensor | None,
    normal_offset: Tensor,
    means: Tensor,
    rotations: Tensor,
    world_to_camera: Tensor,
) -> tuple[Tensor, Tensor, Tensor]:
    """The fields of `gaussians.Attached`."""
    corners, barycentric = anchors.corners.long(), anchors.barycentric.to(means)[..., None]
    normals = normalize((vertex_normals[corners] * barycentric).sum(1), dim=1)
    normals = normalize(normals + _turned(rotations, normal_offset.to(means)), dim=1)
    eye = -world_to_camera[:, :3].T @ world_to_camera[:, 3]
    hidden = torch.zeros_like(means[:, :1])
    if occlusion is not None:
        hidden = (occlusion[corners][..., None] * barycentric).sum(1)
    return normals, normalize(eye - means, dim=1), hidden


def _turned(quaternions: Tensor, vectors: Tensor) -> Tensor:
    """Vectors [P, 3] rotated by unit quaternions [P, 4] (w, x, y, z)."""
    w, axis = quaternions.split([1, 3], dim=1)
    return vectors + 2 * torch.linalg.cross(axis, torch.linalg.cross(axis, vectors) + w * vectors)


def _rotations(axis_angles: Tensor) -> Tensor:
    """[J, 3, 3] by the exponential of the cross-product matrix."""
    x, y, z = axis_angles.unbind(1)
    zero = torch.zeros_like(x)
    skew = torch.stack([zero, -z, y, z, zero, -x, -y, x, zero], dim=1).view(-1, 3, 3)
    return torch.linalg.matrix_exp(skew)


def _compose(outer: Tensor, inner: Tensor) -> Tensor:
    """[3, 4] motion `inner` followed by `outer`."""
    return torch.cat([outer[:, :3] @ inner[:, :3], outer[:, :3] @ inner[:, 3:] + outer[:, 3:]], dim=1)


def _skin(weights: Tensor, transforms: Tensor, points: Tensor) -> Tensor:
    blended = (weights @ transforms).view(-1, 3, 4)
    return torch.einsum("pab,pb->pa", blended[:, :, :3], points) + blended[:, :, 3]


def _multiply(a: Tensor, b: Tensor) -> Tensor:
    """Hamilton product of quaternions (w, x, y, z)."""
    (w, u), (s, v) = (q.split([1, 3], dim=1) for q in (a, b))
    return torch.cat([w * s - (u * v).sum(1, keepdim=True), w * v + s * u + torch.linalg.cross(u, v)], dim=1)


def _nearest_rotation(matrix: Tensor) -> Tensor:
    """The polar rotation of matrices of positive determinant, by Newton's iteration (R + R^-T) / 2."""
    for _ in range(_POLAR_STEPS):
        rows = matrix.unbind(1)
        cofactor = torch.stack([torch.linalg.cross(rows[(i + 1) % 3], rows[(i + 2) % 3]) for i in range(3)], dim=1)
        determinant = (rows[0] * cofactor[:, 0]).sum(1)[:, None, None]
        matrix = 0.5 * (matrix + cofactor / determinant)
    return matrix


def _smooth_quaternion(rotation: Tensor) -> Tensor:
    """`_quaternion` with a finite gradient everywhere: a small turn of a rotation, as a vector, is half of its
    quaternion's vector part."""
    still = _quaternion(rotation.detach())
    if not rotation.requires_grad:
        return still
    skew = 0.5 * (rotation - rotation.detach()) @ rotation.detach().mT
    turn = torch.stack([skew[:, 2, 1] - skew[:, 1, 2], skew[:, 0, 2] - skew[:, 2, 0], skew[:, 1, 0] - skew[:, 0, 1]], 1)
    return _multiply(torch.cat([torch.ones_like(turn[:, :1]), 0.5 * turn], dim=1), still)


def _quaternion(rotation: Tensor) -> Tensor:
    """(w, x, y, z) with w >= 0: magnitudes from the diagonal, signs from the skew part."""
    x, y, z = rotation.diagonal(dim1=1, dim2=2).unbind(1)
    squares = torch.stack([1 + x + y + z, 1 + x - y - z, 1 - x + y - z, 1 - x - y + z], dim=1)
    magnitudes = 0.5 * squares.clamp_min(0).sqrt()
    skew = rotation - rotation.mT
    signs = torch.stack([torch.ones_like(x), skew[:, 2, 1], skew[:, 0, 2], skew[:, 1, 0]], dim=1)
    return torch.where(signs < 0, -magnitudes, magnitudes)
