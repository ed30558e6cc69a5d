"""What to render: poses and cameras for a turning head, or for a clip."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch

from ..avatar import Avatar
from ..data import Dataset, Frame
from ..errors import InputError
from ..heads import Pose
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
    """The neutral head of the avatar's portrait, upright, turning left and right once, in `count` shots."""
    return turned(avatar, [TURN * math.sin(2 * math.pi * index / count) for index in range(count)])


def turned(avatar: Avatar, yaws: Sequence[float]) -> list[Shot]:
    """The neutral head of the avatar's portrait, upright, turned by `yaws` in radians towards its left."""
    portrait = avatar.portrait.upright(avatar.head)
    still = torch.zeros(len(avatar.head.expression_names))
    root = axis_angle_to_matrix(portrait.joints[0])
    shots = []
    for yaw in yaws:
        rotation = root @ axis_angle_to_matrix(torch.tensor([0.0, yaw, 0.0]))
        joints = torch.cat([matrix_to_axis_angle(rotation)[None], portrait.joints[1:]])
        shots.append(Shot(Pose(still, joints, portrait.translation), portrait.camera))
    return shots


def clip_shots(avatar: Avatar, dataset: Dataset, frames: list[Frame]) -> list[Shot]:
    """Frames of the avatar's own clip, or of one tracked with the same head model, as they were taken."""
    _check_same_model(avatar, dataset)
    return [Shot(frame.pose, frame.camera) for frame in frames]


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


def _check_same_model(avatar: Avatar, dataset: Dataset) -> None:
    if (
        dataset.head.expression_names != avatar.head.expression_names
        or dataset.head.joint_count != avatar.head.joint_count
    ):
        raise InputError(
            f"{dataset.folder} is tracked with head model '{dataset.head.name}', the avatar with "
            f"'{avatar.head.name}': use `rgb animate`, which transfers the motion"
        )
