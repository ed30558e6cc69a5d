"""Subdivision carries every deformation to the midpoints."""

import dataclasses

import torch
from head_samples import random_head

from rgb_core.heads import Pose, builtin_head, subdivide


def edges_of(faces: torch.Tensor) -> torch.Tensor:
    sides = torch.cat([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]])
    return sides.sort(1).values.unique(dim=0)


def test_midpoints_follow_blendshapes_and_joints():
    head = random_head(regressed=True)
    even = dataclasses.replace(head, skin_weights=torch.full((12, 3), 1 / 3, dtype=torch.float64))
    fine = subdivide(even)
    edges = edges_of(even.faces)
    generator = torch.Generator().manual_seed(2)
    pose = [torch.randn(*size, generator=generator, dtype=torch.float64) for size in ((2, 3), (2, 3, 3), (2, 3), (2,))]
    *tensors, shape = pose
    coarse_vertices, coarse_transforms = even.with_identity(shape).pose(Pose(*tensors))
    vertices, transforms = fine.with_identity(shape).pose(Pose(*tensors))
    # With equal weights every vertex moves affinely, so midpoints stay midpoints, up to rounding.
    torch.testing.assert_close(transforms, coarse_transforms)
    torch.testing.assert_close(vertices[:, :12], coarse_vertices)
    torch.testing.assert_close(vertices[:, 12:], coarse_vertices[:, edges].mean(2))


def test_weights_uv_and_regions_are_interpolated():
    head = random_head()
    fine = subdivide(head)
    edges = edges_of(head.faces)
    torch.testing.assert_close(fine.skin_weights[12:], head.skin_weights[edges].mean(1))
    torch.testing.assert_close(fine.skin_weights.sum(1), torch.ones(len(fine.vertices), dtype=torch.float64))
    assert torch.equal(fine.region[12:], head.region[edges].min(1).values)
    assert torch.equal(fine.landmarks68, head.landmarks68)
    corners = fine.uv[fine.uv_faces]
    parents = head.uv[head.uv_faces]
    torch.testing.assert_close(corners[0::4][:, 0], parents[:, 0])
    torch.testing.assert_close(corners[3::4].mean(1), parents.mean(1))


def test_surface_stays_the_same():
    head = builtin_head()
    fine = subdivide(head)
    assert len(fine.faces) == 4 * len(head.faces)
    assert fine.vertex_count == head.vertex_count + len(edges_of(head.faces))

    def crosses(model):
        a, b, c = model.vertices.double()[model.faces].unbind(1)
        return torch.linalg.cross(b - a, c - a)

    children = crosses(fine).view(-1, 4, 3)
    # Four children, each a quarter of the parent with its normal; float32 midpoints round at 1e-8 m.
    torch.testing.assert_close(children * 4, crosses(head)[:, None].expand(-1, 4, -1), atol=1e-9, rtol=1e-3)


def test_times():
    head = random_head()
    twice = subdivide(head, times=2)
    assert torch.equal(twice.faces, subdivide(subdivide(head)).faces)
    assert subdivide(head, times=0) is head
