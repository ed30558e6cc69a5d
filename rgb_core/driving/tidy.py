"""From what was measured to what an avatar shows well: the face at rest taken off, noise smoothed, ranges kept."""

from dataclasses import dataclass

import numpy as np
import torch
from scipy.ndimage import gaussian_filter1d
from torch import Tensor

from ..avatar import Avatar
from ..avatar.trained_range import TrainedRange, rest_of
from ..heads import HeadModel, Motion, Pose
from ..heads.pose import NECK
from ..progress import Progress
from .retarget import with_neck
from .rows import axis_angles, continuous_quaternions

DEFAULT_SMOOTHING = 1.0
"""Frames of the clip: the standard deviation of the Gaussian that smooths a recorded performance."""
_NOISE = 0.05  # of an expression's range: how far a tracker is off from frame to frame
_MOST_REST = 0.5  # of an expression's range: more is no face at rest, but an expression that is held
_WORTH_SAYING = 0.05  # coefficient beyond the range


@dataclass(frozen=True)
class Tidying:
    """What is done to a performance."""

    neutral: bool = True
    """Whether the performer's face at rest becomes the avatar's."""
    smooth: float = DEFAULT_SMOOTHING
    """Standard deviation in frames; 0 leaves the motion as it is."""
    clamp: bool = True
    """Whether the avatar is kept in the range that it was fitted to."""


def tidy(motion: Motion, avatar: Avatar, tidying: Tidying, progress: Progress) -> Motion:
    """A motion of the avatar's head without the performer's offset and noise, and within the avatar's range."""
    head, trained = avatar.head, avatar.trained or TrainedRange.assumed(avatar.head)
    if avatar.trained is None and (tidying.clamp or tidying.neutral):
        progress.message(
            "the avatar does not say which range it was fitted to: ARKit's expressions are held between 0 and 1 "
            "(fit it again to know better)"
        )
    poses = motion.poses
    if tidying.neutral:
        poses = Pose(_without_offset(poses.expression, head, trained), poses.joints, poses.translation)
    if tidying.smooth:
        poses = _smoothed(poses, tidying.smooth, trained)
    if tidying.clamp:
        poses = _clamped(poses, head, trained, progress)
    return Motion(motion.name, poses, motion.fps)


def _without_offset(expression: Tensor, head: HeadModel, trained: TrainedRange) -> Tensor:
    """Coefficients [N, E] whose rest is that of the avatar; an expression that is held all along stays."""
    offset = rest_of(expression, head.expression_names) - trained.rest
    held = offset.abs() > _MOST_REST * (trained.high - trained.low)
    return expression - offset.masked_fill(held, 0.0)


def _smoothed(poses: Pose, frames: float, trained: TrainedRange) -> Pose:
    """Smoothed without delay; what an expression moves by more than noise stays, so that lids still shut in a blink."""
    smooth = _filtered(poses.expression, frames)
    noise = (_NOISE * (trained.high - trained.low)).clamp(min=1e-6)
    change = smooth - poses.expression
    expression = poses.expression + change / (1 + (change / noise).square())
    turned = axis_angles(_filtered(continuous_quaternions(poses.joints), frames))
    return Pose(expression, turned, _filtered(poses.translation, frames))


def _filtered(values: Tensor, frames: float) -> Tensor:
    """A Gaussian over the rows, the same to both sides."""
    return torch.from_numpy(
        gaussian_filter1d(values.double().numpy(), frames, axis=0, mode="nearest").astype(np.float32)
    )


def _clamped(poses: Pose, head: HeadModel, trained: TrainedRange, progress: Progress) -> Pose:
    """Within the range of every expression and joint; the root goes anywhere, and turns for the neck."""
    expression = poses.expression.clamp(trained.low, trained.high)
    _tell(poses.expression, expression, head, progress)
    joints = poses.joints.clamp(trained.joints_low, trained.joints_high)
    joints[:, 0] = poses.joints[:, 0]
    if NECK not in head.joint_names:
        return Pose(expression, joints, poses.translation)
    neck = head.joint_names.index(NECK)
    kept, joints[:, neck] = joints[:, neck].clone(), poses.joints[:, neck]
    return with_neck(Pose(expression, joints, poses.translation), head, kept)


def _tell(wanted: Tensor, kept: Tensor, head: HeadModel, progress: Progress) -> None:
    """Say which expression is held back most."""
    beyond = (wanted - kept).abs().amax(0)
    count, worst = int((beyond > _WORTH_SAYING).sum()), int(beyond.argmax())
    if count:
        frame = int((wanted - kept)[:, worst].abs().argmax())
        more = f" and {count - 1} more are" if count > 1 else " is"
        progress.message(
            f"{head.expression_names[worst]} (to {float(wanted[frame, worst]):.2f}, seen to "
            f"{float(kept[frame, worst]):.2f}){more} held in the range that the avatar was fitted to; see --no-clamp"
        )
