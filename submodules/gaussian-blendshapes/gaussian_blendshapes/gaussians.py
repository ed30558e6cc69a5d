"""Gaussians packed for posing one frame at a time: all deltas of a pair side by side in half precision, one launch."""

from typing import NamedTuple

import torch
from kernel_runtime import ArgumentError, check_tensor, device_of

from . import cuda, reference
from .tables import CHANNELS, WIDTH, GaussianTable

_MOST_EXPRESSIONS = 2**15


class PosedGaussians(NamedTuple):
    """P Gaussians in world space."""

    means: torch.Tensor  # [P, 3] metres
    rotations: torch.Tensor  # [P, 4] unit quaternions (w, x, y, z)
    scales: torch.Tensor  # [P, 3] metres
    opacities: torch.Tensor  # [P, 1] in (0, 1)
    albedo: torch.Tensor  # [P, 3] linear
    roughness: torch.Tensor  # [P, 1]
    specular: torch.Tensor  # [P, 1]


def pack_gaussians(
    neutral: dict[str, torch.Tensor],
    offsets: torch.Tensor,
    expression: torch.Tensor,
    deltas: dict[str, torch.Tensor],
    corrective: torch.Tensor,
    skin_weights: torch.Tensor,
    corners: torch.Tensor,
    barycentric: torch.Tensor,
    normal_offset: torch.Tensor,
    least_roughness: float,
) -> GaussianTable:
    """The table on the device of the tensors; pairs that change nothing in half precision are left out.

    Args:
        neutral: raw parameters [P, width] by the names of CHANNELS but `turn`.
        offsets: [P + 1]; expression: [N].
        deltas: changes [N, width] per unit coefficient by the names of CHANNELS.
        corrective: [K, P, 3] moves by the pose correctives of `HeadTable`.
        skin_weights: [P, J]; corners, barycentric, normal_offset: [P, 3].

    Raises:
        ArgumentError: for a wrong shape, more expressions than the index holds, or deltas beyond half precision.
    """
    points = len(neutral["position"])
    rows = torch.cat([deltas[name] for name in CHANNELS], dim=1).half()
    check_tensor("deltas", rows, (len(expression), WIDTH), torch.float16)
    if not bool(torch.isfinite(rows).all()):
        raise ArgumentError("deltas: a value is not finite or beyond 65504")
    if len(expression) and int(expression.max()) >= _MOST_EXPRESSIONS:
        raise ArgumentError(f"expression: indices must be below {_MOST_EXPRESSIONS}, found {int(expression.max())}")
    kept = (rows != 0).any(dim=1)
    before = torch.zeros(len(kept) + 1, dtype=torch.int64, device=kept.device)
    before[1:] = kept.cumsum(0)
    parameters = {"turn": rows.new_zeros(points, CHANNELS["turn"], dtype=torch.float32), **neutral}
    return GaussianTable(
        neutral=check_tensor("neutral", torch.cat([parameters[name] for name in CHANNELS], dim=1), (points, WIDTH)),
        offsets=before[offsets].to(torch.int32),
        expression=expression[kept].to(torch.int16),
        deltas=rows[kept],
        corrective=torch.nn.functional.pad(corrective, (0, 1)).half(),
        skin_weights=check_tensor("skin_weights", skin_weights, (points, None)),
        corners=corners.to(torch.int32).contiguous(),
        barycentric=check_tensor("barycentric", barycentric, (points, 3)),
        normal_offset=check_tensor("normal_offset", normal_offset, (points, 3)),
        least_roughness=least_roughness,
    )


def pose_gaussians(table: GaussianTable, weights: torch.Tensor, transforms: torch.Tensor) -> PosedGaussians:
    """Blend, turn, skin and decode all Gaussians in one pass over their deltas; without gradients.

    Expressions of coefficient 0 and Gaussians without pairs cost no memory traffic. On a CUDA device nothing waits.

    Args:
        weights, transforms: as `pose_head` returns them.
    """
    kind = device_of("pose_gaussians", table.neutral, weights, transforms)
    weights = check_tensor("weights", weights, (None,))
    transforms = check_tensor("transforms", transforms, (table.skin_weights.shape[1], 12))
    backend = reference if kind == "cpu" else cuda
    return PosedGaussians(*backend.pose_gaussians(table, weights, transforms))
