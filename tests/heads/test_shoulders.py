"""The bust of a head model goes on to the shoulders: one surface, carried by the torso."""

import dataclasses

import pytest
import torch

from rgb_core.errors import InputError
from rgb_core.heads import HeadModel, Pose, builtin_head, vertex_normals, with_shoulders
from rgb_core.heads.shoulders import lower_edge


@pytest.fixture(scope="module")
def wide() -> HeadModel:
    return with_shoulders(builtin_head())


def test_shoulders_go_on_outwards_and_downwards_from_the_open_edge(wide: HeadModel):
    head = builtin_head()
    count = head.vertex_count
    torch.testing.assert_close(wide.vertices[:count], head.vertices)
    inner, outer = head.vertices[lower_edge(head)], wide.vertices[lower_edge(wide)]
    assert len(inner) == len(outer)
    assert float(outer[:, 0].abs().max() - inner[:, 0].abs().max()) == pytest.approx(0.064, abs=0.004)
    assert bool((outer[:, 1] < inner[:, 1] - 0.02).all())
    normals = vertex_normals(wide.vertices, wide.faces)[lower_edge(wide)]
    outward = outer - outer.mean(0)
    outward[:, 1] = 0
    assert float(((normals * outward).sum(1) > 0).float().mean()) > 0.9  # no triangle is inside out


def test_the_neck_turns_without_the_shoulders(wide: HeadModel):
    pose = Pose.rest(len(wide.expression_names), wide.joint_count)
    joints = pose.joints.clone()
    joints[wide.joint_names.index("neck"), 1] = 0.5
    turned = wide.pose(Pose(pose.expression, joints, pose.translation)).vertices
    still = wide.pose(pose).vertices
    new = slice(builtin_head().vertex_count, None)
    torch.testing.assert_close(turned[new], still[new], atol=1e-5, rtol=0)
    assert float((turned - still).norm(dim=1).max()) > 0.03


def test_the_torso_has_a_path_of_its_own(wide: HeadModel):
    """A milliradian about its joint is a millimetre across the view, for whoever it is; the head stays."""
    person = wide.with_identity(torch.linspace(-1, 1, len(wide.shape_basis)))
    pose = Pose.rest(len(wide.expression_names), wide.joint_count)
    joints = pose.joints.clone()
    joints[-1] = torch.tensor([2e-3, 3e-3, 0.0])
    moved = person.pose(Pose(pose.expression, joints, pose.translation)).vertices - person.pose(pose).vertices
    shoulders = moved[builtin_head().vertex_count :].mean(0)
    assert shoulders[:2].tolist() == pytest.approx([3e-3, -2e-3], rel=0.15)
    assert float(moved[wide.vertices[:, 1] > 0].norm(dim=1).max()) < 1e-4


def test_heads_without_a_neck_or_a_bust_are_refused():
    head = builtin_head()
    with pytest.raises(InputError, match="joint called 'neck'"):
        with_shoulders(dataclasses.replace(head, joint_names=("root", "throat", *head.joint_names[2:])))
    with pytest.raises(InputError, match="one open edge"):
        with_shoulders(dataclasses.replace(head, region=torch.zeros_like(head.region)))
