"""What an avatar saw of every expression and joint while it was fitted: beyond it, it guesses."""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from ..heads import HeadModel, Pose
from ..heads.arkit import GAZE, arkit_parts

RARELY = 0.05
"""The share of a clip's frames in which an expression may come closer to 0 than the face at rest."""


@dataclass(frozen=True, eq=False)
class TrainedRange:
    """The coefficients of the frames that an avatar with E expressions and J joints was fitted to."""

    low: Tensor
    """[E] least coefficients."""
    high: Tensor
    """[E] largest coefficients."""
    rest: Tensor
    """[E] coefficients of the face at rest, which a tracker seldom reports as 0 (see `rest_of`)."""
    joints_low: Tensor
    """[J, 3] least components of the joints' axis-angle vectors, radians."""
    joints_high: Tensor
    """[J, 3] largest ones."""

    @classmethod
    def of(cls, poses: Pose, names: tuple[str, ...]) -> "TrainedRange":
        """The range of a batch of poses; `names` are those of the expressions."""
        expression, joints = poses.expression, poses.joints
        return cls(expression.amin(0), expression.amax(0), rest_of(expression, names), joints.amin(0), joints.amax(0))

    @classmethod
    def assumed(cls, head: HeadModel) -> "TrainedRange":
        """For avatars that do not say: ARKit's shapes from 0 to 1, everything else without bounds."""
        named = torch.tensor([bool(arkit_parts(name)) for name in head.expression_names])
        far = torch.full((head.joint_count, 3), torch.inf)
        low, high = torch.where(named, 0.0, -torch.inf), torch.where(named, 1.0, torch.inf)
        return cls(low, high, torch.zeros(len(named)), -far, far)

    def to_dict(self) -> dict[str, Any]:
        """Plain numbers for YAML."""
        return {name: value.tolist() for name, value in vars(self).items()}

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> "TrainedRange":
        """The inverse of `to_dict`.

        Raises:
            KeyError: when a value is missing.
        """
        names = ("low", "high", "rest", "joints_low", "joints_high")
        return cls(*(torch.tensor(values[name], dtype=torch.float32) for name in names))

    def misfit(self, head: HeadModel) -> str | None:
        """What is wrong with the range for `head`; None where nothing is."""
        for name, value in vars(self).items():
            shape = (head.joint_count, 3) if name.startswith("joints") else (len(head.expression_names),)
            if tuple(value.shape) != shape:
                return f"{name} has shape {list(value.shape)}, expected {list(shape)}"
            if not bool(torch.isfinite(value).all()):
                return f"{name} holds a number that is not finite"
        if bool((self.low > self.high).any()) or bool((self.joints_low > self.joints_high).any()):
            return "a least value is larger than the largest one"
        return None


def rest_of(expression: Tensor, names: tuple[str, ...]) -> Tensor:
    """The face at rest [E] in a clip's coefficients [N, E]: what an expression hardly ever comes closer to 0 than.

    Trackers see a resting face as slightly frowning or squinting, each person's in another way. The gaze is left at 0:
    eyes look somewhere in every frame.
    """
    low, high = expression.quantile(torch.tensor([RARELY, 1 - RARELY]).to(expression), dim=0)
    looks = torch.tensor([name.startswith(GAZE) for name in names])
    return torch.zeros_like(low).clamp(low, high).masked_fill(looks, 0.0)
