"""The Gaussian rasteriser: closed forms of one and a few Gaussians, the float64 reference, and hostile inputs."""

import math

import numba
import pytest
import torch
from diff_gaussian_rasterization import camera_depths, rasterize, reference
from diff_gaussian_rasterization.splatting import tan_limits
from kernel_runtime import ArgumentError, UnsupportedDevice

WIDTH, HEIGHT = 37, 29  # not multiples of a tile
INTRINSICS = (44.0, 41.0, 15.1, 16.2)
ROUNDING = 1e-5  # relative: 6e-7 of the exponential, through a few factors 1 - alpha
IDENTITY = torch.eye(4)[:3]
TILTED = torch.tensor([[1.0, 0.0, 0.0, 0.02], [0.0, 0.8, -0.6, -0.03], [0.0, 0.6, 0.8, 1.0]])

CASES = [(250, 3, 0), (120, 1, 40), (90, 11, 5), (400, 12, 0), (60, 20, 3)]  # points, channels, alpha_point_id

Scene = tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]


def random_scene(points: int, channels: int, seed: int = 0) -> Scene:
    """Gaussians of all shapes around the origin, some behind the camera TILTED or outside its image."""
    generator = torch.Generator().manual_seed(seed)
    means = (torch.rand(points, 3, generator=generator) - 0.5) * torch.tensor([2.4, 2.4, 2.0])
    rotations = torch.nn.functional.normalize(torch.randn(points, 4, generator=generator), dim=1)
    scales = torch.exp(0.7 * torch.randn(points, 3, generator=generator) - 3)
    opacities = torch.rand(points, 1, generator=generator)
    return means, rotations, scales, opacities, torch.randn(points, channels, generator=generator)


def central_scene(points: int) -> Scene:
    """Gaussians so near the optical axis of TILTED that no limit of the Jacobian acts."""
    means, *rest = random_scene(points, 3)
    return 0.15 * means, *rest


def balls(depths: list[float], opacity: float, sigma: float = 0.1) -> Scene:
    """Isotropic Gaussians on the optical axis of IDENTITY; Gaussian i has one-hot feature i."""
    points = len(depths)
    means = torch.zeros(points, 3)
    means[:, 2] = torch.tensor(depths)
    rotations = torch.tensor([[1.0, 0, 0, 0]]).repeat(points, 1)
    return means, rotations, torch.full((points, 3), sigma), torch.full((points, 1), opacity), torch.eye(points)


def test_one_ball_has_the_gaussian_profile_of_its_projection():
    focal, depth, sigma, opacity = 50.0, 2.0, 0.1, 0.7
    result = rasterize(*balls([depth], opacity, sigma), IDENTITY, (focal, focal, 16.5, 12.5), 33, 25)
    variance = (focal * sigma / depth) ** 2 + 0.3
    rows, columns = torch.meshgrid(torch.arange(25) - 12.0, torch.arange(33) - 16.0, indexing="ij")
    expected = opacity * torch.exp(-(rows**2 + columns**2) / (2 * variance))
    expected[expected < 1 / 255] = 0
    assert (expected == 0).any()
    # The exponential is good to 6e-7 relative.
    assert torch.allclose(result.alpha, expected, rtol=0, atol=1e-6)
    assert torch.equal(result.image[..., 0], result.alpha)
    # The two variances are equal, so their difference sits at its floor of 0.1 px^4.
    assert result.radii.tolist() == [math.ceil(3 * math.sqrt(variance + math.sqrt(0.1)))]


def test_alpha_is_capped():
    assert rasterize(*balls([1.0], 1.0), IDENTITY, (50, 50, 8.5, 8.5), 17, 17).alpha.max() == pytest.approx(0.99)


def test_nearer_gaussians_cover_farther_ones_whatever_their_index():
    result = rasterize(*balls([3.0, 1.0, 2.0], 0.6), IDENTITY, (50, 50, 8.5, 8.5), 17, 17)
    assert result.image[8, 8].tolist() == pytest.approx([0.6 * 0.4**2, 0.6, 0.6 * 0.4], rel=ROUNDING)
    assert result.alpha[8, 8].item() == pytest.approx(1 - 0.4**3, rel=ROUNDING)


def test_equal_depths_blend_in_the_order_of_their_index():
    result = rasterize(*balls([1.0, 1.0, 1.0], 0.6), IDENTITY, (50, 50, 8.5, 8.5), 17, 17)
    assert result.image[8, 8].tolist() == pytest.approx([0.6, 0.6 * 0.4, 0.6 * 0.4**2], rel=ROUNDING)


def test_a_pixel_is_finished_before_its_transmittance_falls_below_the_minimum():
    depths = [1 + 0.1 * i for i in range(40)]
    result = rasterize(*balls(depths, 0.5), IDENTITY, (50, 50, 8.5, 8.5), 17, 17)
    # 0.5^13 = 1.2e-4 is still above 1e-4, 0.5^14 is not: thirteen Gaussians count.
    expected = [0.5 ** (i + 1) if i < 13 else 0 for i in range(40)]
    assert result.image[8, 8].tolist() == pytest.approx(expected, rel=ROUNDING)


def test_the_alpha_output_counts_a_suffix_of_the_gaussians_only():
    scene = balls([3.0, 1.0, 2.0], 0.6)
    alphas = [
        rasterize(*scene, IDENTITY, (50, 50, 8.5, 8.5), 17, 17, alpha_point_id=i).alpha[8, 8].item() for i in range(4)
    ]
    assert alphas == pytest.approx([0.096 + 0.6 + 0.24, 0.6 + 0.24, 0.24, 0], rel=ROUNDING)


def test_the_image_covariance_is_that_of_projected_samples():
    generator = torch.Generator().manual_seed(0)
    rotation = torch.nn.functional.normalize(torch.tensor([[0.3, -0.5, 0.7, 0.4]]), dim=1)
    scale, mean = torch.tensor([[0.02, 0.06, 0.11]]), torch.tensor([[0.3, -0.2, 3.0]])
    size, focal, opacity = 160, 300.0, 0.9
    view = (focal, focal, 50.0, 100.0)
    alpha = rasterize(mean, rotation, scale, torch.tensor([[opacity]]), torch.ones(1, 1), IDENTITY, view, size, size)[1]
    rows, columns = torch.meshgrid(torch.arange(size) + 0.5, torch.arange(size) + 0.5, indexing="ij")
    pixels, weight = torch.stack([columns, rows], -1).reshape(-1, 2).double(), alpha.reshape(-1).double()
    center = (weight[:, None] * pixels).sum(0) / weight.sum()
    rendered = (pixels - center).T @ (weight[:, None] * (pixels - center)) / weight.sum()

    # Rotate samples by the quaternion product q v q*, with t = 2 q x v.
    local = torch.randn(400_000, 3, generator=generator) * scale
    turn = 2 * torch.cross(rotation[:, 1:].expand_as(local), local, dim=1)
    world = mean + local + rotation[0, 0] * turn + torch.cross(rotation[:, 1:].expand_as(local), turn, dim=1)
    samples = focal * world[:, :2] / world[:, 2:] + torch.tensor(view[2:])
    # Alpha below 1/255 is cut: the variance within the ellipse of log(255 opacity).
    cut = math.log(255 * opacity)
    expected = (samples.double().T.cov() + 0.3 * torch.eye(2)) * (1 - cut / (math.exp(cut) - 1))
    # 0.3 % of sampling noise, 1 % from the local affine approximation.
    assert torch.allclose(rendered, expected, rtol=0.015, atol=0.015 * expected.diagonal().max().item())
    assert center.tolist() == pytest.approx([80, 80], abs=1e-3)


def test_moving_the_principal_point_moves_the_image():
    scene = central_scene(30)
    left = rasterize(*scene, TILTED, (40, 40, 20, 24), 48, 48).image
    right = rasterize(*scene, TILTED, (40, 40, 23, 19), 48, 48).image
    assert left.abs().max() > 0.5
    # Same pixels, other tiles: rounding of the centre in float32 only.
    assert torch.allclose(left[5:, :-3], right[:-5, 3:], atol=2e-5)


def test_the_limits_of_the_jacobian_are_upstreams_for_a_centred_camera():
    tangent = 0.4
    assert tan_limits(32 / tangent, 32.0, 64) == pytest.approx((-1.3 * tangent, 1.3 * tangent))
    low, high = tan_limits(32 / tangent, 40.0, 64)
    assert (high - low, high + low) == pytest.approx((2.6 * tangent, -2 * 8 * tangent / 32))


@pytest.mark.parametrize("antialias", [False, True])
@pytest.mark.parametrize(("points", "channels", "alpha_point_id"), CASES)
def test_the_cpu_agrees_with_the_float64_reference(points: int, channels: int, alpha_point_id: int, antialias: bool):
    scene = random_scene(points, channels)
    camera, options = (TILTED, INTRINSICS, WIDTH, HEIGHT), {"alpha_point_id": alpha_point_id, "antialias": antialias}
    result = rasterize(*scene, *camera, **options)
    truth = reference.rasterize(*(t.double() for t in scene), *camera, **options)
    assert truth.alpha.mean() > 0.1
    assert (truth.radii == 0).any()
    # float32 blending of features of order 1; no pixel of these scenes lies within rounding of a threshold.
    assert torch.allclose(result.image.double(), truth.image, rtol=0, atol=5e-6)
    assert torch.allclose(result.alpha.double(), truth.alpha, rtol=0, atol=3e-6)
    assert torch.equal(result.radii, truth.radii)


@pytest.mark.parametrize("render", [rasterize, reference.rasterize])
def test_antialiasing_keeps_the_sum_over_the_pixels_what_it_is_without_the_low_pass(render):
    focal, opacity, size = 50.0, 0.9, 33
    camera = IDENTITY, (focal, focal, size / 2, size / 2), size, size
    rounds = {False: [], True: []}
    for depth in (2.0, 4.0, 8.0):
        for sigma in (0.02, 0.04):
            variance = (focal * sigma / depth) ** 2
            for antialias, sums in rounds.items():
                alpha = render(*balls([depth], opacity, sigma), *camera, antialias=antialias).alpha
                factor = variance / (variance + 0.3) if antialias else 1.0
                # The integral of what exceeds 1/255 of a Gaussian of this peak and covariance. A sum over pixels is not
                # an integral: it differs by 2 exp(-2 pi^2 0.3) = 0.5 %, and at the edge by a few pixels of 1/255.
                integral = 2 * math.pi * (variance + 0.3) * (opacity * factor - 1 / 255)
                assert alpha.sum().item() == pytest.approx(integral, rel=0.03)
                sums.append(alpha.sum().item() / variance)
    # Per image of its own size, a Gaussian weighs the same from everywhere, but for what 1/255 cuts off.
    assert max(rounds[True]) / min(rounds[True]) < 1.1
    assert max(rounds[False]) / min(rounds[False]) > 10


def test_antialiasing_leaves_large_gaussians_alone_and_drops_those_without_area():
    camera = IDENTITY, INTRINSICS, WIDTH, HEIGHT
    large = balls([1.0], 0.7, sigma=5.0)
    assert torch.allclose(rasterize(*large, *camera, antialias=True).alpha, rasterize(*large, *camera).alpha, rtol=1e-4)
    point, disc = balls([1.0], 0.7, sigma=0.0), balls([1.0], 0.7)
    disc[2][0, 0] = 0.0  # seen along its plane
    for scene in (point, disc):
        assert rasterize(*scene, *camera).alpha.any()
        assert not rasterize(*scene, *camera, antialias=True).alpha.any()


@pytest.mark.parametrize("render", [rasterize, reference.rasterize])
def test_depth_is_a_feature(render):
    scene = balls([1.0, 3.0], 0.6)
    means = scene[0].requires_grad_()
    features = camera_depths(means, IDENTITY)
    assert features.tolist() == [[1.0], [3.0]]
    result = render(*scene[:4], features, IDENTITY, (50, 50, 8.5, 8.5), 17, 17)
    assert result.image[8, 8, 0].item() == pytest.approx(0.6 * 1 + 0.4 * 0.6 * 3, rel=ROUNDING)
    result.image[8, 8, 0].backward()
    # In the middle of the splats their place and size do not matter: only the feature does.
    assert means.grad.flatten().tolist() == pytest.approx([0, 0, 0.6, 0, 0, 0.24], rel=ROUNDING, abs=1e-6)


def test_camera_depths_are_those_of_the_camera():
    means = random_scene(10, 1)[0].requires_grad_()
    cameras = torch.stack([TILTED, IDENTITY]).double()
    depths = camera_depths(means.expand(2, -1, -1), cameras)
    assert depths.shape == (2, 10, 1)
    assert torch.allclose(depths[0, :, 0], means @ TILTED[2, :3] + TILTED[2, 3])
    depths[0].sum().backward()
    assert torch.allclose(means.grad, TILTED[2, :3].expand(10, 3))


def loss_gradients(scene: Scene, **options) -> tuple[torch.Tensor, ...]:
    """Image, alpha and every gradient of a fixed loss."""
    inputs = [tensor.clone().requires_grad_() for tensor in scene]
    result = rasterize(*inputs, TILTED, INTRINSICS, WIDTH, HEIGHT, **options)
    (result.image.square().sum() + result.alpha.square().sum()).backward()
    return result.image, result.alpha, *(tensor.grad for tensor in inputs)


def test_results_do_not_depend_on_the_run_or_the_threads():
    scene = random_scene(500, 3)
    first = loss_gradients(scene)
    threads = numba.get_num_threads()
    assert all(map(torch.equal, first, loss_gradients(scene)))
    try:
        numba.set_num_threads(1)
        assert all(map(torch.equal, first, loss_gradients(scene)))
    finally:
        numba.set_num_threads(threads)


def test_no_gaussians_give_an_empty_image():
    scene = tuple(tensor[:0] for tensor in random_scene(1, 3))
    image, alpha, *gradients = loss_gradients(scene)
    assert image.shape == (HEIGHT, WIDTH, 3)
    assert not image.any()
    assert not alpha.any()
    assert [tuple(g.shape) for g in gradients] == [(0, 3), (0, 4), (0, 3), (0, 1), (0, 3)]


def test_gaussians_behind_the_camera_or_near_it_are_culled():
    scene = balls([-1.0, 0.0, 0.04, 0.06], 0.6)
    assert (rasterize(*scene, IDENTITY, INTRINSICS, WIDTH, HEIGHT).radii > 0).tolist() == [False, False, False, True]
    assert not rasterize(*scene, IDENTITY, INTRINSICS, WIDTH, HEIGHT, near=0.07).radii.any()


def test_one_gaussian_is_enough():
    scene = tuple(tensor[:1] for tensor in random_scene(1, 3))
    scene[0][:] = 0
    result = rasterize(*scene, TILTED, INTRINSICS, WIDTH, HEIGHT)
    truth = reference.rasterize(*(t.double() for t in scene), TILTED, INTRINSICS, WIDTH, HEIGHT)
    assert result.alpha.any()
    assert torch.allclose(result.image.double(), truth.image, rtol=0, atol=5e-6)


@pytest.mark.parametrize("antialias", [False, True])
@pytest.mark.parametrize("scale", [0.0, 1e-20, 30.0, 1e6, 1e18])
def test_extreme_sizes_stay_finite(scale: float, antialias: bool):
    scene = list(random_scene(40, 3))
    scene[2] = torch.full_like(scene[2], scale)
    scene[2][::3, 0] *= 1e-3
    assert all(tensor.isfinite().all() for tensor in loss_gradients(tuple(scene), antialias=antialias))


def test_the_reference_of_gaussians_without_area_or_behind_the_camera_is_finite():
    scene = [tensor.double() for tensor in random_scene(40, 3)]
    scene[2][::2] = 0
    scene[2][1, 1:] = 0
    inputs = [tensor.requires_grad_() for tensor in scene]
    result = reference.rasterize(*inputs, TILTED, INTRINSICS, WIDTH, HEIGHT, antialias=True)
    assert (result.radii == 0).any()
    (result.image.square().sum() + result.alpha.sum()).backward()
    assert all(tensor.grad.isfinite().all() for tensor in inputs)


def test_tensors_with_gaps_are_accepted():
    scene = random_scene(200, 3)
    spread = [torch.stack([tensor, tensor], -1)[..., 0] for tensor in scene]
    assert not spread[0].is_contiguous()
    camera = INTRINSICS, WIDTH, HEIGHT
    assert torch.equal(rasterize(*spread, TILTED.T.contiguous().T, *camera)[0], rasterize(*scene, TILTED, *camera)[0])


def test_one_broken_gaussian_does_not_spoil_the_others():
    scene = random_scene(40, 3)
    kept = loss_gradients(tuple(tensor[5:] for tensor in scene))
    broken = tuple(tensor.clone() for tensor in scene)
    broken[0][0], broken[0][1], broken[1][2], broken[2][3], broken[3][4] = math.nan, math.inf, math.nan, math.inf, 0.0
    results = loss_gradients(broken)
    assert torch.equal(results[0], kept[0])
    assert all(torch.equal(have[5:], want) for have, want in zip(results[2:], kept[2:], strict=True))
    assert all(tensor.isfinite().all() for tensor in results)
    truth = reference.rasterize(*(tensor.double() for tensor in broken), TILTED, INTRINSICS, WIDTH, HEIGHT)
    assert torch.allclose(truth.image, kept[0].double(), atol=5e-6)


def test_a_splat_larger_than_the_image_covers_every_pixel():
    scene = balls([1.0], 0.5, sigma=1e3)
    alpha = rasterize(*scene, IDENTITY, INTRINSICS, WIDTH, HEIGHT).alpha
    assert torch.allclose(alpha, torch.full_like(alpha, 0.5), atol=1e-5)


@pytest.mark.parametrize(
    ("position", "value", "message"),
    [
        (0, torch.zeros(2, 4), "means: expected shape"),
        (0, torch.zeros(2), r"means: expected shape \[P, 3\], or \[B, P, 3\]"),
        (0, [[0.0, 0, 1], [0, 0, 2]], "means: expected a tensor, got list"),
        (0, torch.zeros(2, 3, dtype=torch.float64), "means: expected torch.float32"),
        (1, torch.zeros(2, 3), "rotations: expected shape"),
        (2, torch.zeros(2, 3, dtype=torch.float64), "scales: expected torch.float32"),
        (3, torch.zeros(2), "opacities: expected shape"),
        (5, torch.eye(4), "world_to_camera: expected shape"),
        (5, torch.eye(4)[:3].requires_grad_(), "no gradient for the camera"),
        (6, (0.0, 1.0, 1.0, 1.0), "intrinsics: expected"),
        (6, torch.tensor([9.0, math.nan, 1.0, 1.0]), "intrinsics: expected finite"),
        (6, torch.ones(4).requires_grad_(), "intrinsics: the rasteriser has no gradient"),
        (6, torch.ones(2, 4), r"intrinsics: expected shape \[4\]"),
        (7, 0, "expected at least 1 pixel"),
    ],
)
def test_misuse_is_named(position: int, value: object, message: str):
    arguments = [*balls([1.0, 2.0], 0.5), IDENTITY, INTRINSICS, WIDTH, HEIGHT]
    arguments[position] = value
    with pytest.raises(ArgumentError, match=message):
        rasterize(*arguments)


def test_other_devices_are_refused():
    scene = [tensor.to("meta") for tensor in balls([1.0], 0.5)]
    with pytest.raises(UnsupportedDevice, match="rasterize has no meta kernel"):
        rasterize(*scene, IDENTITY, INTRINSICS, WIDTH, HEIGHT)
