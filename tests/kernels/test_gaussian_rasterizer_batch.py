"""Several cameras in one call of the Gaussian rasteriser: each as in a call of its own."""

import pytest
import torch
from diff_gaussian_rasterization import cuda, rasterize
from diff_gaussian_rasterization.cuda_buffers import buffers
from diff_gaussian_rasterization.ops import rasterize_covariances
from kernel_runtime import ArgumentError
from test_gaussian_rasterizer import HEIGHT, IDENTITY, INTRINSICS, TILTED, WIDTH, Scene, random_scene

FARTHER = IDENTITY + torch.tensor([[0, 0, 0, 0.1], [0, 0, 0, -0.1], [0, 0, 0, 1.3]])
AWAY = IDENTITY - torch.tensor([[0, 0, 0, 0], [0, 0, 0, 0], [0, 0, 0, 9.0]])  # sees nothing
CAMERAS = torch.stack([TILTED, FARTHER, AWAY])
LENSES = torch.tensor([INTRINSICS, (60.0, 50.0, 20.0, 10.0), (30.0, 31.0, 18.0, 14.0)])


def scenes(channels: int = 3, points: int = 300) -> list[Scene]:
    """One set of Gaussians for each of CAMERAS."""
    return [random_scene(points, channels, seed) for seed in range(len(CAMERAS))]


def outputs_and_gradients(scene, cameras, lenses, **options) -> list[torch.Tensor]:
    """All outputs, and the gradients of a fixed loss by all inputs and the screen points."""
    inputs = [tensor.clone().requires_grad_() for tensor in scene]
    points = inputs[0].new_zeros(*inputs[0].shape[:-1], 2).requires_grad_()
    result = rasterize(*inputs, cameras, lenses, WIDTH, HEIGHT, screen_points=points, **options)
    (result.image.square().sum() + result.alpha.square().sum()).backward()
    return [tensor.detach() for tensor in result] + [tensor.grad for tensor in (*inputs, points)]


def check_every_camera_is_as_alone(device: str, channels: int, **options) -> None:
    """The outputs and gradients of a batch are, bit for bit, those of its cameras one by one."""
    alone = [
        outputs_and_gradients([tensor.to(device) for tensor in scene], camera, lens, **options)
        for scene, camera, lens in zip(scenes(channels), CAMERAS, LENSES, strict=True)
    ]
    stacked = [torch.stack(tensors).to(device) for tensors in zip(*scenes(channels), strict=True)]
    together = outputs_and_gradients(stacked, CAMERAS, LENSES, **options)
    assert alone[0][3] > alone[2][3] == 0
    for have, *want in zip(together, *alone, strict=True):
        assert torch.equal(have, torch.stack(want))


def check_tiles_with_long_lists_come_first(device: str) -> None:
    """Every tile of all cameras has its turn, after those with lists longer by a doubling's quarter or more."""
    scene = random_scene(300, 1)
    batch = [torch.stack([tensor, tensor]).to(device) for tensor in scene]
    matrices = torch.stack([TILTED, FARTHER]).double().to(device)
    view = cuda.View.create(matrices, INTRINSICS, WIDTH, HEIGHT, 0.05, antialias=False)
    *_, lists = cuda.forward(batch[0], tuple(batch[1:3]), batch[3], batch[4], view, 0, 20_000)
    tiles = 2 * view.tile_rows * view.tile_columns
    places = buffers(300, 2, tiles // 2, HEIGHT * WIDTH, 0)
    memory = lists.memory[0]
    starts = memory[places.tile_starts : places.tile_starts + 8 * (tiles + 1)].view(torch.int64)
    order = memory[places.tile_order : places.tile_order + 4 * tiles].view(torch.int32).long()
    assert torch.equal(order.sort().values, torch.arange(tiles, device=order.device))
    lengths = starts.diff()[order].double()
    assert lengths[0] > 2 * lengths[lengths > 0].min(), "the scene has long lists and short ones"
    assert (lengths.flip(0).cummax(0).values.flip(0) <= 1.25 * lengths).all()


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no NVIDIA GPU")
def test_tiles_with_long_lists_come_first():
    check_tiles_with_long_lists_come_first("cuda")


@pytest.mark.parametrize("channels", [3, 20])
@pytest.mark.parametrize("antialias", [False, True])
def test_every_camera_is_as_alone(channels: int, antialias: bool):
    check_every_camera_is_as_alone("cpu", channels, antialias=antialias, alpha_point_id=50)


def test_cameras_may_share_gaussians_and_lens():
    scene = random_scene(100, 3)
    shared = [tensor.clone().requires_grad_() for tensor in scene]
    together = rasterize(*(t.expand(3, *t.shape) for t in shared), CAMERAS, INTRINSICS, WIDTH, HEIGHT)
    together.image.square().sum().backward()
    total = torch.zeros_like(shared[0])
    for camera, image in zip(CAMERAS, together.image, strict=True):
        alone = [tensor.clone().requires_grad_() for tensor in scene]
        result = rasterize(*alone, camera, torch.tensor(INTRINSICS, dtype=torch.float64), WIDTH, HEIGHT)
        assert torch.equal(image, result.image)
        result.image.square().sum().backward()
        total += alone[0].grad
    # Sums of three float32 terms.
    assert torch.allclose(shared[0].grad, total, rtol=1e-5, atol=1e-5 * total.abs().max().item())


def test_covariances_come_in_batches_too():
    scene = random_scene(60, 3)
    covariances = torch.eye(3, dtype=torch.float64)[torch.triu_indices(3, 3).unbind()].repeat(60, 1) * 0.01
    arguments = scene[0], covariances, *scene[3:]
    batch = [tensor.expand(2, *tensor.shape) for tensor in arguments]
    together = rasterize_covariances(*batch, CAMERAS[:2], INTRINSICS, WIDTH, HEIGHT)
    for camera, image in zip(CAMERAS, together.image, strict=False):
        assert torch.equal(image, rasterize_covariances(*arguments, camera, INTRINSICS, WIDTH, HEIGHT).image)


def test_a_batch_without_gaussians_is_a_batch_of_empty_images():
    batch = [torch.stack([tensor[:0]] * 3) for tensor in random_scene(1, 3)]
    image, alpha, radii, instances, *gradients = outputs_and_gradients(batch, CAMERAS, LENSES)
    assert image.shape == (3, HEIGHT, WIDTH, 3)
    assert not image.any()
    assert not alpha.any()
    assert radii.shape == (3, 0)
    assert instances.tolist() == [0, 0, 0]
    assert [tuple(g.shape) for g in gradients] == [(3, 0, n) for n in (3, 4, 3, 1, 3, 2)]


@pytest.mark.parametrize(
    ("position", "value", "message"),
    [
        (0, torch.zeros(0, 5, 3), "for at least one camera, got"),
        (1, torch.zeros(5, 4), r"rotations: expected shape \[3, 5, 4\], got \[5, 4\]"),
        (4, torch.zeros(2, 5, 3), r"features: expected shape \[3, 5, \*\]"),
        (5, TILTED, r"world_to_camera: expected shape \[3, 3, 4\], got \[3, 4\]"),
        (6, LENSES[:2], r"intrinsics: expected shape \[3, 4\], got \[2, 4\]"),
        (6, LENSES * torch.tensor([[1.0], [-1.0], [1.0]]), "intrinsics: expected finite .* got .-60.0"),
    ],
)
def test_misuse_is_named(position: int, value: object, message: str):
    batch = [torch.stack(tensors) for tensors in zip(*scenes(points=5), strict=True)]
    arguments = [*batch, CAMERAS, LENSES, WIDTH, HEIGHT]
    arguments[position] = value
    with pytest.raises(ArgumentError, match=message):
        rasterize(*arguments)
