"""How an avatar is shown when nobody says how: the pose in which it best faced the camera of its clip."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch

from ..data import Frame
from ..heads import HeadModel
from ..heads.pose import Pose, skull_rotation
from ..rotations import matrix_to_axis_angle
from ..scene import Camera


@dataclass(frozen=True)
class Portrait:
    """A camera and a pose without expression."""

    camera: Camera
    joints: torch.Tensor
    """[J, 3]."""
    translation: torch.Tensor
    """[3]."""

    @classmethod
    def of(cls, frames: Sequence[Frame], joint_names: Sequence[str]) -> "Portrait":
        """The frame whose face (+z of the head) looks most directly into its camera."""

        def frontality(frame: Frame) -> float:
            ahead = skull_rotation(frame.pose.joints, joint_names)[:, 2]
            towards = torch.nn.functional.normalize(frame.camera.center - frame.pose.translation, dim=0)
            return float(ahead @ towards)

        best = max(frames, key=frontality)
        return cls(best.camera, best.pose.joints, best.pose.translation)

    def pose(self, expressions: int) -> Pose:
        """The pose for a head with so many expressions, all at 0."""
        return Pose(torch.zeros(expressions), self.joints, self.translation)

    def upright(self, head: HeadModel) -> "Portrait":
        """The same without lean: `head` at rest looks straight into the camera, in the middle of where it was."""
        joints = torch.zeros_like(self.joints)
        joints[0] = matrix_to_axis_angle(self.camera.facing)
        straight = Portrait(self.camera, joints, self.translation)
        middle, now = (portrait._middle(head) for portrait in (self, straight))
        return replace(straight, translation=self.translation + middle - now)

    def _middle(self, head: HeadModel) -> torch.Tensor:
        """[3] mean of the vertices of `head`, which may be on another device."""
        pose = self.pose(len(head.expression_names)).to(head.vertices.device)
        return head.pose(pose).vertices.mean(0).to(self.translation.device)

    def to_dict(self) -> dict[str, Any]:
        """Plain numbers for YAML."""
        return {
            "intrinsics": [float(value) for value in self.camera.intrinsics],
            "world_to_camera": self.camera.world_to_camera.tolist(),
            "width": self.camera.width,
            "height": self.camera.height,
            "joints": self.joints.tolist(),
            "translation": self.translation.tolist(),
        }

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> "Portrait":
        """The inverse of `to_dict`.

        Raises:
            KeyError: when a value is missing.
        """
        fx, fy, cx, cy = (float(value) for value in values["intrinsics"])
        matrix = torch.tensor(values["world_to_camera"], dtype=torch.float32).view(3, 4)
        camera = Camera((fx, fy, cx, cy), matrix, int(values["width"]), int(values["height"]))
        return cls(
            camera, torch.tensor(values["joints"]).float().view(-1, 3), torch.tensor(values["translation"]).float()
        )
