"""The camera against hand-computed projections."""

import dataclasses
import math

import pytest
import torch

from rgb_core.scene import Camera


def turned_camera(width=80, height=60):
    """A camera with distinct intrinsics, turned by 0.4 rad about y and shifted."""
    c, s = math.cos(0.4), math.sin(0.4)
    matrix = torch.tensor([[c, 0, s, 0.1], [0, 1, 0, -0.2], [-s, 0, c, 1.5]])
    return Camera((100.0, 110.0, 41.0, 28.0), matrix, width, height)


def test_projection_by_hand():
    camera = Camera((100.0, 200.0, 40.0, 30.0), torch.tensor([[1.0, 0, 0, 0], [0, 1, 0, 0], [0, 0, 1, 2]]), 80, 60)
    pixels, depth = camera.project(torch.tensor([[0.5, 0.25, 0.0], [0.0, 0.0, -3.0]]))
    assert pixels[0].tolist() == [65.0, 55.0]
    assert depth.tolist() == [2.0, -1.0]


def test_center_is_where_camera_coordinates_vanish():
    camera = turned_camera()
    assert torch.allclose(camera.to_camera(camera.center), torch.zeros(3), atol=1e-6)


@pytest.mark.parametrize("size", [(40, 30), (160, 120), (33, 17)])
def test_resizing_scales_projected_pixels(size):
    camera = turned_camera()
    points = torch.randn(20, 3, generator=torch.Generator().manual_seed(0)) * 0.2
    resized = camera.resized(*size)
    pixels, depth = camera.project(points)
    scaled = pixels * torch.tensor([size[0] / 80, size[1] / 60])
    assert torch.allclose(resized.project(points)[0], scaled, rtol=1e-5)
    assert torch.equal(resized.project(points)[1], depth)
    assert (resized.width, resized.height) == size
    assert camera.resized(80, 60).intrinsics == camera.intrinsics


def test_rays_pass_through_pixel_centres():
    camera = turned_camera()
    rays = camera.ray_directions()
    assert rays.shape == (60, 80, 3)
    assert torch.allclose(rays.norm(dim=-1), torch.ones(60, 80), atol=1e-6)
    pixels, depth = camera.project(camera.center + 0.7 * rays)
    assert torch.allclose(pixels[12, 33], torch.tensor([33.5, 12.5]), atol=1e-3)
    assert (depth > 0).all()


def test_cameras_do_not_change():
    with pytest.raises(dataclasses.FrozenInstanceError):
        turned_camera().width = 3
