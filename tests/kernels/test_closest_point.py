"""Nearest surface points: against plain torch over all faces, and triangles that are segments or points."""

import pytest
import torch
from kernel_runtime import ArgumentError
from torchoptixext_visibility import MeshBvh, reference
from visibility_meshes import head, soup


@pytest.mark.parametrize("far", [0.0, 0.5])
def test_agrees_with_all_faces(far):
    generator = torch.Generator().manual_seed(0)
    for vertices, faces in (head(14, 16), soup(200, 0.1, generator)):
        points = vertices[torch.randint(len(vertices), (300,), generator=generator)]
        points = points + (0.01 + far) * torch.randn(300, 3, generator=generator)
        ours = MeshBvh(vertices, faces).closest_point(points)
        _, _, expected2 = reference.closest_point(vertices.double(), faces, points.double())
        surface = (ours.barycentric[:, :, None] * vertices[faces.long()][ours.face_id]).sum(1)
        # Distances of about 1 from coordinates of about 1 in float32.
        assert torch.allclose((surface - points).norm(dim=-1).double(), expected2.sqrt(), atol=2e-6)
        assert torch.allclose(ours.squared_distance.double().sqrt(), expected2.sqrt(), atol=2e-6)
        assert (ours.barycentric >= 0).all()
        assert torch.allclose(ours.barycentric.sum(-1), torch.ones(300), atol=1e-6)


def test_regions_of_one_triangle():
    """Goldens of the closest-point formula: inside, two edges and three corners."""
    vertices = torch.tensor([[0.0, 0.0, 0.0], [1.0, 0.0, 0.0], [0.0, 2.0, 0.0]])
    points = torch.tensor(
        [[0.25, 0.5, 1.0], [0.9, 1.6, -1.0], [-0.5, 0.7, 0.1], [0.4, -0.3, 2.0], [-1.0, -1.0, 0.0], [2.0, 0.2, 0.5]]
    )
    expected = torch.tensor(
        [[0.5, 0.25, 0.25], [0.0, 0.34, 0.66], [0.65, 0.0, 0.35], [0.6, 0.4, 0.0], [1.0, 0.0, 0.0], [0.0, 1.0, 0.0]]
    )
    closest = MeshBvh(vertices, torch.tensor([[0, 1, 2]])).closest_point(points)
    assert torch.allclose(closest.barycentric, expected, atol=1e-6)


def test_triangles_that_are_segments_or_points_still_count():
    vertices = torch.tensor([[0.0, 0.0, 0.0], [2.0, 0.0, 0.0], [1.0, 0.0, 0.0], [5.0, 5.0, 5.0]])
    faces = torch.tensor([[0, 1, 2], [3, 3, 3]])
    closest = MeshBvh(vertices, faces).closest_point(torch.tensor([[1.5, 1.0, 0.0], [5.0, 5.0, 7.0]]))
    assert torch.equal(closest.face_id, torch.tensor([0, 1]))
    assert torch.allclose(closest.squared_distance, torch.tensor([1.0, 4.0]))
    assert torch.allclose((closest.barycentric[0, :, None] * vertices[:3]).sum(0), torch.tensor([1.5, 0.0, 0.0]))
    assert closest.barycentric.isfinite().all()


def test_of_equally_near_faces_the_first_is_taken():
    vertices = torch.tensor([[0.0, 0.0, 0.0], [1.0, 0.0, 0.0], [0.0, 1.0, 0.0]])
    faces = torch.tensor([[0, 1, 2]]).expand(40, 3)
    assert MeshBvh(vertices, faces).closest_point(torch.tensor([[0.2, 0.2, 1.0]])).face_id == 0


def test_no_points_no_faces_and_bad_points():
    bvh = MeshBvh(*head(6, 8))
    assert bvh.closest_point(torch.zeros(0, 3)).face_id.shape == (0,)
    empty = MeshBvh(torch.zeros(0, 3), torch.zeros(0, 3, dtype=torch.int32))
    with pytest.raises(ArgumentError, match="no faces"):
        empty.closest_point(torch.zeros(1, 3))
    with pytest.raises(ArgumentError, match="not finite"):
        bvh.closest_point(torch.full((1, 3), torch.inf))
