"""Sampling, attachment and deformation of Gaussians on a mesh."""

from dataclasses import replace

import pytest
import torch

from rgb_core import rotations
from rgb_core.avatar.attachment import Attachment, edge_neighbours, walk
from rgb_core.avatar.deformation import _log_stretch, expression_field, largest_growth, sparse_expressions
from rgb_core.avatar.sampling import sample_surface
from rgb_core.heads import HeadModel
from rgb_core.rotations import axis_angle_to_matrix


def random_rotations(count: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(3)
    return axis_angle_to_matrix(2.5 * torch.randn(count, 3, generator=generator).double())


def test_quaternion_of_a_matrix_turns_vectors_as_the_matrix_does():
    matrix = random_rotations(200)
    quaternion = rotations.matrix_to_quaternion(matrix)
    vector = torch.tensor([0.3, -0.7, 0.2], dtype=torch.float64)
    scalar, axis = quaternion.split([1, 3], dim=1)
    across = torch.linalg.cross(axis, vector.expand(200, 3))
    turned = vector + 2 * scalar * across + 2 * torch.linalg.cross(axis, across)
    torch.testing.assert_close(turned, matrix @ vector, atol=1e-7, rtol=0)


def test_nearest_rotation_removes_stretch():
    rotation = random_rotations(50)
    stretch = torch.diag(torch.tensor([1.3, 0.8, 1.1], dtype=torch.float64))
    torch.testing.assert_close(rotations.polar_rotation(rotation @ stretch), rotation, atol=1e-6, rtol=0)


def test_samples_keep_their_distance_and_their_number(patch: HeadModel):
    face_id, barycentric = sample_surface(patch.vertices, patch.faces, 400, seed=1)
    points = Attachment(face_id, barycentric).interpolate(patch.vertices, patch.faces)
    distance = torch.cdist(points, points) + torch.eye(len(points))
    assert 360 <= len(points) <= 440
    # 0.0066 m^2 hold 400 discs at 51 % of the hexagonal packing, 2 / sqrt(3) per squared diameter: 3.1 mm apart.
    assert float(distance.min()) >= 0.003


def test_faces_of_zero_weight_stay_empty(patch: HeadModel):
    weight = (patch.vertices[patch.faces].mean(1)[:, 0] > 0).float()
    face_id, _ = sample_surface(patch.vertices, patch.faces, 200, seed=1, face_weight=weight)
    assert bool((weight[face_id] == 1).all())


def test_edge_neighbours_share_two_vertices(patch: HeadModel):
    neighbours = edge_neighbours(patch.faces)
    shared = (patch.faces[:, None, :, None] == patch.faces[neighbours][:, :, None, :]).sum((2, 3))
    inner = neighbours != torch.arange(len(patch.faces))[:, None]
    assert bool((shared[inner] == 2).all())
    assert int((~inner).sum()) == 32  # the border of an 8 x 8 grid


def test_walk_follows_a_point_that_slides_over_the_mesh(patch: HeadModel):
    neighbours = edge_neighbours(patch.faces)
    attachment = Attachment(torch.tensor([0]), torch.full((1, 3), 1 / 3))
    start = attachment.interpolate(patch.vertices, patch.faces)
    goal = torch.tensor([[0.031, 0.012, 0.1]])
    for share in torch.linspace(0, 1, 60):
        attachment = walk(attachment, torch.lerp(start, goal, float(share)), patch.vertices, patch.faces, neighbours)
    reached = attachment.interpolate(patch.vertices, patch.faces)
    torch.testing.assert_close(reached[:, :2], goal[:, :2], atol=1.5e-3, rtol=0)


def test_walk_does_not_jump_to_a_sheet_that_touches(patch: HeadModel):
    """Two sheets a hair apart, as closed lips are: a point stays on its own although the other is nearer."""
    count = patch.vertex_count
    vertices = torch.cat([patch.vertices, patch.vertices + torch.tensor([0.0, 0.0, 1e-4])])
    faces = torch.cat([patch.faces, patch.faces + count])
    attachment = Attachment(torch.tensor([40]), torch.full((1, 3), 1 / 3))
    point = attachment.interpolate(vertices, faces) + torch.tensor([[0.0, 0.0, 2e-4]])
    assert int(walk(attachment, point, vertices, faces, edge_neighbours(faces)).face_id) < len(patch.faces)


def upright(count: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Quaternions of no rotation, and that every Gaussian may learn."""
    return torch.eye(4)[0].expand(count, 4), torch.ones(count, dtype=torch.bool)


def test_gaussians_stretch_with_their_triangles():
    """A triangle made 3 times as long along x and half as high along y, then turned about z."""
    rest = torch.tensor([[[0.0, 0, 0], [1, 0, 0], [0, 1, 0]]])
    turn = axis_angle_to_matrix(torch.tensor([0.0, 0.0, 0.7]))
    moved = rest @ torch.diag(torch.tensor([3.0, 0.5, 1.0])) @ turn.T
    expected = torch.tensor([[3.0, 0.5, 1.0]]).log()
    torch.testing.assert_close(_log_stretch(rest, moved, torch.eye(3)[None]), expected, atol=1e-6, rtol=0)
    swapped = axis_angle_to_matrix(torch.tensor([[0.0, 0.0, torch.pi / 2]]))  # its axes are y, -x, z
    torch.testing.assert_close(_log_stretch(rest, moved, swapped), expected[:, [1, 0, 2]], atol=1e-6, rtol=0)
    torch.testing.assert_close(
        _log_stretch(rest, 100 * rest, torch.eye(3)[None]), torch.tensor([[4.0, 4.0, 1.0]]).log(), atol=1e-6, rtol=0
    )


def test_initial_deltas_move_gaussians_with_the_surface(patch: HeadModel):
    face_id, barycentric = sample_surface(patch.vertices, patch.faces, 200, seed=2)
    attachment = Attachment(face_id, barycentric)
    position = attachment.interpolate(patch.vertices, patch.faces)
    field = expression_field(patch)
    pairs = sparse_expressions(patch, field, attachment, position, *upright(len(position)))
    for expression in range(2):
        mine = pairs.expression == expression
        moved = attachment.interpolate(patch.vertices + patch.expression_basis[expression], patch.faces)
        shift = torch.zeros_like(position).index_add(0, pairs.gaussian[mine], pairs.initial[mine, :3])
        still_mm = 0.02e-3  # what sparse_expressions leaves out, times three corners
        torch.testing.assert_close(position + shift, moved, atol=3 * still_mm, rtol=0)


def test_rotation_delta_of_a_rigid_expression_is_that_rotation(patch: HeadModel):
    """An expression that turns the whole patch gives every Gaussian the same quaternion."""
    turn = axis_angle_to_matrix(torch.tensor([0.0, 0.4, 0.0]))
    rigid = patch.vertices @ turn.T - patch.vertices
    head = patch.__class__(**{**vars(patch), "expression_basis": rigid[None], "expression_names": ("turn",)})
    attachment = Attachment(torch.arange(len(patch.faces)), torch.full((len(patch.faces), 3), 1 / 3))
    position = attachment.interpolate(patch.vertices, patch.faces)
    field = expression_field(head.__class__(**{**vars(head), "region": torch.zeros(81, dtype=torch.uint8)}))
    pairs = sparse_expressions(head, field, attachment, position, *upright(len(position)))
    wanted = rotations.matrix_to_quaternion(turn) - torch.tensor([1.0, 0.0, 0.0, 0.0])
    # Small components of a quaternion are square roots of float32 differences: sqrt(1e-7).
    torch.testing.assert_close(pairs.initial[:, 3:7], wanted.expand(len(pairs.initial), 4), atol=5e-4, rtol=0)


def test_consistency_ignores_motion_of_the_skull(patch: HeadModel):
    """A mode that also shifts the whole head counts only what its own shape changes."""
    drift = patch.expression_basis + torch.tensor([0.004, 0.0, 0.0])
    drifting = patch.__class__(**{**vars(patch), "expression_basis": drift})
    plain, corrected = expression_field(patch), expression_field(drifting)
    torch.testing.assert_close(corrected.displacement, plain.displacement, atol=1e-4, rtol=0)
    assert plain.upper == pytest.approx(corrected.upper, rel=0.05)


def test_consistency_is_zero_where_nothing_moves_and_one_where_most_does(patch: HeadModel):
    field = expression_field(patch)
    factor = field.consistency(field.displacement)
    assert float(factor.min()) == 0.0
    assert float(factor.max()) == 1.0
    assert bool((factor[1][patch.vertices[:, 0] <= 0] == 0).all())


def test_faces_grow_by_the_expression_that_stretches_them_most(patch: HeadModel):
    """Twice as wide is twice the area, half as wide leaves the largest at 1, and four is the most."""
    flat = patch.vertices * torch.tensor([1.0, 1.0, 0.0])
    along = torch.zeros_like(flat)
    along[:, 0] = flat[:, 0]

    def growth(*factors: float) -> torch.Tensor:
        basis = torch.stack([(factor - 1) * along for factor in factors])
        names = tuple(f"e{index}" for index in range(len(factors)))
        return largest_growth(replace(patch, vertices=flat, expression_basis=basis, expression_names=names))

    count = len(patch.faces)
    torch.testing.assert_close(growth(2.0, 0.5), torch.full((count,), 2.0))
    torch.testing.assert_close(growth(0.5), torch.ones(count))
    torch.testing.assert_close(growth(9.0), torch.full((count,), 4.0))
