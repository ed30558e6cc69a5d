"""Shading by environment maps: physics, gradients, precision against float64, repeatability."""

import math
from dataclasses import replace

import numba
import pytest
import torch
from diff_envshade import PointVisibility, integrate, reference, shade, texel_directions, texel_solid_angles
from torch.nn.functional import normalize

SIZES = [(16, 32), (8, 16), (32, 64), (10, 20), (3, 7), (1, 1)]


def random_rotation(seed: int) -> torch.Tensor:
    matrix = torch.linalg.qr(torch.randn(3, 3, generator=torch.Generator().manual_seed(seed), dtype=torch.float64))[0]
    return (matrix * matrix.det().sign()).float()


def random_points(count: int, roughness: float | None = None, seed: int = 0) -> tuple[torch.Tensor, ...]:
    """Normals, views, roughness; a quarter of the points face away from the viewer."""
    generator = torch.Generator().manual_seed(seed)
    normal = normalize(torch.randn(count, 3, generator=generator), dim=-1)
    view = normalize(torch.randn(count, 3, generator=generator), dim=-1)
    facing = ((normal * view).sum(-1, keepdim=True) > 0) | (torch.arange(count) % 2 == 0)[:, None]
    rough = 0.08 + 0.92 * torch.rand(count, 1, generator=generator)
    return normal, torch.where(facing, view, -view), rough if roughness is None else torch.full_like(rough, roughness)


def random_envmap(height: int, width: int) -> torch.Tensor:
    return 0.1 + 2 * torch.rand(3, height, width, generator=torch.Generator().manual_seed(height * width))


def random_visibility(count: int, texels: int, vertices: int = 50, seed: int = 0) -> PointVisibility:
    generator = torch.Generator().manual_seed(seed)
    words = torch.randint(-(2**31), 2**31, (vertices, -(-texels // 32)), generator=generator).int()
    faces = torch.randint(0, vertices, (80, 3), generator=generator).int()
    barycentric = torch.rand(count, 3, generator=generator)
    barycentric = barycentric / barycentric.sum(-1, keepdim=True)
    return PointVisibility(words, faces, torch.randint(0, 80, (count,), generator=generator), barycentric)


def in_double(visibility: PointVisibility | None) -> PointVisibility | None:
    return None if visibility is None else replace(visibility, barycentric=visibility.barycentric.double())


def test_solid_angles_cover_the_sphere_and_directions_are_unit():
    for height, width in SIZES:
        assert texel_solid_angles(height, width, torch.float64).sum().item() == pytest.approx(4 * torch.pi, rel=1e-12)
        lengths = texel_directions(height, width, torch.float64).norm(dim=-1)
        torch.testing.assert_close(lengths, torch.ones_like(lengths))


def test_texels_lie_where_the_convention_says():
    directions, angles = texel_directions(16, 32), texel_solid_angles(16, 32)
    torch.testing.assert_close(directions[0], torch.tensor([0.0975452, 0.9951847, 0.0096074]), rtol=0, atol=1e-6)
    torch.testing.assert_close(directions[232], torch.tensor([-0.0975452, 0.0980171, 0.9903926]), rtol=0, atol=1e-6)
    assert angles[0].item() == pytest.approx(0.00377281, rel=1e-4)  # upstream's fast sines
    assert angles[232].item() == pytest.approx(0.03830589, rel=1e-5)


def test_white_furnace():
    """A white diffuse surface under a white sky is white, up to the quadrature error of 16 x 32 texels.

    The error is largest at the poles, where the sum over rows has the closed form 1 / cos(pi / 2H) = 1.00484.
    """
    normal, view, roughness = random_points(2000)
    normal[0] = torch.tensor([0.0, 1, 0])
    ones = torch.ones(2000, 3)
    shading = shade(normal, view, ones, torch.zeros_like(ones), roughness, torch.ones(3, 16, 32))
    worst = 1 / math.cos(math.pi / 32) - 1
    torch.testing.assert_close(shading.radiance[0], torch.full((3,), 1 + worst), rtol=0, atol=1e-6)
    assert (shading.radiance - 1).abs().max() < worst + 1e-6
    assert (shading.radiance - 1).abs().mean() < 1e-3
    assert torch.equal(shading.radiance, shading.irradiance)


def test_reflection_is_the_textbook_integral():
    """F D G1(l) G1(v) / (4 n.l n.v) with the half vector as a vector, summed over the lit texels one by one."""
    normal, view, roughness = random_points(30)
    view = torch.where((normal * view).sum(-1, keepdim=True) > 0, view, -view)
    envmap = random_envmap(8, 16)
    light, n, v = texel_directions(8, 16, torch.float64), normal.double()[:, None], view.double()[:, None]
    r = roughness.double()
    half = normalize(light + v, dim=-1)
    nl, nv, nh, lh = ((a * b).sum(-1) for a, b in ((n, light), (n, v), (n, half), (light, half)))
    k = (r + 1) ** 2 / 8
    alpha2 = r**4
    fresnel = 0.04 + 0.96 * (1 - lh) ** 5
    density = alpha2 / (torch.pi * (nh**2 * (alpha2 - 1) + 1) ** 2)
    shadowing = nl / (nl * (1 - k) + k) * nv / (nv * (1 - k) + k)
    brdf = torch.where(nl > 0, fresnel * density * shadowing / (4 * nl * nv), 0)
    expected = (brdf * nl * texel_solid_angles(8, 16, torch.float64)) @ envmap.double().flatten(1).T
    torch.testing.assert_close(integrate(normal, view, roughness, envmap)[1].double(), expected, rtol=1e-4, atol=0)


def test_reflection_does_not_create_light():
    """Under a white sky S is the albedo of the lobe: below 1, and from the front F0 less what masking takes."""
    normal, view, roughness = random_points(2000)
    view = torch.where((normal * view).sum(-1, keepdim=True) > 0, view, -view)
    _, albedo = integrate(normal, view, roughness.clamp(min=0.5), torch.ones(3, 16, 32))
    assert albedo.max() < 1
    _, frontal = integrate(normal, normal, torch.full((2000, 1), 0.4), torch.ones(3, 64, 128))
    assert frontal.max() < 0.04
    assert frontal.min() > 0.035


@pytest.mark.parametrize(("height", "width"), SIZES)
@pytest.mark.parametrize("shadowed", [False, True])
def test_forward_and_backward_against_float64(height, width, shadowed):
    """1e-4 of the largest value: sums over texels cancel in gradients, so single points can lose more digits."""
    count = 150
    visibility = random_visibility(count, height * width) if shadowed else None
    rotation = random_rotation(3)
    generator = torch.Generator().manual_seed(1)
    grad_e, grad_s = torch.randn(2, count, 3, generator=generator)
    for rough in (0.08, 0.2, 0.5, 1.0):
        tensors = [*random_points(count, rough), random_envmap(height, width)]
        leaves = [tensor.clone().requires_grad_() for tensor in tensors]
        outputs = integrate(*leaves, visibility, rotation)
        exact_leaves = [tensor.double().requires_grad_() for tensor in tensors]
        exact = reference.integrate(*exact_leaves, in_double(visibility), rotation.double(), True)
        for actual, expected in zip(outputs, exact, strict=True):
            torch.testing.assert_close(actual.double(), expected, rtol=1e-4, atol=1e-7)
        grads = torch.autograd.grad(outputs, leaves, (grad_e, grad_s))
        exact_grads = torch.autograd.grad(exact, exact_leaves, (grad_e.double(), grad_s.double()))
        for actual, expected in zip(grads, exact_grads, strict=True):
            bound = 1e-4 * expected.abs().max().item() + 1e-9
            torch.testing.assert_close(actual.double(), expected, rtol=0, atol=bound)


def test_precision_at_the_mirror_direction():
    """With a texel exactly at the mirror direction the peak of a sharp lobe keeps its digits.

    There u is about alpha^4 = 4e-5 and a plain float32 difference would be off by 1e-3 and more; the rounding of the
    directions, 1e-7 against a lobe of width 6e-3, leaves 1e-4.
    """
    light = texel_directions(16, 32)[torch.arange(5, 500, 7)]
    tangent = normalize(torch.linalg.cross(light, torch.tensor([[0.2, 0.7, 0.4]])), dim=-1)
    normal = normalize(light + 0.4 * tangent, dim=-1)
    view = 2 * (normal * light).sum(-1, keepdim=True) * normal - light
    roughness = torch.full((len(light), 1), 0.08)
    envmap = random_envmap(16, 32)
    _, actual = integrate(normal, view, roughness, envmap)
    tensors = (tensor.double() for tensor in (normal, view, roughness, envmap))
    _, expected = reference.integrate(*tensors, None, torch.eye(3, dtype=torch.float64), True)
    torch.testing.assert_close(actual.double(), expected, rtol=2e-4, atol=0)


def test_gradcheck_of_the_reference():
    count = 3
    normal, view, roughness = (tensor.double().requires_grad_() for tensor in random_points(count, seed=4))
    envmap = random_envmap(3, 5).double().requires_grad_()
    visibility = in_double(random_visibility(count, 15))
    rotation = random_rotation(2).double()

    def both(*tensors):
        return reference.integrate(*tensors, visibility, rotation, True)

    assert torch.autograd.gradcheck(both, (normal, view, roughness, envmap))


def test_material_gradients_and_composition():
    count = 20
    normal, view, roughness = random_points(count)
    albedo, specular_albedo = torch.rand(2, count, 3, generator=torch.Generator().manual_seed(3)).unbind(0)
    albedo.requires_grad_()
    specular_albedo.requires_grad_()
    shading = shade(normal, view, albedo, specular_albedo, roughness, random_envmap(16, 32))
    composed = albedo * shading.irradiance + specular_albedo * shading.specular
    torch.testing.assert_close(shading.radiance, composed)
    shading.radiance.sum().backward()
    torch.testing.assert_close(albedo.grad, shading.irradiance)
    torch.testing.assert_close(specular_albedo.grad, shading.specular)


def test_every_output_carries_gradients():
    count = 10
    for index in range(3):
        normal, view, roughness = (tensor.requires_grad_() for tensor in random_points(count))
        envmap = random_envmap(16, 32).requires_grad_()
        ones = torch.ones(count, 3)
        shade(normal, view, ones, ones, roughness, envmap)[index].sum().backward()
        assert normal.grad.abs().sum() > 0
        assert envmap.grad.abs().sum() > 0
        assert bool(roughness.grad.abs().sum() > 0) == (index != 1)


def test_visible_everywhere_is_no_visibility_and_nowhere_is_black():
    count = 50
    points, envmap = random_points(count), random_envmap(10, 20)
    visibility = random_visibility(count, 200)
    everywhere = replace(visibility, words=torch.full_like(visibility.words, -1))
    nowhere = replace(visibility, words=torch.zeros_like(visibility.words))
    for seen, free in zip(integrate(*points, envmap, everywhere), integrate(*points, envmap), strict=True):
        torch.testing.assert_close(seen, free, rtol=1e-5, atol=0)  # three barycentrics add up to 1 within rounding
    for dark in integrate(*points, envmap, nowhere):
        assert torch.equal(dark, torch.zeros_like(dark))


@pytest.mark.parametrize("texel", [0, 31, 32, 199])
def test_bit_t_belongs_to_texel_t(texel):
    """Under a map with one bright texel, only that texel's bit decides; rows of 20 texels straddle words."""
    envmap = torch.zeros(3, 200)
    envmap[:, texel] = 1
    envmap = envmap.view(3, 10, 20)
    light = texel_directions(10, 20)[texel][None]
    bits = torch.zeros(7 * 32, dtype=torch.int64)
    bits[texel] = 1
    alone = (bits.view(7, 32) << torch.arange(32)).sum(1).to(torch.int32)[None]
    mesh = (torch.zeros(1, 3, dtype=torch.int32), torch.zeros(1, dtype=torch.int64), torch.tensor([[0.2, 0.3, 0.5]]))
    points = (light, light, torch.tensor([[0.5]]))
    free = integrate(*points, envmap)
    for seen, expected in zip(integrate(*points, envmap, PointVisibility(alone, *mesh)), free, strict=True):
        assert expected.min() > 0
        torch.testing.assert_close(seen, expected, rtol=1e-6, atol=0)
    for hidden in integrate(*points, envmap, PointVisibility(~alone, *mesh)):
        assert torch.equal(hidden, torch.zeros_like(hidden))


def test_visibility_is_interpolated_between_corners():
    count = 30
    points, envmap = random_points(count), random_envmap(16, 32)
    visibility = random_visibility(count, 512)
    corners = []
    for corner in range(3):
        barycentric = torch.zeros(count, 3)
        barycentric[:, corner] = 1
        corners.append(integrate(*points, envmap, replace(visibility, barycentric=barycentric)))
    for index, blended in enumerate(integrate(*points, envmap, visibility)):
        expected = sum(visibility.barycentric[:, k : k + 1] * corners[k][index] for k in range(3))
        torch.testing.assert_close(blended, expected, rtol=1e-5, atol=1e-7)


def test_words_beyond_the_map_are_ignored():
    points, envmap = random_points(5), random_envmap(8, 16)
    wide = random_visibility(5, 1000)
    narrow = replace(wide, words=wide.words[:, :4])
    for left, right in zip(integrate(*points, envmap, wide), integrate(*points, envmap, narrow), strict=True):
        assert torch.equal(left, right)


def test_turning_everything_changes_nothing():
    normal, view, roughness = random_points(50)
    envmap, light = random_envmap(16, 32), random_rotation(5)
    turn = random_rotation(6)
    before = integrate(normal, view, roughness, envmap, None, light)
    after = integrate(normal @ turn.T, view @ turn.T, roughness, envmap, None, turn @ light)
    torch.testing.assert_close(after[0], before[0], rtol=1e-5, atol=0)
    # Turning rounds directions by 1e-7, which a lobe of roughness 0.08 magnifies.
    torch.testing.assert_close(after[1], before[1], rtol=1e-3, atol=0)


def test_turning_the_map_by_whole_columns_equals_turning_the_light():
    points, envmap = random_points(50, 0.4), random_envmap(16, 32)
    quarter = torch.tensor([[0.0, 0, -1], [0, 1, 0], [1, 0, 0]])  # +x to +z
    rolled = integrate(*points, envmap.roll(8, dims=2))
    turned = integrate(*points, envmap, None, quarter)
    for left, right in zip(rolled, turned, strict=True):
        torch.testing.assert_close(left, right, rtol=2e-5, atol=0)


def test_surfaces_that_face_away_reflect_finitely():
    """The lobe has no division by n.v: at n.v = 0 and below the view's masking is 1 / k."""
    normal = torch.tensor([[0.0, 0, 1]]).repeat(3, 1)
    view = normalize(torch.tensor([[1, 0.2, 1e-6], [1, 0.2, 0], [1, 0.2, -1e-6]]), dim=-1)
    _, specular = integrate(normal, view, torch.full((3, 1), 0.3), random_envmap(16, 32))
    assert specular.min() > 0
    torch.testing.assert_close(specular, specular[1:2].expand(3, 3), rtol=1e-4, atol=0)


def test_light_from_straight_behind_is_not_reflected_and_has_finite_gradients():
    light = texel_directions(16, 32)[200]
    envmap = torch.zeros(3, 512)
    envmap[:, 200] = 1
    leaves = [light[None].clone(), -light[None], torch.tensor([[0.5]]), envmap.view(3, 16, 32)]
    leaves = [leaf.requires_grad_() for leaf in leaves]
    irradiance, specular = integrate(*leaves)
    assert irradiance.min() > 0
    assert torch.equal(specular, torch.zeros(1, 3))
    for grad in torch.autograd.grad(specular.sum(), leaves):
        assert grad.isfinite().all()


def test_specular_off_leaves_irradiance_and_no_gradients_for_view_and_roughness():
    leaves = [tensor.requires_grad_() for tensor in (*random_points(20), random_envmap(16, 32))]
    irradiance, specular = integrate(*leaves, enable_specular=False)
    assert torch.equal(irradiance, integrate(*leaves)[0])
    assert torch.equal(specular, torch.zeros(20, 3))
    normal, view, roughness, envmap = torch.autograd.grad((irradiance + specular).sum(), leaves)
    assert torch.equal(view, torch.zeros(20, 3))
    assert torch.equal(roughness, torch.zeros(20, 1))
    exact = [leaf.detach().double().requires_grad_() for leaf in leaves]
    (reference.integrate(*exact, None, torch.eye(3).double(), False)[0]).sum().backward()
    torch.testing.assert_close(normal.double(), exact[0].grad, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(envmap.double(), exact[3].grad, rtol=1e-5, atol=1e-9)


@pytest.mark.parametrize("count", [0, 1, 65])
def test_any_number_of_points(count):
    leaves = [tensor.requires_grad_() for tensor in (*random_points(count), random_envmap(8, 16))]
    visibility = random_visibility(count, 128)
    irradiance, specular = integrate(*leaves, visibility)
    grads = torch.autograd.grad((irradiance + specular).sum(), leaves)
    assert irradiance.shape == specular.shape == (count, 3)
    assert [grad.shape for grad in grads] == [leaf.shape for leaf in leaves]
    # Every point stands alone: the last one equals itself shaded on its own.
    if count:
        alone = replace(visibility, face_id=visibility.face_id[-1:], barycentric=visibility.barycentric[-1:])
        single = integrate(*(leaf[-1:] for leaf in leaves[:3]), leaves[3], alone)
        assert torch.equal(single[0], irradiance[-1:])
        assert torch.equal(single[1], specular[-1:])


def test_results_are_identical_from_run_to_run_and_for_any_number_of_threads():
    tensors = (*random_points(3000), random_envmap(16, 32))
    visibility = random_visibility(3000, 512)

    def run():
        leaves = [tensor.clone().requires_grad_() for tensor in tensors]
        outputs = integrate(*leaves, visibility)
        return *outputs, *torch.autograd.grad(sum(output.square().sum() for output in outputs), leaves)

    first, second = run(), run()
    threads = numba.get_num_threads()
    numba.set_num_threads(1)
    alone = run()
    numba.set_num_threads(threads)
    for a, b, c in zip(first, second, alone, strict=True):
        assert torch.equal(a, b)
        assert torch.equal(a, c)


def test_strided_inputs_give_the_same_result():
    normal, view, roughness = random_points(20)
    envmap = random_envmap(16, 32)
    strided = (normal.t().contiguous().t(), view.repeat(1, 2)[:, :3], roughness.repeat(1, 2)[:, :1])
    for left, right in zip(
        integrate(*strided, envmap.permute(1, 2, 0).contiguous().permute(2, 0, 1)),
        integrate(normal, view, roughness, envmap),
        strict=True,
    ):
        assert torch.equal(left, right)
