"""The upstream API: its camera matrices, background, spherical harmonics and options against `rasterize`."""

import math

import pytest
import scipy.special
import torch
from diff_gaussian_rasterization import (
    _C,
    GaussianRasterizationSettings,
    GaussianRasterizer,
    rasterize,
    rasterize_gaussians,
    reference,
    spherical_harmonics,
)
from kernel_runtime import ArgumentError
from test_gaussian_rasterizer import HEIGHT, INTRINSICS, TILTED, WIDTH, central_scene, random_scene


def upstream_settings(**changes) -> GaussianRasterizationSettings:
    """The camera TILTED, INTRINSICS as transposed OpenGL-style matrices with depth range 0.01 to 100."""
    fx, fy, cx, cy = INTRINSICS
    near, far = 0.01, 100.0
    view = torch.eye(4)
    view[:3] = TILTED
    projection = torch.tensor(
        [
            [2 * fx / WIDTH, 0, 2 * cx / WIDTH - 1, 0],
            [0, 2 * fy / HEIGHT, 2 * cy / HEIGHT - 1, 0],
            [0, 0, far / (far - near), -far * near / (far - near)],
            [0, 0, 1, 0],
        ]
    )
    settings = GaussianRasterizationSettings(
        image_height=HEIGHT,
        image_width=WIDTH,
        tanfovx=WIDTH / (2 * fx),
        tanfovy=HEIGHT / (2 * fy),
        bg=torch.tensor([0.2, 0.5, 0.9]),
        scale_modifier=1.0,
        viewmatrix=view.T.contiguous(),
        projmatrix=(projection @ view).T.contiguous(),
        sh_degree=3,
        campos=torch.linalg.inv(view)[:3, 3],
        prefiltered=False,
        debug=False,
    )
    return settings._replace(**changes)


def test_the_picture_is_that_of_rasterize_over_the_background():
    means, rotations, scales, opacities, colors = random_scene(150, 3)
    settings = upstream_settings()
    picture, radii = GaussianRasterizer(settings)(
        means, torch.zeros_like(means), opacities, colors_precomp=colors, scales=scales, rotations=rotations
    )
    ours = rasterize(means, rotations, scales, opacities, colors, TILTED, INTRINSICS, WIDTH, HEIGHT, near=0.2)
    expected = ours.image + (1 - ours.alpha)[..., None] * settings.bg
    assert picture.shape == (3, HEIGHT, WIDTH)
    # The camera is recovered from float32 matrices.
    assert torch.allclose(picture.permute(1, 2, 0), expected, atol=2e-5)
    assert torch.equal(radii, ours.radii)


def test_the_gradient_of_means2d_is_that_of_a_shift_of_the_picture_with_its_background():
    scene = central_scene(60)
    means, rotations, scales, opacities, colors = scene
    weights = torch.randn(3, HEIGHT, WIDTH, generator=torch.Generator().manual_seed(1))
    settings = upstream_settings()
    points = torch.zeros_like(means).requires_grad_()
    picture, _ = rasterize_gaussians(means, points, None, colors, opacities, scales, rotations, None, settings)
    (picture * weights).sum().backward()

    def loss(shift: float) -> float:
        fx, fy, cx, cy = INTRINSICS
        camera = TILTED, (fx, fy, cx + shift, cy), WIDTH, HEIGHT
        result = reference.rasterize(*(tensor.double() for tensor in scene), *camera, near=0.2)
        over_background = result.image + (1 - result.alpha)[..., None] * settings.bg
        return (over_background.permute(2, 0, 1) * weights).sum().item()

    step = 1e-6  # px; no alpha crosses a threshold within it
    slope = (loss(step) - loss(-step)) / (2 * step)
    assert points.grad.shape == (60, 3)
    assert not points.grad[:, 2].any()
    # A sum of 60 float32 gradients of both signs.
    assert points.grad[:, 0].sum().item() * 2 / WIDTH == pytest.approx(slope, rel=1e-3)


def test_precomputed_covariances_equal_scales_and_rotations():
    means, rotations, scales, opacities, colors = random_scene(80, 3)
    settings = upstream_settings()
    w, x, y, z = rotations.unbind(1)
    axes = [
        torch.stack([1 - 2 * (y * y + z * z), 2 * (x * y + w * z), 2 * (x * z - w * y)], 1),
        torch.stack([2 * (x * y - w * z), 1 - 2 * (x * x + z * z), 2 * (y * z + w * x)], 1),
        torch.stack([2 * (x * z + w * y), 2 * (y * z - w * x), 1 - 2 * (x * x + y * y)], 1),
    ]
    full = sum(scales[:, k, None, None] ** 2 * axis[:, :, None] * axis[:, None] for k, axis in enumerate(axes))
    packed = full.reshape(-1, 9)[:, [0, 1, 2, 4, 5, 8]].clone().requires_grad_()
    picture, _ = GaussianRasterizer(settings)(
        means, torch.zeros_like(means), opacities, colors_precomp=colors, cov3D_precomp=packed
    )
    expected, _ = GaussianRasterizer(settings)(
        means, torch.zeros_like(means), opacities, colors_precomp=colors, scales=scales, rotations=rotations
    )
    # Covariances rounded to float32.
    assert torch.allclose(picture, expected, atol=1e-4)
    picture.sum().backward()
    assert packed.grad.any()


def test_the_scale_modifier_scales_picture_and_gradient():
    means, rotations, scales, opacities, colors = random_scene(80, 3)
    modified, plain = scales.clone().requires_grad_(), (1.7 * scales).requires_grad_()
    arguments = {"colors_precomp": colors, "rotations": rotations}
    points = torch.zeros_like(means)
    larger = upstream_settings(scale_modifier=1.7)
    first, _ = GaussianRasterizer(larger)(means, points, opacities, scales=modified, **arguments)
    second, _ = GaussianRasterizer(upstream_settings())(means, points, opacities, scales=plain, **arguments)
    assert torch.equal(first, second)
    first.square().sum().backward()
    second.square().sum().backward()
    assert torch.allclose(modified.grad, 1.7 * plain.grad)


@pytest.mark.parametrize("degree", [0, 1, 2, 3])
def test_spherical_harmonics_are_those_of_scipy(degree: int):
    directions = torch.randn(50, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    directions = torch.nn.functional.normalize(directions, dim=1)
    polar, azimuth = torch.arccos(directions[:, 2]).numpy(), torch.atan2(directions[:, 1], directions[:, 0]).numpy()
    columns = []
    for band in range(degree + 1):
        for order in range(-band, band + 1):
            value = scipy.special.sph_harm_y(band, abs(order), polar, azimuth)
            real = value.real if order >= 0 else value.imag
            columns.append(torch.from_numpy(real * (math.sqrt(2) if order else 1)))
    assert torch.allclose(spherical_harmonics.basis(degree, directions), torch.stack(columns, 1), atol=1e-12)


def test_spherical_harmonics_colour_the_gaussians_by_view_direction():
    means, rotations, scales, opacities, _ = random_scene(80, 3)
    coefficients = 0.4 * torch.randn(80, 16, 3, generator=torch.Generator().manual_seed(2))
    settings = upstream_settings(sh_degree=2)
    directions = (means - settings.campos) / (means - settings.campos).norm(dim=1, keepdim=True)
    colors = torch.einsum("pm,pmc->pc", spherical_harmonics.basis(2, directions), coefficients[:, :9]) + 0.5
    assert (colors < 0).any()
    common = {"scales": scales, "rotations": rotations}
    moved = means.clone().requires_grad_()
    picture, _ = GaussianRasterizer(settings)(moved, torch.zeros_like(means), opacities, shs=coefficients, **common)
    expected, _ = GaussianRasterizer(settings)(
        means, torch.zeros_like(means), opacities, colors_precomp=colors.clamp_min(0), **common
    )
    assert torch.allclose(picture, expected, atol=1e-6)
    picture.sum().backward()
    assert moved.grad.isfinite().all()


def test_the_alpha_of_some_gaussians_comes_with_the_picture():
    scene = random_scene(150, 3)
    means, rotations, scales, opacities, colors = (tensor.requires_grad_() for tensor in scene)
    points = torch.zeros_like(means).requires_grad_()
    arguments = {"colors_precomp": colors, "scales": scales, "rotations": rotations}
    rasterizer = GaussianRasterizer(upstream_settings())
    picture, alpha, radii = rasterizer(means, points, opacities, **arguments, alpha_point_id=70)
    ours = rasterize(*scene, TILTED, INTRINSICS, WIDTH, HEIGHT, near=0.2, alpha_point_id=70)
    # The camera is recovered from float32 matrices.
    assert torch.allclose(alpha, ours.alpha, atol=2e-5)
    plain, plain_radii = rasterizer(means, points, opacities, **arguments)
    assert torch.equal(picture, plain)
    assert torch.equal(radii, plain_radii)
    by_alpha = torch.autograd.grad(alpha.sum(), [opacities, points], retain_graph=True)
    assert by_alpha[0][70:].any()
    assert not by_alpha[1].any()
    by_both = torch.autograd.grad(alpha.sum() + picture.square().sum(), points)
    assert torch.equal(by_both[0], torch.autograd.grad(plain.square().sum(), points)[0])


@pytest.mark.parametrize("with_harmonics", [False, True])
def test_the_functions_of_the_extension_module_are_those_of_the_rasterizer(with_harmonics: bool):
    means, rotations, scales, opacities, colors = random_scene(120, 3)
    settings, absent = upstream_settings(scale_modifier=1.3), torch.Tensor([])
    generator = torch.Generator().manual_seed(2)
    harmonics = 0.3 * torch.randn(120, 16, 3, generator=generator)
    covariances = (0.01 * torch.rand(120, 1, generator=generator) + 0.001) * torch.tensor([1.0, 0, 0, 1, 0, 1])
    colors, harmonics = (absent, harmonics) if with_harmonics else (colors, absent)
    if with_harmonics:
        scales = rotations = absent
    else:
        covariances = absent
    head = settings.bg, means
    form = colors, scales, rotations, settings.scale_modifier, covariances
    camera = settings.viewmatrix, settings.projmatrix, settings.tanfovx, settings.tanfovy
    count, picture, radii, geometry, binning, image = _C.rasterize_gaussians(
        *head, colors, opacities, *form[1:], *camera, HEIGHT, WIDTH, harmonics, 3, settings.campos, False, False
    )
    by_picture = torch.randn(3, HEIGHT, WIDTH, generator=torch.Generator().manual_seed(1))
    ours = _C.rasterize_gaussians_backward(
        *head, radii, *form, *camera, by_picture, harmonics, 3, settings.campos, geometry, count, binning, image, False
    )

    points = torch.zeros_like(means)
    inputs = points, colors, opacities, means, covariances, harmonics, scales, rotations
    inputs = [tensor.clone().requires_grad_() for tensor in inputs]
    points, colors, opacities, means, covariances, harmonics, scales, rotations = inputs
    expected, expected_radii = rasterize_gaussians(
        means, points, harmonics, colors, opacities, scales, rotations, covariances, settings
    )
    assert count > 0
    assert torch.equal(picture, expected)
    assert torch.equal(radii, expected_radii)
    gradients = torch.autograd.grad(expected, inputs, by_picture, allow_unused=True)
    shapes = [(120, n) for n in (3, 3, 1, 3, 6)] + [(120, 16 if with_harmonics else 0, 3), (120, 3), (120, 4)]
    assert [tuple(gradient.shape) for gradient in ours] == shapes
    for have, want in zip(ours, gradients, strict=True):
        assert torch.equal(have, torch.zeros_like(have) if want is None else want)
    assert torch.equal(
        _C.mark_visible(means, settings.viewmatrix, settings.projmatrix),
        GaussianRasterizer(settings).markVisible(means),
    )


@pytest.mark.parametrize("empty", [None, torch.Tensor([])])
def test_no_gaussians_give_the_background(empty: torch.Tensor | None):
    settings = upstream_settings()
    none = torch.zeros(0, 3)
    for arguments in ({"colors_precomp": none}, {"shs": torch.zeros(0, 16, 3)}):
        picture, radii = GaussianRasterizer(settings)(
            none, none, torch.zeros(0, 1), **arguments, scales=none, rotations=torch.zeros(0, 4)
        )
        assert torch.equal(picture, settings.bg[:, None, None].expand_as(picture))
        assert radii.shape == (0,)
    picture, _ = rasterize_gaussians(none, none, empty, none, torch.zeros(0, 1), empty, empty, empty, settings)
    assert torch.equal(picture, settings.bg[:, None, None].expand_as(picture))


def test_mark_visible_keeps_what_is_farther_than_the_near_plane():
    settings = upstream_settings(viewmatrix=torch.eye(4))
    positions = torch.tensor([[0, 0, -1.0], [5, 5, 0.19], [9, 9, 0.21], [0, 0, 3.0]])
    assert GaussianRasterizer(settings).markVisible(positions).tolist() == [False, False, True, True]


def test_ambiguous_or_missing_arguments_are_refused():
    means, rotations, scales, opacities, colors = random_scene(4, 3)
    rasterizer, points = GaussianRasterizer(upstream_settings()), torch.zeros_like(means)
    with pytest.raises(ArgumentError, match="exactly one"):
        rasterizer(means, points, opacities, scales=scales, rotations=rotations)
    with pytest.raises(ArgumentError, match="exactly one"):
        rasterizer(means, points, opacities, shs=torch.zeros(4, 16, 3), colors_precomp=colors, scales=scales)
    with pytest.raises(ArgumentError, match="either the pair or the covariances"):
        rasterizer(means, points, opacities, colors_precomp=colors, scales=scales)
    with pytest.raises(ArgumentError, match=r"shs: expected shape \[P, 16 or more, 3\]"):
        rasterizer(means, points, opacities, shs=torch.zeros(4, 9, 3), scales=scales, rotations=rotations)


def test_cameras_that_are_no_pinhole_are_refused():
    means, rotations, scales, opacities, colors = random_scene(4, 3)
    settings = upstream_settings()
    skewed = settings.projmatrix.clone()
    skewed[:, 0] += 0.1 * skewed[:, 1]
    for broken, message in (
        (settings._replace(projmatrix=skewed), "projmatrix"),
        (settings._replace(tanfovx=0.7), "tanfovx"),
    ):
        with pytest.raises(ArgumentError, match=message):
            rasterize_gaussians(
                means, torch.zeros_like(means), None, colors, opacities, scales, rotations, None, broken
            )  # fmt: skip
