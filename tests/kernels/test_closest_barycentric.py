"""The closest point of a triangle as barycentrics, by its public name."""

import pytest
import torch
from diff_envshade import closest_barycentric
from kernel_runtime import ArgumentError


def test_no_point_of_the_triangle_is_nearer():
    """Against a fine grid over each triangle, for points on all sides of it; leading dimensions are free."""
    generator = torch.Generator().manual_seed(0)
    triangles = torch.randn(4, 25, 3, 3, generator=generator, dtype=torch.float64)
    points = 2 * torch.randn(4, 25, 3, generator=generator, dtype=torch.float64)
    found = closest_barycentric(triangles, points)
    assert torch.allclose(found.sum(-1), torch.ones(4, 25, dtype=torch.float64))
    assert (found >= 0).all()
    steps = torch.arange(41, dtype=torch.float64) / 40
    s, t = (x.flatten() for x in torch.meshgrid(steps, steps, indexing="ij"))
    grid = torch.stack([1 - s - t, s, t], 1)[s + t <= 1]
    tried = torch.einsum("gk,abkc->abgc", grid, triangles)
    nearest = (tried - points[:, :, None]).norm(dim=-1).min(-1).values
    distance = (torch.einsum("abk,abkc->abc", found, triangles) - points).norm(dim=-1)
    assert (distance <= nearest + 1e-12).all()
    assert (distance >= nearest - 0.1).all()


def test_shapes_that_do_not_fit():
    with pytest.raises(ArgumentError, match="triangles, points: expected shapes"):
        closest_barycentric(torch.zeros(2, 3, 3), torch.zeros(3, 3))
