"""Other people's motion before the avatar's own camera."""

import math
from dataclasses import replace
from types import SimpleNamespace

import pytest
import torch

from rgb_core.avatar import Avatar
from rgb_core.avatar.portrait import Portrait
from rgb_core.driving.recording import Recording
from rgb_core.driving.retarget import follow_clip, follow_recording
from rgb_core.errors import InputError
from rgb_core.heads import HeadModel, Pose
from rgb_core.rotations import axis_angle_to_matrix
from rgb_core.scene import Camera


def look_at(yaw: float) -> Camera:
    """A camera 1 m from the origin, turned by `yaw` radians about the vertical, OpenCV axes."""
    turn = axis_angle_to_matrix(torch.tensor([0.0, yaw, 0.0]))
    rotation = torch.diag(torch.tensor([1.0, -1.0, -1.0])) @ turn.T
    return Camera((100.0, 100.0, 32.0, 32.0), torch.cat([rotation, torch.tensor([[0.0], [0.0], [1.0]])], 1), 64, 64)


def frame(root: list[float], translation: list[float], camera: Camera) -> SimpleNamespace:
    return SimpleNamespace(
        pose=Pose(torch.tensor([0.3, 0.6]), torch.tensor([root]), torch.tensor(translation)), camera=camera
    )


@pytest.fixture
def patched(patch: HeadModel) -> SimpleNamespace:
    """An avatar of two expressions and one joint, seen by a camera that stands aside."""
    portrait = Portrait(look_at(0.4), torch.tensor([[0.1, 0.1, 0.0]]), torch.zeros(3))
    return SimpleNamespace(head=patch, portrait=portrait)


def test_a_clip_keeps_what_its_camera_saw(patched: SimpleNamespace):
    """A clip whose camera stands elsewhere turns the avatar before its own camera as the driver turned."""
    aside = look_at(0.7)
    frames = [frame([0.2, 0.5, 0.1], [0.01, 0.0, 0.0], aside), frame([0.0, -0.3, 0.0], [-0.01, 0.0, 0.0], aside)]
    clip = SimpleNamespace(head=patched.head, all_frames=frames, folder=SimpleNamespace(name="clip"), fps=30.0)
    motion = follow_clip(patched, clip)
    own = patched.portrait.camera.world_to_camera[:, :3]
    assert (motion.name, motion.fps, motion.frames) == ("clip", 30.0, 2)
    for index, driver in enumerate(frames):
        pose = motion.poses.rows(index)
        wanted = aside.world_to_camera[:, :3] @ axis_angle_to_matrix(driver.pose.joints[0])
        torch.testing.assert_close(own @ axis_angle_to_matrix(pose.joints[0]), wanted, atol=1e-5, rtol=0)
        torch.testing.assert_close(pose.expression, driver.pose.expression)
    apart = own @ (motion.poses.translation[0] - motion.poses.translation[1])
    torch.testing.assert_close(apart, aside.world_to_camera[:, :3] @ torch.tensor([0.02, 0.0, 0.0]), atol=1e-6, rtol=0)


def test_a_head_without_a_neck_turns_as_a_whole_before_its_camera(patched: SimpleNamespace):
    turns = torch.tensor([[0.0, 0.0, 0.0], [0.3, 0.0, 0.0]])
    motion = follow_recording(patched, Recording("r", 25.0, ("lift",), torch.tensor([[0.0], [0.5]]), turns))
    seen = patched.portrait.camera.world_to_camera[:, :3] @ axis_angle_to_matrix(motion.poses.joints[:, 0])
    torch.testing.assert_close(seen[0], torch.diag(torch.tensor([1.0, -1.0, -1.0])), atol=1e-6, rtol=0)
    assert float(seen[1, 0, 2]) == pytest.approx(math.sin(0.3), abs=1e-5)  # the face goes to the picture's right
    assert motion.poses.expression.tolist() == [[0.0, 0.0], [0.5, 0.0]]


def test_nothing_in_common_is_one_sentence(patched: SimpleNamespace):
    with pytest.raises(
        InputError, match="r moves nothing that head model 'patch' has: its expressions are lift, shear"
    ):
        follow_recording(patched, Recording("r", 25.0, ("jawOpen",), torch.ones(2, 1)))


def test_a_head_without_shapes_for_it_opens_its_jaw_and_turns_its_eyes_by_joints(avatar: Avatar):
    names = tuple(f"expression_{index}" for index in range(len(avatar.head.expression_names)))
    head = replace(avatar.head, expression_names=names)
    gaze = torch.tensor([[[0.2, 0.1], [0.2, 0.1]]])
    take = Recording("r", 25.0, ("jawOpen",), torch.tensor([[1.0]]), gaze=gaze)
    pose = follow_recording(replace(avatar, head=head), take).poses.rows(0)
    jaw = torch.nonzero(head.skin_weights[:, head.joint_names.index("jaw")] > 0.9)[:, 0]
    dropped = head.pose(Pose(pose.expression * 0, pose.joints, pose.translation)).vertices[jaw, 1]
    pose.joints[head.joint_names.index("jaw")] = 0
    shut = head.pose(Pose(pose.expression * 0, pose.joints, pose.translation)).vertices[jaw, 1]
    assert float((dropped - shut).mean()) < -0.005
    for eye in ("left_eye", "right_eye"):
        out = axis_angle_to_matrix(pose.joints[head.joint_names.index(eye)])[:, 2]
        assert float(out[0]) > 0.15
        assert float(out[1]) == pytest.approx(math.sin(0.1), abs=1e-5)
