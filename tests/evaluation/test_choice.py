"""Frames to picture differ from each other."""

from dataclasses import replace

import torch
from evaluation_scenes import CAMERA

from rgb_core.data import Frame
from rgb_core.evaluation.choice import distinct_frames
from rgb_core.heads import Pose, builtin_head
from rgb_core.rotations import axis_angle_to_matrix

HEAD = builtin_head()


def frame(name, yaw=0.0, jaw=0.0):
    """A frame with the head turned by `yaw` radians and the jaw open."""
    pose = Pose.rest(len(HEAD.expression_names), HEAD.joint_count)
    pose.joints[0, 1] = yaw
    pose.expression[HEAD.expression_names.index("jawOpen")] = jaw
    return Frame(name, None, None, CAMERA, pose)


def test_one_of_every_kind_is_chosen_before_neighbours():
    still = [frame(f"still{index}", yaw=0.001 * index) for index in range(20)]
    turned = [frame(f"turned{index}", yaw=0.8 + 0.001 * index) for index in range(3)]
    speaking = [frame(f"speaking{index}", jaw=0.9 + 0.001 * index) for index in range(2)]
    chosen = [found.id for found in distinct_frames([*still, *turned, *speaking], HEAD, 3)]
    assert [name.rstrip("0123456789") for name in chosen] == ["still", "turned", "speaking"]


def test_what_was_chosen_already_is_not_repeated_in_kind():
    frames = [frame("still"), frame("turned", yaw=0.8), frame("speaking", jaw=0.9)]
    (found,) = distinct_frames(frames, HEAD, 1, [frame("a", yaw=0.79), frame("b", jaw=0.88)])
    assert found.id == "still"


def test_a_turning_camera_counts_as_a_turning_head():
    axis = torch.tensor([0.0, 0.8, 0.0])
    turned = frame("turned head", yaw=0.8)
    around = replace(frame("turned camera"), camera=replace(CAMERA, world_to_camera=turn(CAMERA.world_to_camera, axis)))
    assert {found.id for found in distinct_frames([frame("still"), turned, around], HEAD, 2)} != {
        "turned head", "turned camera"
    }  # fmt: skip


def turn(world_to_camera, axis):
    """The camera that sees a still head as `world_to_camera` sees one turned by `axis`."""
    return torch.cat([world_to_camera[:, :3] @ axis_angle_to_matrix(axis), world_to_camera[:, 3:]], 1)


def test_frames_that_are_all_alike_are_each_chosen_once():
    frames = [frame(str(index)) for index in range(3)]
    assert [found.id for found in distinct_frames(frames, HEAD, 5)] == ["0", "1", "2"]
    assert distinct_frames([], HEAD, 2) == []
