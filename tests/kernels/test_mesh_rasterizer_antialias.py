"""Silhouette antialiasing: covered areas and their derivatives against closed forms, gradients against float64."""

import math

import mesh_rasterizer as mr
import pytest
import torch
from mesh_rasterizer import reference

FOCAL = 32.0
SIZE = 32
INTRINSICS = torch.tensor([[FOCAL, FOCAL, SIZE / 2, SIZE / 2]])


def mask(vertices: torch.Tensor, faces: torch.Tensor) -> torch.Tensor:
    """[H,W] antialiased coverage of one mesh [V,3]."""
    fragments = mr.rasterize(vertices[None], faces, INTRINSICS, SIZE, SIZE)
    covered = (fragments.face_id >= 0).float()[..., None]
    return mr.antialias(covered, fragments, vertices[None], faces, INTRINSICS)[0, ..., 0]


def square(half: float, angle: float = 0.0) -> tuple[torch.Tensor, torch.Tensor]:
    """A square at z = 1 with sides of 2 half x FOCAL pixels."""
    corners = torch.tensor([[-1.0, -1], [1, -1], [1, 1], [-1, 1]]) * half
    c, s = math.cos(angle), math.sin(angle)
    corners = corners @ torch.tensor([[c, s], [-s, c]])
    return torch.cat([corners, torch.ones(4, 1)], dim=1), torch.tensor([[0, 1, 2], [0, 2, 3]])


def sphere(radius: float, distance: float, rings: int) -> tuple[torch.Tensor, torch.Tensor]:
    """A latitude-longitude sphere; its triangles are much smaller than a pixel when rings is large."""
    theta = torch.linspace(0, math.pi, rings + 1)[1:-1]
    phi = torch.linspace(0, 2 * math.pi, 2 * rings + 1)[:-1]
    points = torch.stack(
        [
            torch.outer(torch.sin(theta), torch.cos(phi)),
            torch.cos(theta)[:, None].expand(-1, len(phi)),
            torch.outer(torch.sin(theta), torch.sin(phi)),
        ],
        dim=-1,
    ).reshape(-1, 3)
    vertices = torch.cat([torch.tensor([[0.0, 1, 0], [0, -1, 0]]), points]) * radius
    n = len(phi)
    faces = [[0, 2 + i, 2 + (i + 1) % n] for i in range(n)]
    for ring in range(rings - 2):
        a, b = 2 + ring * n, 2 + (ring + 1) * n
        for i in range(n):
            faces += [[a + i, b + i, b + (i + 1) % n], [a + i, b + (i + 1) % n, a + (i + 1) % n]]
    faces += [[1, len(vertices) - 1 - i, len(vertices) - 1 - (i + 1) % n] for i in range(n)]
    return vertices + torch.tensor([0, 0, distance]), torch.tensor(faces)


@pytest.mark.parametrize("half", [0.2, 0.2137, 0.2271, 0.243])
def test_an_upright_square_is_exactly_its_area(half):
    side = 2 * half * FOCAL
    image = mask(*square(half))
    # a corner pixel is covered along one axis only, which is off by less than a quarter of a pixel each
    assert float(image.sum()) == pytest.approx(side**2, abs=1.0)
    row = image[SIZE // 2]
    assert float(row.sum()) == pytest.approx(side, abs=1e-4)


@pytest.mark.parametrize("angle", [0.1, 0.4, 0.7, math.pi / 4])
def test_a_turned_square_keeps_its_area(angle):
    side = 2 * 0.3 * FOCAL
    # Lines of pixels are covered exactly; what is left are the four corners
    assert float(mask(*square(0.3, angle)).sum()) == pytest.approx(side**2, abs=2.0)


def test_a_sphere_of_subpixel_triangles_has_its_area_and_derivative():
    areas, derivatives = [], []
    for radius in (0.28, 0.29, 0.3, 0.31, 0.32):
        vertices, faces = sphere(radius, 1.0, rings=60)
        scale = torch.ones((), requires_grad=True)
        centre = torch.tensor([0, 0, 1.0])
        area = mask(centre + (vertices - centre) * scale, faces).sum()
        area.backward()
        # the outline of a sphere of radius r at distance d is a circle of radius f r / sqrt(d^2 - r^2)
        areas.append(area.item() / (math.pi * FOCAL**2 * radius**2 / (1 - radius**2)))
        derivatives.append(scale.grad.item() / (2 * math.pi * FOCAL**2 * radius**2 / (1 - radius**2) ** 2))
    # 60 rings inscribe a polygon with 0.1 % less area; some 75 lines of pixels sample the outline, of which up to one
    # in each of the four places where it turns from rows to columns comes and goes: 4 / 75
    assert areas == pytest.approx([1.0] * 5, rel=0.01)
    assert sum(derivatives) / 5 == pytest.approx(1.0, rel=0.02)
    assert derivatives == pytest.approx([1.0] * 5, rel=0.08)


def test_moving_a_silhouette_moves_the_image_centroid():
    vertices, faces = sphere(0.25, 1.0, rings=24)
    shift = torch.zeros(3, requires_grad=True)
    image = mask(vertices + shift, faces)
    columns = torch.arange(SIZE) + 0.5
    (image * columns).sum().backward()
    area = image.sum().item()
    # d/dx of the first moment is area x pixels per metre, at the depth of the limb (1 - r^2)
    assert float(shift.grad[0]) == pytest.approx(area * FOCAL / (1 - 0.0625), rel=0.03)
    assert abs(float(shift.grad[1])) < 0.02 * abs(float(shift.grad[0]))


def test_an_interior_silhouette_blends_the_two_surfaces():
    far, faces = square(0.9)
    near, _ = square(0.211)
    near = near * 0.8
    vertices = torch.cat([far, near])[None]
    faces = torch.cat([faces, faces + 4])
    fragments = mr.rasterize(vertices, faces, INTRINSICS, SIZE, SIZE)
    colours = torch.tensor([[0.25]] * 4 + [[1.0]] * 4)
    image = mr.antialias(mr.interpolate(fragments, faces, colours), fragments, vertices, faces, INTRINSICS)
    row = image[0, SIZE // 2, :, 0]
    assert float((row - 0.25).sum()) == pytest.approx(0.75 * 2 * 0.211 * FOCAL, abs=1e-4)


def test_edges_hidden_behind_a_surface_change_nothing():
    near, faces = square(0.9)
    far, _ = square(0.211)
    vertices = torch.cat([near, far * 1.5])[None]
    faces = torch.cat([faces, faces + 4])
    fragments = mr.rasterize(vertices, faces, INTRINSICS, SIZE, SIZE)
    image = mr.interpolate(fragments, faces, torch.arange(8.0)[:, None])
    smooth = mr.antialias(image, fragments, vertices, faces, INTRINSICS)
    assert torch.equal(smooth[0, 6:26, 6:26], image[0, 6:26, 6:26])


def test_values_and_gradients_match_the_float64_reference():
    generator = torch.Generator().manual_seed(5)
    vertices, faces = sphere(0.3, 1.1, rings=6)
    second, _ = sphere(0.15, 0.7, rings=6)
    vertices = torch.cat([vertices, second + torch.tensor([0.1, 0.03, 0])])
    faces = torch.cat([faces, faces + len(second)])
    vertices = torch.stack([vertices, vertices + 0.01 * torch.randn(vertices.shape, generator=generator)])
    colours = torch.rand(vertices.shape[1], 3, generator=generator)
    weights = torch.randn(2, SIZE, SIZE, 3, generator=generator)
    intrinsics = INTRINSICS.repeat(2, 1)

    def run(module, dtype):
        v = vertices.clone().to(dtype).requires_grad_()
        fragments = module.rasterize(v, faces, intrinsics.to(dtype), SIZE, SIZE)
        image = module.interpolate(fragments, faces, colours.to(dtype))
        image = module.antialias(image, fragments, v, faces, intrinsics.to(dtype))
        (image * weights.to(dtype)).sum().backward()
        return image.detach(), v.grad

    image, gradient = run(mr, torch.float32)
    expected_image, expected_gradient = run(reference, torch.float64)
    # float32 storage of colours and crossing positions
    assert torch.allclose(image.double(), expected_image, atol=2e-6)
    assert torch.allclose(gradient.double(), expected_gradient, atol=2e-5 * float(expected_gradient.abs().max()))


def test_repeated_runs_are_bit_identical():
    vertices, faces = sphere(0.3, 1.0, rings=30)
    gradients = []
    for _ in range(2):
        leaf = vertices.clone().requires_grad_()
        mask(leaf, faces).square().sum().backward()
        gradients.append(leaf.grad)
    assert torch.equal(*gradients)


def test_faces_with_equal_corners_have_no_edges():
    table = mr.edge_table(torch.tensor([[0, 1, 1], [2, 1, 0], [2, 2, 2], [1, 2, 3]]))
    assert table.vertices.tolist() == [[0, 1], [0, 2], [1, 2], [1, 3], [2, 3]]
    assert table.opposite.tolist() == [[2, -1], [1, -1], [0, 3], [2, -1], [1, -1]]
