"""What to render: poses and cameras for a turning head, a clip, or a clip of somebody else."""

import math
from dataclasses import dataclass, replace

import torch

from ..avatar import Avatar
from ..data import Dataset, Frame
from ..errors import InputError
from ..heads import Pose, expression_transfer
from ..rotations import axis_angle_to_matrix, matrix_to_axis_angle
from ..scene import Camera

TURN = math.radians(35.0)


@dataclass(frozen=True, eq=False)
class Shot:
    """One pose of an avatar and the camera that looks at it."""

    pose: Pose
    camera: Camera
    """As the avatar's dataset has it: the renderer applies the focal length that the fit found."""


def turntable(avatar: Avatar, count: int) -> list[Shot]:
    """The neutral head of the avatar's portrait turning left and right once about the vertical, in `count` shots."""
    portrait = avatar.portrait
    still = torch.zeros(len(avatar.head.expression_names))
    root = axis_angle_to_matrix(portrait.joints[0])
    shots = []
    for index in range(count):
        yaw = TURN * math.sin(2 * math.pi * index / count)
        turned = axis_angle_to_matrix(torch.tensor([0.0, yaw, 0.0])) @ root
        joints = torch.cat([matrix_to_axis_angle(turned)[None], portrait.joints[1:]])
        shots.append(Shot(Pose(still, joints, portrait.translation), portrait.camera))
    return shots


def clip_shots(avatar: Avatar, dataset: Dataset, frames: list[Frame]) -> list[Shot]:
    """Frames of the avatar's own clip, or of one tracked with the same head model, as they were taken."""
    _check_same_model(avatar, dataset)
    return [Shot(frame.pose, frame.camera) for frame in frames]


def retarget(avatar: Avatar, dataset: Dataset, frames: list[Frame]) -> list[Shot]:
    """Somebody else's motion on the avatar, seen by the avatar's own camera.

    Expressions go through `heads.expression_transfer`; the root turns as it turned before the source's camera, and
    moves from the portrait as the source moved from its mean; other joints follow where both heads name them alike.

    Raises:
        InputError: when the expressions of the two head models have nothing in common.
    """
    head, portrait = avatar.head, avatar.portrait
    transfer = expression_transfer(dataset.head, head)
    named = {name: index for index, name in enumerate(dataset.head.joint_names)}
    mean = torch.stack([_seen(frame)[1] for frame in frames]).mean(0)
    to_world = portrait.camera.world_to_camera[:, :3].T
    shots = []
    for frame in frames:
        rotation, position = _seen(frame)
        joints = torch.stack(
            [
                frame.pose.joints[named[name]] if name in named else rest
                for name, rest in zip(head.joint_names, portrait.joints, strict=True)
            ]
        )
        joints[0] = matrix_to_axis_angle(to_world @ rotation)
        translation = portrait.translation + to_world @ (position - mean)
        shots.append(Shot(Pose(transfer @ frame.pose.expression, joints, translation), portrait.camera))
    return shots


def at_size(shots: list[Shot], size: int | None) -> list[Shot]:
    """The shots with the longer side of their pictures `size` pixels; as they are where it is None."""
    if size is None:
        return shots
    resized = []
    for shot in shots:
        scale = size / max(shot.camera.width, shot.camera.height)
        camera = shot.camera.resized(round(shot.camera.width * scale), round(shot.camera.height * scale))
        resized.append(replace(shot, camera=camera))
    return resized


def _seen(frame: Frame) -> tuple[torch.Tensor, torch.Tensor]:
    """Rotation [3, 3] and translation [3] of the root in camera axes."""
    turn = frame.camera.world_to_camera[:, :3]
    return turn @ axis_angle_to_matrix(frame.pose.joints[0]), turn @ frame.pose.translation


def _check_same_model(avatar: Avatar, dataset: Dataset) -> None:
    if (
        dataset.head.expression_names != avatar.head.expression_names
        or dataset.head.joint_count != avatar.head.joint_count
    ):
        raise InputError(
            f"{dataset.folder} is tracked with head model '{dataset.head.name}', the avatar with "
            f"'{avatar.head.name}': use `rgb animate`, which transfers the motion"
        )
