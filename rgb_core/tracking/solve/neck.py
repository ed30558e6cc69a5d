"""A rigid head on a torso at rest: what the root turned, the neck turns instead.

A face says how the skull turns, not what the shoulders do. People who talk to a camera turn their neck, so the torso
is taken to keep its mean direction, and to follow only where the neck would turn farther than it can.
"""

import dataclasses
import math

import torch
from torch import Tensor

from ...heads import HeadModel, Pose
from ...heads.pose import NECK, TORSO
from ...rotations import axis_angle_to_matrix, matrix_to_axis_angle, nearest_rotation
from ..detect.correspondence import Correspondence
from .clip import TrackedClip

_FARTHEST = math.radians(50)  # that a neck turns without the shoulders
_ROUNDS = 2  # skinning gives the root a few hundredths of the face: the second round finds what the first left
_SLOW = 0.5  # seconds; standard deviation of the times over which the torso's path is averaged
_CHUNK = 64  # frames posed at a time


def bend_neck(head: HeadModel, clip: TrackedClip, correspondence: Correspondence, seconds: Tensor) -> TrackedClip:
    """The clip with its torso at rest and the landmarks where they were, within tenths of a millimetre.

    A torso with a joint of its own goes its own slow way across the view. A head without a neck joint stays as it is.

    Args:
        seconds: [N] the frames' times.
    """
    if NECK not in head.joint_names:
        return clip
    neck = head.joint_names.index(NECK)
    skull = axis_angle_to_matrix(clip.pose.joints[:, 0])
    torso = _torso(skull)
    joints, translation = clip.pose.joints.clone(), clip.pose.translation
    joints[:, 0] = matrix_to_axis_angle(torso)
    wanted = _marks(head, clip, correspondence)
    bend, moved = torso.mT @ skull, clip
    for _ in range(_ROUNDS):
        joints = joints.clone()
        joints[:, neck] = matrix_to_axis_angle(bend)
        moved = dataclasses.replace(clip, pose=Pose(clip.pose.expression, joints, translation))
        marks = _marks(head, moved, correspondence)
        turn = nearest_rotation((wanted - wanted.mean(1, keepdim=True)).mT @ (marks - marks.mean(1, keepdim=True)))
        translation = translation + (wanted - marks).mean(1)
        bend = torso.mT @ turn @ torso @ bend
    if TORSO in head.joint_names:
        moved = _with_slow_torso(head, moved, seconds)
    shift = _projected(moved, _marks(head, moved, correspondence)) - _projected(clip, wanted)
    return dataclasses.replace(moved, projected=clip.projected + shift)


def _with_slow_torso(head: HeadModel, clip: TrackedClip, seconds: Tensor) -> TrackedClip:
    """The clip with turns of the torso's joint that leave the torso a path smooth in time, to first order."""
    near = torch.exp(-0.5 * ((seconds[:, None] - seconds) / _SLOW).square())
    slow = near @ clip.pose.translation / near.sum(1, keepdim=True)
    torso, root = head.joint_names.index(TORSO), axis_angle_to_matrix(clip.pose.joints[:, 0])
    away = (root.mT @ (slow - clip.pose.translation)[..., None])[..., 0]
    behind = (head.joint_positions[0] - head.joint_positions[torso])[2].double()
    joints = clip.pose.joints.clone()
    joints[:, torso] = torch.stack([-away[:, 1], away[:, 0], torch.zeros_like(seconds)], 1) / behind
    return dataclasses.replace(clip, pose=Pose(clip.pose.expression, joints, clip.pose.translation))


def _torso(skull: Tensor) -> Tensor:
    """[N, 3, 3] the mean of the skull's rotations [N, 3, 3], turned on by what exceeds the neck's reach."""
    mean = nearest_rotation(skull.sum(0))
    turned = matrix_to_axis_angle(mean.T @ skull)
    excess = (1 - _FARTHEST / turned.norm(dim=1, keepdim=True).clamp_min(_FARTHEST)) * turned
    return mean @ axis_angle_to_matrix(excess)


def _marks(head: HeadModel, clip: TrackedClip, correspondence: Correspondence) -> Tensor:
    """[N, 478, 3] the landmarks' places on the posed head, float64 metres."""
    person = head.with_identity(clip.shape.float())
    parts = []
    for rows in torch.arange(len(clip.pose.joints)).split(_CHUNK):
        parts.append(correspondence.points(person.pose(clip.pose.rows(rows).to(torch.float32)).vertices))
    return torch.cat(parts).double()


def _projected(clip: TrackedClip, points: Tensor) -> Tensor:
    """[N, 478, 2] pixels of the video, from its principal point."""
    camera = points @ clip.world_to_camera[:, :3].T + clip.world_to_camera[:, 3]
    return clip.focal * camera[..., :2] / camera[..., 2:]
