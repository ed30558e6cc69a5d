"""What a file says about a performance before any head model is asked: named expressions and where the head turns."""

from dataclasses import dataclass, field

import torch
from torch import Tensor

from ..rotations import axis_angle_to_matrix


@dataclass(frozen=True, eq=False)
class Recording:
    """N rows at even intervals.

    Angles are radians as a person has them: yaw turns to one's own left, pitch looks up, roll tilts to one's own right.
    """

    name: str
    fps: float
    names: tuple[str, ...]
    """K expressions, by ARKit's names or by those of a head model."""
    expression: Tensor
    """[N, K] coefficients."""
    turn: Tensor | None = None
    """[N, 3] yaw, pitch and roll of the head before the camera; None leaves it facing the camera."""
    gaze: Tensor | None = None
    """[N, 2, 2] yaw and pitch of the left and the right eye in the head."""
    joints: dict[str, Tensor] = field(default_factory=dict)
    """[N, 3] axis-angle by name of a joint of the avatar's head model, which wins over `turn` and `gaze`."""
    translation: Tensor | None = None
    """[N, 3] metres as in a dataset; None leaves the head where the avatar's portrait has it."""


def turn_matrix(angles: Tensor) -> Tensor:
    """Rotations [..., 3, 3] of the head by yaw, pitch and roll [..., 3]: first roll, then pitch, then yaw.

    In the axes of every head model: x to its left, y up, z out of the face.
    """
    zero = torch.zeros_like(angles[..., 0])
    yaw, pitch, roll = angles.unbind(-1)
    about = ([zero, yaw, zero], [-pitch, zero, zero], [zero, zero, roll])
    turned, nodded, tilted = (axis_angle_to_matrix(torch.stack(axis, -1)) for axis in about)
    return turned @ nodded @ tilted
