"""An avatar as the arrays that the page poses: the only place of the page that knows how avatars are stored."""

from typing import Any

import numpy as np
import torch
from gaussian_blendshapes import HeadTable

from ...avatar import Avatar
from ...avatar.materials import MIN_ROUGHNESS
from ...avatar.packing import pack_avatar
from ...errors import InputError
from .blob import quantise

MOST_WEIGHTS, MOST_JOINTS = 256, 8  # the page's shaders hold no more

# Changes by an expression below these show at no size of picture; the pair is left out when all are. In the order and
# units of a row of deltas: metres, quaternions, log scales, logits.
_INVISIBLE = np.repeat([1e-5, 2e-3, 2e-3, 1e-2, 1e-2, 1e-2, 1e-2, 1e-2], [3, 4, 4, 3, 1, 3, 1, 1])


def avatar_tables(avatar: Avatar) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """What the page must know as JSON, and the arrays by name.

    Neutral parameters have 16 bits; of what an expression changes, places have 16 and all else 8.

    Raises:
        InputError: when the head model has more expressions or joints than the page poses.
    """
    head, table = pack_avatar(avatar)
    model = avatar.head
    weights, joints = len(head.basis), model.joint_count
    if weights > MOST_WEIGHTS or joints > MOST_JOINTS:
        raise InputError(
            f"the page poses at most {MOST_WEIGHTS} expressions with pose correctives and {MOST_JOINTS} joints, "
            f"but '{model.name}' has {weights} and {joints}: export a .glb or .ply instead"
        )
    neutral = torch.cat([table.neutral[:, :3], table.neutral[:, 7:], table.normal_offset], dim=1)
    middle = (neutral.amax(0) + neutral.amin(0)) / 2
    gaussian, gaussian_step = quantise(_array(neutral - middle), np.int16)
    offsets, expression, rows = _visible(_array(table.offsets), _array(table.expression), _array(table.deltas.float()))
    place, place_step = quantise(rows[:, :3], np.int16)
    change, change_step = quantise(rows[:, 3:], np.int8)
    corner_offsets, corner_weight, corner_rows = _sparse_basis(_array(head.basis[..., :3].float()))
    corner, corner_step = quantise(corner_rows, np.int16)
    arrays = {
        "vertex.rest": _array(head.rest),
        "vertex.skin": _unit16(head.skin_weights),
        "vertex.offsets": corner_offsets,
        "vertex.weight": corner_weight,
        "vertex.place": corner,
        "faces": _array(head.rings.faces).astype(np.uint16 if len(head.rest) < 2**16 else np.uint32),
        "gaussian.neutral": gaussian,
        "gaussian.face": _array(avatar.attachment.face_id).astype(np.uint32),
        "gaussian.barycentric": _unit16(table.barycentric[:, :2]),
        "gaussian.region": _array(avatar.region()).astype(np.uint8),
        "pair.offsets": offsets,
        "pair.weight": expression,
        "pair.place": place,
        "pair.change": change,
    }
    steps: dict[str, Any] = {
        "middle": middle,
        "gaussianStep": gaussian_step,
        "placeStep": place_step,
        "changeStep": change_step,
        "cornerStep": corner_step,
    }
    return {**_facts(avatar, head, weights), **{name: step.tolist() for name, step in steps.items()}}, arrays


def _facts(avatar: Avatar, head: HeadTable, weights: int) -> dict[str, Any]:
    """Names, counts, joints and how the avatar was fitted."""
    return {
        "name": avatar.name,
        "head": avatar.head.name,
        "gaussians": avatar.count,
        "expressions": list(avatar.head.expression_names),
        "weights": weights,
        "joints": list(avatar.head.joint_names),
        "parents": avatar.head.joint_parents.tolist(),
        "jointRest": head.joint_rest.tolist(),
        "jointBasis": None if head.joint_basis is None else head.joint_basis.flatten().tolist(),
        "leastRoughness": MIN_ROUGHNESS,
        "antialias": avatar.antialias,
        "oneBounce": avatar.one_bounce,
        "visibility": avatar.visibility,
        "focalScale": avatar.focal_scale,
    }


def _visible(offsets: np.ndarray, expression: np.ndarray, rows: np.ndarray) -> tuple[np.ndarray, ...]:
    """Offsets [P + 1], expression [N] and changes [N, C] of the pairs that can be seen."""
    kept = (np.abs(rows) > _INVISIBLE).any(axis=1)
    before = np.concatenate([[0], np.cumsum(kept)])
    return before[offsets].astype(np.uint32), expression[kept].astype(np.uint8), rows[kept]


def _sparse_basis(basis: np.ndarray) -> tuple[np.ndarray, ...]:
    """Of displacements [K, V, 3] those that are not 0, by vertex: offsets [V + 1], weight [N], displacement [N, 3]."""
    vertex, weight = np.nonzero((np.abs(basis) > 1e-6).any(axis=2).T)
    counts = np.bincount(vertex, minlength=basis.shape[1])
    return np.concatenate([[0], np.cumsum(counts)]).astype(np.uint32), weight.astype(np.uint8), basis[weight, vertex]


def _unit16(values: torch.Tensor) -> np.ndarray:
    """Numbers in [0, 1] as 16-bit integers."""
    return np.rint(_array(values).clip(0, 1) * 65535).astype(np.uint16)


def _array(tensor: torch.Tensor) -> np.ndarray:
    return tensor.detach().cpu().numpy()
