"""Poses alone and in batches, and a head that became one person's."""

import dataclasses

import pytest
import torch
from head_samples import random_head

from rgb_core.heads import Pose
from rgb_core.heads.pose import skull_rotation
from rgb_core.rotations import axis_angle_to_matrix


def draw_poses(count: int) -> list[Pose]:
    generator = torch.Generator().manual_seed(6)

    def draw(*shape: int) -> torch.Tensor:
        return torch.randn(*shape, generator=generator, dtype=torch.float64)

    return [Pose(draw(3), draw(3, 3), draw(3)) for _ in range(count)]


@pytest.mark.parametrize("regressed", [False, True])
def test_a_pose_alone_is_a_batch_of_one(regressed: bool):
    head, poses = random_head(regressed=regressed), draw_poses(4)
    batch = head.pose(Pose.stack(poses))
    assert batch.vertices.shape == (4, head.vertex_count, 3)
    assert batch.transforms.shape == (4, head.joint_count, 4, 4)
    for index, pose in enumerate(poses):
        alone = head.pose(pose)
        torch.testing.assert_close(alone.vertices, batch.vertices[index])
        torch.testing.assert_close(alone.transforms, batch.transforms[index])


def test_rows_take_a_stack_apart():
    poses = draw_poses(5)
    stacked = Pose.stack(poses)
    for index, pose in enumerate(poses):
        assert all(map(torch.equal, stacked.rows(index).tensors, pose.tensors))
    chosen = Pose.stack([poses[3], poses[1]])
    for rows in ([3, 1], torch.tensor([3, 1])):
        assert all(map(torch.equal, stacked.rows(rows).tensors, chosen.tensors))
    tail = Pose.stack(poses[3:])
    assert all(map(torch.equal, stacked.rows(slice(3, None)).tensors, tail.tensors))


def test_rest_is_the_template():
    head = random_head(dtype=torch.float32)
    posed = head.pose(Pose.rest(3, 3))
    torch.testing.assert_close(posed.vertices, head.vertices)
    torch.testing.assert_close(posed.transforms, torch.eye(4).expand(3, 4, 4))


def test_a_pose_moves_as_a_whole():
    pose = draw_poses(1)[0]
    assert {tensor.dtype for tensor in pose.to(torch.float32).tensors} == {torch.float32}
    assert {tensor.device.type for tensor in pose.to(torch.device("meta")).tensors} == {"meta"}
    like = torch.zeros(1, dtype=torch.float32, device="meta")
    assert {(tensor.dtype, tensor.device.type) for tensor in pose.to(like).tensors} == {(torch.float32, "meta")}
    assert {tensor.dtype for tensor in pose.tensors} == {torch.float64}


def test_the_skull_follows_root_and_neck():
    joints = draw_poses(1)[0].joints
    root, neck = axis_angle_to_matrix(joints[0]), axis_angle_to_matrix(joints[1])
    torch.testing.assert_close(skull_rotation(joints, ("root", "neck", "jaw")), root @ neck)
    torch.testing.assert_close(skull_rotation(joints, ("root", "jaw", "eye")), root)


def test_a_person_has_the_identity_in_template_and_joints():
    head, pose = random_head(regressed=True), draw_poses(1)[0]
    shape = torch.tensor([0.7, -1.2], dtype=torch.float64)
    person = head.with_identity(shape)
    offset = torch.einsum("s,svc->vc", shape, head.shape_basis)
    torch.testing.assert_close(person.vertices, head.vertices + offset)
    torch.testing.assert_close(person.joint_positions, head.joint_regressor @ (head.vertices + offset))
    assert len(person.shape_basis) == 0
    again = person.with_identity(torch.zeros(0))
    assert torch.equal(again.vertices, person.vertices)
    apart = person.pose(pose).vertices - head.pose(pose).vertices
    assert float(apart.norm(dim=1).min()) > 0


def test_no_identity_is_the_template_itself():
    head = random_head(regressed=True)
    person = head.with_identity(torch.zeros(0))
    assert torch.equal(person.vertices, head.vertices)
    assert len(person.shape_basis) == 0


def test_fixed_joints_no_longer_follow_the_face():
    head, pose = random_head(regressed=True), draw_poses(1)[0]
    fixed = head.with_fixed_joints()
    torch.testing.assert_close(fixed.joint_positions, head.joint_regressor @ head.vertices)
    still = dataclasses.replace(pose, expression=torch.zeros(3, dtype=torch.float64))
    torch.testing.assert_close(fixed.pose(still).vertices, head.pose(still).vertices)
    torch.testing.assert_close(fixed.pose(pose).transforms, fixed.pose(still).transforms)
    assert float((head.pose(pose).transforms - head.pose(still).transforms).abs().max()) > 1e-3
    assert fixed.with_fixed_joints() is fixed
