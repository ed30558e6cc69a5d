"""The mesh rasteriser: coverage, depth order, perspective and interpolation against analytic cases and float64."""

import mesh_rasterizer as mr
import pytest
import torch
from kernel_runtime import ArgumentError
from mesh_rasterizer import reference

INTRINSICS = torch.tensor([[40.0, 44.0, 15.3, 12.1]])
WIDTH, HEIGHT = 32, 26


def random_scene(seed: int = 0, batch: int = 2) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Forty interpenetrating triangles, seen by two cameras."""
    generator = torch.Generator().manual_seed(seed)
    vertices = torch.rand(batch, 60, 3, generator=generator) * 2 - 1
    vertices[..., 2] += 2.5
    faces = torch.randint(0, 60, (40, 3), generator=generator)
    return vertices, faces, INTRINSICS.repeat(batch, 1)


def unproject(pixels: torch.Tensor, depth: torch.Tensor) -> torch.Tensor:
    """[N,3] camera-space points at `depth` [N] that project onto `pixels` [N,2]."""
    return torch.cat([(pixels - INTRINSICS[0, 2:]) / INTRINSICS[0, :2] * depth[:, None], depth[:, None]], dim=1)


def test_a_triangle_covers_the_pixel_centres_inside_it():
    corners = torch.tensor([[4.2, 3.3], [27.9, 8.1], [10.4, 22.7]])
    vertices = unproject(corners, torch.tensor([1.0, 3.0, 2.0]))[None]
    fragments = mr.rasterize(vertices, torch.tensor([[0, 1, 2]]), INTRINSICS, WIDTH, HEIGHT)
    rows, columns = torch.meshgrid(torch.arange(HEIGHT) + 0.5, torch.arange(WIDTH) + 0.5, indexing="ij")
    inside = torch.ones(HEIGHT, WIDTH, dtype=torch.bool)
    for i in range(3):
        a, b = corners[i], corners[(i + 1) % 3]
        inside &= (b[0] - a[0]) * (rows - a[1]) - (b[1] - a[1]) * (columns - a[0]) > 0
    assert inside.sum() > 100
    assert torch.equal(fragments.face_id[0] == 0, inside)
    assert torch.equal(torch.isinf(fragments.depth[0]), ~inside)


def test_matches_the_float64_reference():
    vertices, faces, intrinsics = random_scene()
    fragments = mr.rasterize(vertices, faces, intrinsics, WIDTH, HEIGHT)
    expected = reference.rasterize(vertices.double(), faces, intrinsics.double(), WIDTH, HEIGHT)
    assert torch.equal(fragments.face_id, expected.face_id)
    # float32 rounding of the stored results only: the kernel works in double
    assert torch.allclose(fragments.barycentric.double(), expected.barycentric, atol=2e-7)
    assert torch.allclose(fragments.depth.double(), expected.depth, rtol=2e-7)


def test_interpolation_is_perspective_correct():
    vertices, faces, intrinsics = random_scene(1)
    fragments = mr.rasterize(vertices, faces, intrinsics, WIDTH, HEIGHT)
    points = mr.interpolate(fragments, faces, vertices)
    covered = fragments.face_id >= 0
    x = points[..., 0] / points[..., 2] * INTRINSICS[0, 0] + INTRINSICS[0, 2]
    y = points[..., 1] / points[..., 2] * INTRINSICS[0, 1] + INTRINSICS[0, 3]
    columns = (torch.arange(WIDTH) + 0.5).expand(2, HEIGHT, WIDTH)
    rows = (torch.arange(HEIGHT) + 0.5)[:, None].expand(2, HEIGHT, WIDTH)
    # interpolated camera positions must project back onto the pixel centre; 1e-4 pixels is float32 rounding x 40
    assert torch.allclose(x[covered], columns[covered], atol=1e-4)
    assert torch.allclose(y[covered], rows[covered], atol=1e-4)
    assert torch.allclose(points[..., 2][covered], fragments.depth[covered], rtol=1e-6)
    assert bool((points[~covered] == 0).all())


def test_the_nearest_face_wins_whatever_the_order_and_side():
    square = torch.tensor([[-1.0, -1, 0], [1, -1, 0], [1, 1, 0], [-1, 1, 0]])
    vertices = torch.cat([square + torch.tensor([0, 0, 2.0]), 0.5 * square + torch.tensor([0, 0, 1.5])])[None]
    far, near = [[0, 1, 2], [0, 2, 3]], [[4, 6, 5], [4, 7, 6]]
    for faces, ids in ((far + near, {2, 3}), (near + far, {0, 1})):
        fragments = mr.rasterize(vertices, torch.tensor(faces), INTRINSICS, WIDTH, HEIGHT)
        assert int(fragments.face_id[0, 12, 15]) in ids
        assert fragments.depth[0, 12, 15] == 1.5
        assert fragments.depth[0, 1, 1] == 2.0


def test_a_closed_fan_leaves_no_cracks():
    angle = torch.linspace(0, 2 * torch.pi, 41)[:-1]
    ring = torch.stack([2 * torch.cos(angle), 2 * torch.sin(angle), torch.full_like(angle, 1.0)], dim=1)
    vertices = torch.cat([torch.tensor([[0.013, -0.021, 1.0]]), ring])[None]
    faces = torch.tensor([[0, i + 1, (i + 1) % 40 + 1] for i in range(40)])
    fragments = mr.rasterize(vertices, faces, INTRINSICS, WIDTH, HEIGHT)
    assert bool((fragments.face_id >= 0).all())


def test_faces_nearer_than_near_or_degenerate_are_dropped():
    corners = torch.tensor([[-1.0, -1, 2], [1, -1, 2], [0, 1, 2], [0, 0, 0.005], [0, 0, -1], [1, 0, 2], [-1, 0, 2]])
    for face in ([0, 1, 3], [0, 1, 4], [0, 0, 1], [2, 2, 2], [0, 1, 1]):
        fragments = mr.rasterize(corners[None], torch.tensor([face]), INTRINSICS, WIDTH, HEIGHT)
        assert int((fragments.face_id >= 0).sum()) == 0
    collinear = torch.tensor([[-1.0, -1, 2], [0, 0, 2], [1, 1, 2]])[None].requires_grad_()
    fragments = mr.rasterize(collinear, torch.tensor([[0, 1, 2]]), INTRINSICS, WIDTH, HEIGHT)
    fragments.barycentric.square().sum().backward()
    assert collinear.grad is not None
    assert bool(torch.isfinite(collinear.grad).all())


def test_nothing_to_draw():
    fragments = mr.rasterize(torch.zeros(2, 0, 3), torch.zeros(0, 3, dtype=torch.int64), INTRINSICS.repeat(2, 1), 4, 3)
    assert fragments.face_id.shape == (2, 3, 4)
    assert bool((fragments.face_id == -1).all())


def test_gradients_match_the_reference():
    vertices, faces, intrinsics = random_scene(2)
    weights = torch.randn(2, HEIGHT, WIDTH, 4, generator=torch.Generator().manual_seed(3))
    attributes = torch.randn(60, 4, generator=torch.Generator().manual_seed(4))

    def run(module, dtype):
        v = vertices.clone().to(dtype).requires_grad_()
        a = attributes.clone().to(dtype).requires_grad_()
        image = module.interpolate(module.rasterize(v, faces, intrinsics.to(dtype), WIDTH, HEIGHT), faces, a)
        (image * weights.to(dtype)).sum().backward()
        return v.grad, a.grad

    for got, want in zip(run(mr, torch.float32), run(reference, torch.float64), strict=True):
        # sums of some hundred float32 terms
        assert torch.allclose(got.double(), want, atol=3e-5 * float(want.abs().max()))


def test_barycentric_gradient_by_finite_differences():
    vertices = torch.tensor([[[-0.6, -0.5, 1.4], [0.7, -0.4, 2.2], [0.1, 0.6, 1.1]]], dtype=torch.float64)
    face = torch.tensor([[0, 1, 2]])
    attributes = torch.tensor([[1.0], [-2.0], [0.5]])

    def value(v):
        fragments = mr.rasterize(v.float(), face, INTRINSICS, WIDTH, HEIGHT)
        return mr.interpolate(fragments, face, attributes)[0, 10:13, 14:17].double().sum()

    leaf = vertices.clone().requires_grad_()
    value(leaf).backward()
    step = 1e-3
    for index in range(9):
        offset = torch.zeros(9, dtype=torch.float64)
        offset[index] = step
        offset = offset.view_as(vertices)
        difference = (value(vertices + offset) - value(vertices - offset)) / (2 * step)
        # float32 images limit a central difference at this step to about 1e-3
        assert leaf.grad.flatten()[index] == pytest.approx(float(difference), abs=3e-3)


def test_wrong_arguments_are_named():
    vertices, faces, intrinsics = random_scene()
    with pytest.raises(ArgumentError, match="camera_vertices"):
        mr.rasterize(vertices[0], faces, intrinsics, 8, 8)
    with pytest.raises(ArgumentError, match="faces"):
        mr.rasterize(vertices, faces + 60, intrinsics, 8, 8)
    with pytest.raises(ArgumentError, match="intrinsics"):
        mr.rasterize(vertices, faces, intrinsics[:1], 8, 8)
    fragments = mr.rasterize(vertices, faces, intrinsics, 8, 8)
    with pytest.raises(ArgumentError, match="attributes"):
        mr.interpolate(fragments, faces, vertices[:1])
    with pytest.raises(ArgumentError, match="faces: expected the 40"):
        mr.interpolate(fragments, faces[1:], vertices)
    with pytest.raises(ArgumentError, match="image"):
        mr.antialias(torch.zeros(2, 8, 9, 1), fragments, vertices, faces, intrinsics)
