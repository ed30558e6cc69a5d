"""The coefficients that pose a head model."""

from collections.abc import Sequence

from torch import Tensor

from ..rotations import axis_angle_to_matrix

NECK = "neck"
"""Name of the joint between torso and skull."""


def skull_rotation(joints: Tensor, joint_names: Sequence[str]) -> Tensor:
    """Rotation [..., 3, 3] of the skull by joint angles [..., J, 3]: the root's, and the neck's where there is one."""
    root = axis_angle_to_matrix(joints[..., 0, :])
    if NECK not in joint_names:
        return root
    return root @ axis_angle_to_matrix(joints[..., joint_names.index(NECK), :])
