"""Gradients of the Gaussian rasteriser: finite differences of the float64 reference, and the CPU against it."""

import pytest
import torch
from diff_gaussian_rasterization import rasterize, reference
from diff_gaussian_rasterization.ops import rasterize_covariances
from test_gaussian_rasterizer import (
    CASES,
    HEIGHT,
    IDENTITY,
    INTRINSICS,
    TILTED,
    WIDTH,
    Scene,
    balls,
    central_scene,
    random_scene,
)


def gradients(
    function, scene: Scene, dtype: torch.dtype, alpha_weight: float = 1.0, image_weight: float = 1.0, **options
) -> list[torch.Tensor]:
    """Gradients of a random linear loss by means, rotations, scales, opacities, features and screen points."""
    generator = torch.Generator().manual_seed(3)
    by_image = image_weight * torch.randn(HEIGHT, WIDTH, scene[4].shape[1], generator=generator)
    by_alpha = alpha_weight * torch.randn(HEIGHT, WIDTH, generator=generator)
    inputs = [tensor.detach().clone().to(dtype).requires_grad_() for tensor in (*scene, torch.zeros(len(scene[0]), 2))]
    result = function(*inputs[:5], TILTED, INTRINSICS, WIDTH, HEIGHT, screen_points=inputs[5], **options)
    ((result.image * by_image).sum() + (result.alpha * by_alpha).sum()).backward()
    return [tensor.grad for tensor in inputs]


@pytest.mark.parametrize("antialias", [False, True])
def test_the_reference_agrees_with_finite_differences(antialias: bool):
    scene = random_scene(8, 2)
    scene[0].mul_(0.6)
    scene[2].mul_(3)
    inputs = [tensor.double().requires_grad_() for tensor in scene]
    camera = TILTED, (12.0, 11.0, 4.0, 5.0), 10, 9
    weights = torch.randn(9, 10, 3, generator=torch.Generator().manual_seed(1), dtype=torch.float64)

    def loss(*tensors: torch.Tensor) -> torch.Tensor:
        result = reference.rasterize(*tensors, *camera, alpha_point_id=2, antialias=antialias)
        return (result.image * weights[..., :2]).sum() + (result.alpha * weights[..., 2]).sum()

    assert reference.rasterize(*inputs, *camera, antialias=antialias).alpha.max() > 0.3
    # The steps of 1e-6 cross no threshold of alpha in this scene.
    assert torch.autograd.gradcheck(loss, inputs, eps=1e-6, atol=1e-6, rtol=1e-4)


@pytest.mark.parametrize("antialias", [False, True])
@pytest.mark.parametrize(("points", "channels", "alpha_point_id"), CASES)
def test_the_cpu_agrees_with_the_reference(points: int, channels: int, alpha_point_id: int, antialias: bool):
    scene = random_scene(points, channels)
    options = {"alpha_point_id": alpha_point_id, "antialias": antialias}
    ours = gradients(rasterize, scene, torch.float32, **options)
    truth = gradients(reference.rasterize, scene, torch.float64, **options)
    names = "means", "rotations", "scales", "opacities", "features", "screen points"
    for name, have, want in zip(names, ours, truth, strict=True):
        # float32 sums over up to 1000 pixels, with cancellation between pixels of random sign.
        error = (have - want).abs().max() / want.abs().max()
        assert error < 5e-6, (name, error)
        assert want.abs().max() > 0.1, name


def check_covariances_have_the_gradients_of_their_factors(device: str) -> None:
    """Rotations and scales get the same gradients directly and by the way of covariances."""
    tensors = [tensor.to(device) for tensor in random_scene(150, 3)]
    camera, options = (TILTED, INTRINSICS, WIDTH, HEIGHT), {"antialias": True}
    results = []
    for whole in (False, True):
        means, rotations, scales, opacities, features = (tensor.clone().requires_grad_() for tensor in tensors)
        if whole:
            covariances = reference.covariances(rotations.double(), scales.double())
            result = rasterize_covariances(means, covariances, opacities, features, *camera, **options)
        else:
            result = rasterize(means, rotations, scales, opacities, features, *camera, **options)
        (result.image.square().sum() + result.alpha.sum()).backward()
        results.append((result.image.detach(), means.grad, rotations.grad, scales.grad, opacities.grad))
    for have, want in zip(*results, strict=True):
        # The covariances differ by rounding of float64, the gradients by that of float32.
        assert torch.allclose(have, want, rtol=1e-5, atol=1e-6 * want.abs().max().item())


def test_covariances_have_the_gradients_of_their_factors():
    check_covariances_have_the_gradients_of_their_factors("cpu")


def test_capped_alpha_has_no_gradient():
    scene = balls([1.0], 1.0)
    opacity = scene[3].requires_grad_()
    result = rasterize(*scene, IDENTITY, (50, 50, 8.5, 8.5), 17, 17)
    result.alpha[8, 8].backward(retain_graph=True)
    assert opacity.grad.item() == 0
    result.alpha[8, 11].backward()
    assert opacity.grad.item() == pytest.approx(result.alpha[8, 11].item(), rel=1e-5)


def test_screen_points_get_the_gradient_of_a_shift_of_the_image():
    scene = tuple(tensor.double() for tensor in central_scene(60))
    by_image = torch.randn(HEIGHT, WIDTH, 3, generator=torch.Generator().manual_seed(3)).double()
    step = 1e-6

    def loss(shift_x: float, shift_y: float) -> float:
        fx, fy, cx, cy = INTRINSICS
        image = reference.rasterize(*scene, TILTED, (fx, fy, cx + shift_x, cy + shift_y), WIDTH, HEIGHT).image
        return (image * by_image).sum().item()

    by_pixel = [(loss(step, 0) - loss(-step, 0)) / (2 * step), (loss(0, step) - loss(0, -step)) / (2 * step)]
    screen = gradients(rasterize, central_scene(60), torch.float32, alpha_weight=0.0)[5].sum(0)
    # Device coordinates span 2 over the image.
    assert [screen[0].item() * 2 / WIDTH, screen[1].item() * 2 / HEIGHT] == pytest.approx(by_pixel, rel=1e-3)


def test_screen_points_ignore_the_alpha_loss():
    scene = random_scene(60, 3)
    with_alpha = gradients(rasterize, scene, torch.float32)
    without = gradients(rasterize, scene, torch.float32, alpha_weight=0.0)
    alone = gradients(rasterize, scene, torch.float32, image_weight=0.0)
    assert torch.equal(with_alpha[5], without[5])
    assert not torch.allclose(with_alpha[0], without[0])
    assert not alone[5].any()
    assert alone[0].any()


def test_gradients_reach_what_asks_for_them_only():
    scene = random_scene(20, 3)
    features = scene[4].requires_grad_()
    rasterize(*scene, TILTED, INTRINSICS, WIDTH, HEIGHT).image.sum().backward()
    assert features.grad.any()
    assert scene[0].grad is None
