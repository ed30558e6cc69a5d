"""Posing against a float64 numpy derivation of docs/formats.md, its gradients, and rigid motion."""

import dataclasses

import numpy as np
import pytest
import torch
from head_samples import random_head
from scipy.spatial.transform import Rotation

from rgb_core.errors import InputError
from rgb_core.heads import Pose, vertex_normals
from rgb_core.rotations import axis_angle_to_matrix


@pytest.fixture
def head():
    """The random head in double precision."""
    return random_head()


def draw_pose(batch: int = 4, seed: int = 5) -> tuple[torch.Tensor, ...]:
    """Expression, joints and translation of a batch, and an identity."""
    generator = torch.Generator().manual_seed(seed)

    def draw(*shape: int) -> torch.Tensor:
        return torch.randn(*shape, generator=generator, dtype=torch.float64)

    return draw(batch, 3), draw(batch, 3, 3), draw(batch, 3), draw(2)


def posed_by_loops(head, expression, joints, translation, shape) -> np.ndarray:
    """One pose, vertex by vertex and joint by joint, as docs/formats.md words it."""
    vertices = head.vertices.numpy().copy()
    for coefficient, offsets in zip(shape, head.shape_basis.numpy(), strict=True):
        vertices += coefficient * offsets
    for coefficient, offsets in zip(expression, head.expression_basis.numpy(), strict=True):
        vertices += coefficient * offsets
    centers = head.joint_positions.numpy()
    if head.joint_regressor is not None:
        centers = head.joint_regressor.numpy() @ vertices
    rotations = Rotation.from_rotvec(joints).as_matrix()
    feature = np.concatenate([(rotation - np.eye(3)).ravel() for rotation in rotations[1:]])
    for coefficient, offsets in zip(feature, head.pose_basis.numpy(), strict=True):
        vertices += coefficient * offsets
    motions = []
    for joint, parent in enumerate(head.joint_parents.tolist()):
        motion = np.eye(4)
        motion[:3, :3] = rotations[joint]
        motion[:3, 3] = centers[joint] - rotations[joint] @ centers[joint]
        motions.append(motion if parent < 0 else motions[parent] @ motion)
    posed = np.zeros_like(vertices)
    for index, vertex in enumerate(vertices):
        for weight, motion in zip(head.skin_weights[index].tolist(), motions, strict=True):
            posed[index] += weight * (motion @ [*vertex, 1.0])[:3]
    return posed + translation


@pytest.mark.parametrize("regressed", [False, True])
def test_agrees_with_loops(regressed):
    head = random_head(regressed=regressed)
    expression, joints, translation, shape = draw_pose()
    vertices, _ = head.with_identity(shape).pose(Pose(expression, joints, translation))
    for index in range(4):
        expected = posed_by_loops(
            head, expression[index].numpy(), joints[index].numpy(), translation[index].numpy(), shape.numpy()
        )
        # Double precision throughout; sums of about fifty terms of order one.
        np.testing.assert_allclose(vertices[index], expected, atol=1e-13)


def test_order_of_joints_does_not_matter():
    head = random_head()
    order = torch.tensor([2, 0, 1])  # jaw first: a child before its parent
    shuffled = dataclasses.replace(
        head,
        joint_positions=head.joint_positions[order],
        joint_parents=torch.tensor([2, -1, 1]),
        skin_weights=head.skin_weights[:, order],
        pose_basis=head.pose_basis[:0],
    )
    plain = dataclasses.replace(head, pose_basis=head.pose_basis[:0])
    expression, joints, translation, _ = draw_pose()
    expected = plain.pose(Pose(expression, joints, translation))
    got = shuffled.pose(Pose(expression, joints[:, order], translation))
    torch.testing.assert_close(got.vertices, expected.vertices)
    torch.testing.assert_close(got.transforms, expected.transforms[:, order])


def test_gradients_by_finite_differences():
    head = random_head(regressed=True)
    inputs = tuple(tensor.requires_grad_() for tensor in draw_pose(batch=1))

    def posed(*tensors: torch.Tensor) -> tuple[torch.Tensor, ...]:
        *pose, shape = tensors
        return tuple(head.with_identity(shape).pose(Pose(*pose)))

    assert torch.autograd.gradcheck(posed, inputs)


def test_gradient_at_rest_is_finite(head):
    joints = torch.zeros(1, 3, 3, dtype=torch.float64, requires_grad=True)
    zeros = torch.zeros(1, 3, dtype=torch.float64)
    head.pose(Pose(zeros, joints, zeros)).vertices.square().sum().backward()
    assert joints.grad.isfinite().all()
    assert joints.grad.abs().max() > 0


def test_root_rotation_is_rigid(head):
    expression, joints, translation, shape = draw_pose()
    joints[:, 0] = 0
    still, moved = joints, joints.clone()
    moved[:, 0] = torch.tensor([0.3, -0.8, 0.5], dtype=torch.float64)
    person = head.with_identity(shape)
    before = person.pose(Pose(expression, still, translation * 0)).vertices
    after = person.pose(Pose(expression, moved, translation)).vertices
    rotation, center = axis_angle_to_matrix(moved[0, 0]), person.joint_positions[0]
    torch.testing.assert_close(after, (before - center) @ rotation.T + center + translation[:, None])


def test_transforms_carry_each_joints_own_vertices(head):
    owned = dataclasses.replace(
        head, skin_weights=torch.eye(3, dtype=torch.float64).repeat(4, 1), pose_basis=head.pose_basis[:0]
    )
    expression, joints, translation, _ = draw_pose()
    vertices, transforms = owned.pose(Pose(expression, joints, translation))
    unposed = owned.pose(Pose(expression, joints * 0, translation * 0)).vertices
    for joint in range(3):
        motion = transforms[:, joint]
        expected = unposed[:, joint::3] @ motion[:, :3, :3].mT + motion[:, None, :3, 3]
        torch.testing.assert_close(vertices[:, joint::3], expected)


@pytest.mark.parametrize(
    ("expression", "joints", "translation", "shape", "word"),
    [
        ((1, 4), (1, 3, 3), (1, 3), (2,), "expression"),
        ((1, 3), (1, 2, 3), (1, 3), (2,), "joints"),
        ((2, 3), (1, 3, 3), (2, 3), (2,), "joints"),
        ((1, 3), (1, 3, 3), (1, 2), (2,), "translation"),
        ((1, 3), (1, 3, 3), (1, 3), (3,), "shape"),
    ],
)
def test_wrong_lengths_are_refused(head, expression, joints, translation, shape, word):
    *pose, identity = (torch.zeros(size, dtype=torch.float64) for size in (expression, joints, translation, shape))
    with pytest.raises(InputError, match=f"'random' takes {word}"):
        head.with_identity(identity).pose(Pose(*pose))


def test_unknown_expression_is_refused(head):
    assert head.expression_index("b") == 1
    with pytest.raises(InputError, match="no expression 'smile'"):
        head.expression_index("smile")


def test_normals_are_area_weighted():
    vertices = torch.tensor([[0.0, 0, 0], [1, 0, 0], [0, 1, 0], [0, 0, 2], [9, 9, 9]], dtype=torch.float64)
    faces = torch.tensor([[0, 1, 2], [0, 2, 3]])  # areas 1/2 (facing z) and 1 (facing x)
    normals = vertex_normals(vertices.expand(2, -1, -1), faces)
    expected = torch.tensor([2.0, 0.0, 1.0], dtype=torch.float64) / 5**0.5
    torch.testing.assert_close(normals[:, 0], expected.expand(2, 3))
    torch.testing.assert_close(normals[0, 1], torch.tensor([0.0, 0.0, 1.0], dtype=torch.float64))
    assert normals[0, 4].tolist() == [0.0, 0.0, 0.0]


def test_normals_have_gradients():
    head = random_head()
    vertices = head.vertices.clone().requires_grad_()
    assert torch.autograd.gradcheck(lambda v: vertex_normals(v, head.faces), vertices)
