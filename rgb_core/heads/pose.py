"""The coefficients that pose a head model."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from ..rotations import axis_angle_to_matrix

NECK = "neck"
"""Name of the joint between torso and skull."""
TORSO = "torso"
"""Name of the joint that moves the torso alone, where a head model has one."""


@dataclass(frozen=True, eq=False)
class Pose:
    """One pose of a head model with E expressions and J joints, or B of them: then every tensor has a leading B."""

    expression: Tensor
    """[E] coefficients of the expressions."""
    joints: Tensor
    """[J, 3] axis-angle in radians, each relative to its parent; joint 0 is the root."""
    translation: Tensor
    """[3] metres, added after skinning."""

    @classmethod
    def rest(cls, expressions: int, joints: int) -> "Pose":
        """No expression, no rotation, no translation."""
        return cls(torch.zeros(expressions), torch.zeros(joints, 3), torch.zeros(3))

    @classmethod
    def stack(cls, poses: Sequence["Pose"]) -> "Pose":
        """Single poses as a batch in their order."""
        return cls(*(torch.stack(values) for values in zip(*(pose.tensors for pose in poses), strict=True)))

    @property
    def tensors(self) -> tuple[Tensor, Tensor, Tensor]:
        """Expression, joints and translation."""
        return self.expression, self.joints, self.translation

    def to(self, target: torch.device | torch.dtype | Tensor) -> "Pose":
        """The same pose on a device, in a floating-point type, or in both as another tensor has them."""
        return Pose(*(tensor.to(target) for tensor in self.tensors))

    def rows(self, index: int | slice | Sequence[int] | Tensor) -> "Pose":
        """The poses `index` of a batch; a single pose for a number."""
        return Pose(*(tensor[index] for tensor in self.tensors))


def skull_rotation(joints: Tensor, joint_names: Sequence[str]) -> Tensor:
    """Rotation [..., 3, 3] of the skull by joint angles [..., J, 3]: the root's, and the neck's where there is one."""
    root = axis_angle_to_matrix(joints[..., 0, :])
    if NECK not in joint_names:
        return root
    return root @ axis_angle_to_matrix(joints[..., joint_names.index(NECK), :])
