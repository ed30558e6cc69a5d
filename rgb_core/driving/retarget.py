"""Somebody else's performance on an avatar: expressions by name or by shape, the head turned as its camera saw it."""

from collections.abc import Sequence

import torch
from torch import Tensor

from ..avatar import Avatar
from ..data import Dataset, Frame
from ..errors import InputError, did_you_mean
from ..heads import HeadModel, Motion, Pose, expression_transfer, name_transfer
from ..heads.arkit import ARKIT_NAMES, GAZE, arkit_parts
from ..heads.pose import NECK
from ..rotations import axis_angle_to_matrix, matrix_to_axis_angle
from .recording import Recording, turn_matrix

JAW_OPEN = "jawOpen"
_JAW, _EYES = "jaw", ("left_eye", "right_eye")
_JAW_ANGLE = 0.35  # radians of a joint for a jaw that is wide open
_GAZE_ANGLE = 0.52  # radians of the eyes for a coefficient of 1, about 30 degrees


def follow_clip(avatar: Avatar, dataset: Dataset) -> Motion:
    """The motion of a tracked clip as the avatar makes it before the camera of its portrait.

    Expressions go through `heads.expression_transfer`; the root turns as it turned before the source's camera, and
    moves from the portrait as the source moved from its mean; other joints follow where both heads name them alike.

    Raises:
        InputError: when the expressions of the two head models have nothing in common.
    """
    head, portrait, frames = avatar.head, avatar.portrait, dataset.all_frames
    transfer = expression_transfer(dataset.head, head)
    named = {name: index for index, name in enumerate(dataset.head.joint_names)}
    source = Pose.stack([frame.pose for frame in frames])
    joints = torch.stack(
        [
            source.joints[:, named[name]] if name in named else rest.expand(len(frames), 3)
            for name, rest in zip(head.joint_names, portrait.joints, strict=True)
        ],
        dim=1,
    )
    rotation, position = (torch.stack(values) for values in zip(*map(_seen, frames), strict=True))
    to_world = portrait.camera.world_to_camera[:, :3].T
    joints[:, 0] = matrix_to_axis_angle(to_world @ rotation)
    translation = portrait.translation + (position - position.mean(0)) @ to_world.T
    return Motion(dataset.folder.name, Pose(source.expression @ transfer.T, joints, translation), dataset.fps)


def follow_recording(avatar: Avatar, recording: Recording) -> Motion:
    """A recording as the avatar makes it before the camera of its portrait.

    The skull turns as the person turned before the camera; where the head model has a neck, its neck does. Heads
    without a shape for the jaw or the gaze move the joints of jaw and eyes instead.

    Raises:
        InputError: when nothing of the recording is anything that the avatar's head can do.
    """
    head, rows = avatar.head, len(recording.expression)
    portrait = avatar.portrait.upright(head)
    transfer = name_transfer(recording.names, head.expression_names)
    joints = torch.zeros(rows, head.joint_count, 3)
    joints[:, 0] = portrait.joints[0]
    _open_jaw(joints, head, recording)
    transferred = recording.expression @ transfer.T
    if recording.gaze is not None:
        _look(transferred, joints, head, recording)
    for name, values in recording.joints.items():
        joints[:, head.joint_names.index(name)] = values
    moved = bool(transfer.any() or joints[:, 1:].any()) or recording.turn is not None or bool(recording.joints)
    if not moved:
        raise InputError(
            f"{recording.name} moves nothing that head model '{head.name}' has: its expressions are "
            f"{', '.join(head.expression_names[:3])}, ..."
        )
    translation = portrait.translation if recording.translation is None else recording.translation
    pose = Pose(transferred, joints, translation.expand(rows, 3))
    if not {head.joint_names[0], NECK} & recording.joints.keys():
        turn = torch.zeros(rows, 3) if recording.turn is None else recording.turn
        pose = _turned(pose, head, portrait.camera.facing @ turn_matrix(turn))
    return Motion(recording.name, pose, recording.fps)


def with_neck(pose: Pose, head: HeadModel, neck: Tensor) -> Pose:
    """A batch of poses with other angles [N, 3] of the neck: the root turns instead, and the skull stays as it was.

    The neck's joint stays where it is.
    """
    index = head.joint_names.index(NECK)
    root, old, new = (axis_angle_to_matrix(values) for values in (pose.joints[:, 0], pose.joints[:, index], neck))
    turned = root @ old @ new.mT
    arm = head.joint_positions[index] - head.joint_positions[0]
    joints = pose.joints.clone()
    joints[:, 0], joints[:, index] = matrix_to_axis_angle(turned), neck
    return Pose(pose.expression, joints, pose.translation + (root - turned) @ arm)


def check_names(names: Sequence[str], head: HeadModel, where: str) -> None:
    """Refuse a name that is neither ARKit's nor an expression of `head`.

    Raises:
        InputError: with `where` it stands, and the nearest name that exists.
    """
    for name in names:
        if name not in head.expression_names and not arkit_parts(name):
            known = [*head.expression_names, *ARKIT_NAMES]
            raise InputError(
                f"{where}: '{name}' is no expression{did_you_mean(name, known)}: ARKit's names and those of head model "
                f"'{head.name}' are known"
            )


def _turned(pose: Pose, head: HeadModel, skull: Tensor) -> Pose:
    """A batch of poses with the skull's rotation [N, 3, 3]: by the neck where there is one, else by the root."""
    index = head.joint_names.index(NECK) if NECK in head.joint_names else 0
    joints = pose.joints.clone()
    below = axis_angle_to_matrix(joints[:, 0]) if index else torch.eye(3)
    joints[:, index] = matrix_to_axis_angle(below.mT @ skull)
    return Pose(pose.expression, joints, pose.translation)


def _open_jaw(joints: Tensor, head: HeadModel, recording: Recording) -> None:
    """Let the joint of the jaw do what the head has no expression for."""
    if JAW_OPEN in recording.names and JAW_OPEN not in head.expression_names and _JAW in head.joint_names:
        joints[:, head.joint_names.index(_JAW), 0] = (
            _JAW_ANGLE * recording.expression[:, recording.names.index(JAW_OPEN)]
        )


def _look(expression: Tensor, joints: Tensor, head: HeadModel, recording: Recording) -> None:
    """Turn the eyes: by expressions where the head has them, unless the recording has moved those, else by joints."""
    assert recording.gaze is not None
    shapes = {name: index for index, name in enumerate(head.expression_names) if name.startswith(GAZE)}
    if shapes and any(name.startswith(GAZE) for name in recording.names):
        return
    for eye, side in enumerate(("Left", "Right")):
        yaw, pitch = recording.gaze[:, eye].unbind(-1)
        outward = yaw if side == "Left" else -yaw
        towards = {"Out": outward, "In": -outward, "Up": pitch, "Down": -pitch}
        for direction, angle in towards.items():
            if (index := shapes.get(f"{GAZE}{direction}{side}")) is not None:
                expression[:, index] = (angle / _GAZE_ANGLE).clamp(0, 1)
        if not shapes and _EYES[eye] in head.joint_names:
            turn = turn_matrix(torch.stack([yaw, pitch, torch.zeros_like(yaw)], -1))
            joints[:, head.joint_names.index(_EYES[eye])] = matrix_to_axis_angle(turn)


def _seen(frame: Frame) -> tuple[Tensor, Tensor]:
    """Rotation [3, 3] and translation [3] of the root in camera axes."""
    turn = frame.camera.world_to_camera[:, :3]
    return turn @ axis_angle_to_matrix(frame.pose.joints[0]), turn @ frame.pose.translation
