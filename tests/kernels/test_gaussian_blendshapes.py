"""Posing of meshes and Gaussians: rigid motion, rest pose, what a delta does, and misuse."""

from dataclasses import replace

import pytest
import torch
from blendshape_samples import check_skinning, random_gaussians, random_head, random_pose
from gaussian_blendshapes import (
    Carrier,
    FaceRings,
    attach,
    pack_head,
    pose_gaussians,
    pose_head,
    reference,
    skin_gaussians,
    vertex_normals,
)
from gaussian_blendshapes.tables import LEARNED
from kernel_runtime import ArgumentError
from visibility_meshes import head as head_mesh
from visibility_meshes import vertex_normals as expected_normals


def test_rest_pose_is_the_rest_mesh():
    table = random_head()
    still = torch.zeros(table.expressions), torch.zeros(3, 3), torch.zeros(3)
    mesh = pose_head(table, *still)
    torch.testing.assert_close(mesh.vertices, table.rest, rtol=0, atol=1e-6)
    torch.testing.assert_close(mesh.transforms, torch.eye(3, 4).reshape(1, 12).expand(3, 12), rtol=0, atol=1e-7)


def test_the_root_moves_everything_rigidly():
    """Turning the root by a known angle about its own place turns vertices, normals and Gaussians alike."""
    table = random_head(correctives=False)
    root = 2  # the chain's parents are 1, 2, -1
    still = torch.zeros(table.expressions)
    joints = torch.zeros(3, 3)
    joints[root, 1] = torch.pi / 2
    shift = torch.tensor([0.1, 0.2, 0.3])
    mesh = pose_head(table, still, joints, shift)
    turn = torch.tensor([[0.0, 0, 1], [0, 1, 0], [-1, 0, 0]])
    centre = table.joint_rest[root]
    torch.testing.assert_close(mesh.vertices, (table.rest - centre) @ turn.T + centre + shift, rtol=0, atol=1e-6)
    upright = pose_head(table, still, 0 * joints, 0 * shift)
    torch.testing.assert_close(mesh.normals, upright.normals @ turn.T, rtol=0, atol=1e-5)
    gaussians = random_gaussians(table, 40)
    turned, plain = (pose_gaussians(gaussians, m.weights, m.transforms) for m in (mesh, upright))
    torch.testing.assert_close(turned.means, (plain.means - centre) @ turn.T + centre + shift, rtol=0, atol=1e-5)
    half = 0.5**0.5
    w, x, y, z = plain.rotations.unbind(1)  # the product of (half, 0, half, 0) and the Gaussian's own quaternion
    expected = half * torch.stack([w - y, x + z, y + w, z - x], dim=1)
    sign = torch.sign((turned.rotations * expected).sum(1, keepdim=True))
    torch.testing.assert_close(turned.rotations, sign * expected, rtol=0, atol=1e-5)
    assert torch.equal(turned.albedo, plain.albedo)


def test_expressions_of_coefficient_zero_and_vanished_pairs_change_nothing():
    head = random_head()
    table = random_gaussians(head, 50)
    assert bool((table.deltas != 0).any(1).all()), "pairs without a delta are left out"
    mesh = pose_head(head, *random_pose(head))
    active = mesh.weights[table.expression.long()] != 0
    poisoned = table.deltas.clone()
    poisoned[~active] = 60000
    for mine, theirs in zip(
        pose_gaussians(replace(table, deltas=poisoned), mesh.weights, mesh.transforms),
        pose_gaussians(table, mesh.weights, mesh.transforms),
        strict=True,
    ):
        assert torch.equal(mine, theirs)


def test_normals_are_area_weighted_and_vanish_where_there_is_no_area():
    vertices, faces = head_mesh(13, 16)
    rings = FaceRings.of(faces, len(vertices) + 1)
    lonely = torch.cat([vertices, torch.ones(1, 3)])
    normals = vertex_normals(lonely, rings)
    torch.testing.assert_close(normals[:-1], expected_normals(vertices, faces), rtol=0, atol=1e-6)
    assert torch.equal(normals[-1], torch.zeros(3))
    assert int(rings.offsets[-1]) == 3 * len(faces)


def test_views_point_at_the_camera():
    head = random_head()
    table = random_gaussians(head, 30)
    mesh = pose_head(head, *random_pose(head))
    gaussians = pose_gaussians(table, mesh.weights, mesh.transforms)
    angle = torch.tensor(0.3)
    turn = torch.tensor([[angle.cos(), 0, angle.sin()], [0, 1, 0], [-angle.sin(), 0, angle.cos()]])
    eye = torch.tensor([0.2, -0.1, 2.0])
    camera = torch.cat([turn, -(turn @ eye)[:, None]], dim=1)
    occlusion = torch.full((len(head.rest),), 0.25)
    attached = attach(
        table.anchors, mesh.normals, occlusion, table.normal_offset, gaussians.means, gaussians.rotations, camera
    )
    towards = torch.nn.functional.normalize(eye - gaussians.means, dim=1)
    torch.testing.assert_close(attached.views, towards, rtol=0, atol=1e-5)
    torch.testing.assert_close(attached.occlusion, torch.full((30, 1), 0.25))
    assert float((attached.normals.norm(dim=1) - 1).abs().max()) < 1e-5


def test_misuse_is_reported():
    table = random_head()
    pose = random_pose(table)
    with pytest.raises(ArgumentError, match=r"expression: expected shape \[7\], got \[6\]"):
        pose_head(table, pose[0][:6], *pose[1:])
    with pytest.raises(ArgumentError, match=r"joints: expected torch.float32, got torch.float64"):
        pose_head(table, pose[0], pose[1].double(), pose[2])
    with pytest.raises(ArgumentError, match="form a cycle"):
        pack_head(
            table.rest, table.rings.faces, table.basis[:7, :, :3].float(), torch.zeros(0, len(table.rest), 3),
            table.skin_weights, table.joint_rest, torch.tensor([1, 2, 0]),
        )  # fmt: skip
    with pytest.raises(ArgumentError, match="pose_basis: expected 0 or 18 rows for 3 joints, got 9"):
        pack_head(
            table.rest, table.rings.faces, table.basis[:7, :, :3].float(), table.basis[7:16, :, :3].float(),
            table.skin_weights, table.joint_rest, torch.tensor([-1, 0, 0]),
        )  # fmt: skip


def test_gradients_of_skinning_are_those_of_finite_differences():
    generator = torch.Generator().manual_seed(4)
    points = 5
    widths = [*LEARNED.values(), 16]
    leaves = [torch.randn(points, w, generator=generator, dtype=torch.float64).requires_grad_() for w in widths]
    head = random_head()
    transforms = pose_head(head, *random_pose(head, 0.3)).transforms.double()
    skin = torch.rand(points, 3, generator=generator, dtype=torch.float64)
    moved = 0.1 * torch.randn(points, 10, generator=generator, dtype=torch.float64)
    corrective = torch.randn(points, 3, generator=generator, dtype=torch.float64)
    motion = [tensor.requires_grad_() for tensor in (moved, corrective, transforms)]
    scale = torch.rand(16, generator=generator, dtype=torch.float64)

    def skinned(moved, corrective, transforms, *learned):
        carrier = Carrier(moved, corrective, skin / skin.sum(1, keepdim=True), transforms)
        return reference.skin(learned[:-1], learned[-1], scale, carrier, 0.1)

    assert torch.autograd.gradcheck(skinned, (*motion, *leaves))


@pytest.mark.parametrize("joints", [1, 4])
def test_skinning_and_its_gradients_agree_with_the_reference(joints: int):
    check_skinning("cpu", joints)


def test_a_head_at_rest_has_finite_gradients_by_its_motion():
    """No turn is where the square roots in a quaternion have none."""
    neutral = {name: torch.ones(4, width) for name, width in LEARNED.items()}
    rest = torch.eye(4)[None, :3].flatten(1).requires_grad_()
    carrier = Carrier(torch.zeros(4, 10), None, torch.ones(4, 1), rest)
    posed = skin_gaussians(neutral, torch.zeros(4, 16), torch.ones(16), carrier, 0.1)
    (gradient,) = torch.autograd.grad(posed.rotations[:, 1].sum() + posed.means.sum(), rest)
    assert gradient.isfinite().all()
    assert gradient.abs().max() > 0.1


def test_inputs_of_another_kind_are_refused_by_name():
    points = 4
    neutral = {name: torch.zeros(points, width) for name, width in LEARNED.items()}
    carrier = Carrier(torch.zeros(points, 10), None, torch.ones(points, 1), torch.zeros(1, 12))
    good = neutral, torch.zeros(points, 16), torch.ones(16), carrier, 0.1
    assert skin_gaussians(*good).means.shape == (points, 3)
    with pytest.raises(ArgumentError, match=r"learned: expected shape \[4, 16\], got \[4, 15\]"):
        skin_gaussians(neutral, torch.zeros(points, 15), *good[2:])
    with pytest.raises(ArgumentError, match=r"albedo: expected torch.float32, got torch.float64"):
        skin_gaussians({**neutral, "albedo": neutral["albedo"].double()}, *good[1:])
    wide = torch.zeros(points, 32)[:, ::2]  # with gaps: taken as it is meant
    assert torch.equal(skin_gaussians(neutral, wide, *good[2:]).means, skin_gaussians(*good).means)
