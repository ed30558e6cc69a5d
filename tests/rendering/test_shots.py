"""Poses to render: turning heads and clips."""

import dataclasses
import math
from types import SimpleNamespace

import pytest
import torch

from rgb_core.avatar.portrait import Portrait
from rgb_core.errors import InputError
from rgb_core.heads import HeadModel, Pose
from rgb_core.rendering.shots import TURN, clip_shots, turntable
from rgb_core.rotations import axis_angle_to_matrix
from rgb_core.scene import Camera


def look_at(yaw: float) -> Camera:
    """A camera 1 m from the origin, turned by `yaw` radians about the vertical, OpenCV axes."""
    turn = axis_angle_to_matrix(torch.tensor([0.0, yaw, 0.0]))
    flip = torch.diag(torch.tensor([1.0, -1.0, -1.0]))
    rotation = flip @ turn.T
    return Camera((100.0, 100.0, 32.0, 32.0), torch.cat([rotation, torch.tensor([[0.0], [0.0], [1.0]])], 1), 64, 64)


def frame(root: list[float], translation: list[float], camera: Camera) -> SimpleNamespace:
    return SimpleNamespace(
        pose=Pose(torch.tensor([0.3, 0.6]), torch.tensor([root]), torch.tensor(translation)), camera=camera
    )


@pytest.fixture
def avatar(patch: HeadModel) -> SimpleNamespace:
    portrait = Portrait.of(
        [frame([0.0, 0.9, 0.0], [0.0] * 3, look_at(0)), frame([0.1, 0.1, 0.0], [0.0] * 3, look_at(0))],
        patch.joint_names,
    )
    return SimpleNamespace(head=patch, portrait=portrait)


def test_portrait_is_the_frame_that_faces_its_camera(avatar: SimpleNamespace):
    torch.testing.assert_close(avatar.portrait.joints[0], torch.tensor([0.1, 0.1, 0.0]))


def test_a_face_turned_by_its_neck_is_no_portrait():
    """The torso faces the camera in both; the neck turns the second by half a radian."""
    angles = torch.tensor([[0.1, 0.0, 0.0], [0.0, 0.0, 0.0]]), torch.tensor([[0.0, 0.0, 0.0], [0.0, 0.5, 0.0]])
    straight, turned = (
        SimpleNamespace(pose=Pose(torch.zeros(2), joints, torch.zeros(3)), camera=look_at(0)) for joints in angles
    )
    assert torch.equal(Portrait.of([turned, straight], ("root", "neck")).joints, straight.pose.joints)


def test_portrait_survives_yaml(avatar: SimpleNamespace):
    again = Portrait.from_dict(avatar.portrait.to_dict())
    assert again.camera.intrinsics == avatar.portrait.camera.intrinsics
    assert torch.equal(again.camera.world_to_camera, avatar.portrait.camera.world_to_camera)
    assert torch.equal(again.joints, avatar.portrait.joints)


def test_turntable_stands_upright_where_the_portrait_was(avatar: SimpleNamespace):
    """The face looks straight into the camera, the top of the head is up, and the head stays in the middle."""
    shot = turntable(avatar, 4)[0]
    seen = shot.camera.world_to_camera[:, :3] @ axis_angle_to_matrix(shot.pose.joints[0])
    torch.testing.assert_close(seen, torch.diag(torch.tensor([1.0, -1.0, -1.0])))
    assert not shot.pose.joints[1:].any()
    leaning, upright = (
        avatar.head.pose(pose).vertices.mean(0)
        for pose in (avatar.portrait.pose(len(avatar.head.expression_names)), shot.pose)
    )
    torch.testing.assert_close(upright, leaning)


def test_turntable_swings_both_ways_about_the_portrait(avatar: SimpleNamespace):
    shots = turntable(avatar, 8)
    rest = avatar.portrait.camera.facing
    angles = []
    for shot in shots:
        relative = axis_angle_to_matrix(shot.pose.joints[0]) @ rest.T
        angles.append(math.atan2(float(relative[0, 2]), float(relative[0, 0])))
    assert angles[0] == pytest.approx(0, abs=1e-5)
    assert angles[2] == pytest.approx(TURN, abs=1e-5)
    assert angles[6] == pytest.approx(-TURN, abs=1e-5)


def test_clip_of_another_model_is_refused(avatar: SimpleNamespace):
    other = dataclasses.replace(avatar.head, expression_names=("a", "b"), name="other")
    with pytest.raises(InputError, match="rgb animate"):
        clip_shots(avatar, SimpleNamespace(head=other, folder="clip"), [])
