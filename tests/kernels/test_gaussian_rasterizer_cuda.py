"""The Gaussian rasteriser on a GPU: against the float64 reference and the CPU, hostile inputs, streams and graphs."""

import math

import pytest
import torch
from diff_gaussian_rasterization import GaussianRasterizer, cuda, rasterize, rasterize_gaussians, reference
from diff_gaussian_rasterization.cuda_buffers import buffers
from kernel_runtime import ArgumentError, UnsupportedDevice
from test_gaussian_rasterizer import CASES, HEIGHT, IDENTITY, INTRINSICS, TILTED, WIDTH, Scene, balls, random_scene
from test_gaussian_rasterizer_batch import CAMERAS, LENSES, check_every_camera_is_as_alone, scenes
from test_gaussian_rasterizer_gradients import check_covariances_have_the_gradients_of_their_factors, gradients
from test_gaussian_rasterizer_upstream import upstream_settings

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="needs an NVIDIA GPU"),
]

# More channels than one pass blends; every compiled number of channels; more splats than one batch of a tile.
CUDA_CASES = [*CASES, (80, 4, 0), (80, 8, 0), (80, 16, 0), (2000, 3, 0)]
CAPACITY = 20_000
CAMERA = TILTED, INTRINSICS, WIDTH, HEIGHT
FORWARD = IDENTITY + torch.tensor([[0, 0, 0, 0], [0, 0, 0, 0], [0, 0, 0, 2.0]])


def on_gpu(tensors, device: str = "cuda") -> tuple[torch.Tensor, ...]:
    """Copies of tensors on a GPU."""
    return tuple(tensor.to(device) for tensor in tensors)


def rasterize_on_gpu(*arguments, screen_points=None, **options):
    """`rasterize` on copies of CPU tensors, back on the CPU: autograd carries the gradients across."""
    tensors, camera = arguments[:5], arguments[5:]
    if screen_points is not None:
        options["screen_points"] = screen_points.cuda()
    result = rasterize(*on_gpu(tensors), *camera, **options)
    return type(result)(*(tensor.cpu() for tensor in result))


def outputs_and_gradients(scene: Scene, **options) -> list[torch.Tensor]:
    """Image, alpha and every gradient of a fixed loss, on the GPU."""
    inputs = [tensor.detach().clone().requires_grad_() for tensor in scene]
    result = rasterize(*inputs, TILTED, INTRINSICS, WIDTH, HEIGHT, **options)
    (result.image.square().sum() + result.alpha.square().sum()).backward()
    return [result.image.detach(), result.alpha.detach(), *(tensor.grad for tensor in inputs)]


@pytest.mark.parametrize(("capacity", "antialias"), [(None, False), (CAPACITY, True)])
@pytest.mark.parametrize(("points", "channels", "alpha_point_id"), CUDA_CASES)
def test_the_gpu_agrees_with_the_float64_reference(
    points: int, channels: int, alpha_point_id: int, capacity: int | None, antialias: bool
):
    scene = random_scene(points, channels)
    options = {"alpha_point_id": alpha_point_id, "antialias": antialias}
    result = rasterize_on_gpu(*scene, *CAMERA, capacity=capacity, **options)
    truth = reference.rasterize(*(t.double() for t in scene), *CAMERA, **options)
    # float32 blending of features of order 1; no pixel of these scenes lies within rounding of a threshold.
    assert torch.allclose(result.image.double(), truth.image, rtol=0, atol=5e-6)
    assert torch.allclose(result.alpha.double(), truth.alpha, rtol=0, atol=3e-6)
    assert torch.equal(result.radii, truth.radii)
    assert 0 < result.instances.item() < CAPACITY


@pytest.mark.parametrize(("capacity", "antialias"), [(None, True), (CAPACITY, False)])
@pytest.mark.parametrize(("points", "channels", "alpha_point_id"), CUDA_CASES)
def test_gradients_agree_with_the_reference(
    points: int, channels: int, alpha_point_id: int, capacity: int | None, antialias: bool
):
    scene = random_scene(points, channels)
    options = {"alpha_point_id": alpha_point_id, "antialias": antialias}
    ours = gradients(rasterize_on_gpu, scene, torch.float32, capacity=capacity, **options)
    truth = gradients(reference.rasterize, scene, torch.float64, **options)
    names = "means", "rotations", "scales", "opacities", "features", "screen points"
    for name, have, want in zip(names, ours, truth, strict=True):
        # float32 sums over up to 1000 pixels, with cancellation between pixels of random sign.
        error = (have - want).abs().max() / want.abs().max()
        assert error < 5e-6, (name, error)


def test_covariances_have_the_gradients_of_their_factors():
    check_covariances_have_the_gradients_of_their_factors("cuda")


def test_capped_alpha_has_no_gradient():
    scene = on_gpu(balls([1.0], 1.0))
    opacity = scene[3].requires_grad_()
    result = rasterize(*scene, IDENTITY, (50, 50, 8.5, 8.5), 17, 17)
    assert result.alpha.max().item() == pytest.approx(0.99)
    result.alpha[8, 8].backward(retain_graph=True)
    assert opacity.grad.item() == 0
    result.alpha[8, 11].backward()
    assert opacity.grad.item() == pytest.approx(result.alpha[8, 11].item(), rel=1e-5)


def test_equal_depths_blend_in_the_order_of_their_index():
    result = rasterize(*on_gpu(balls([1.0] * 600, 0.01)), IDENTITY, (50, 50, 8.5, 8.5), 17, 17)
    # A relative error of 1e-7 in each of 600 factors.
    expected = [0.01 * 0.99**i for i in range(600)]
    assert result.image[8, 8].tolist() == pytest.approx(expected, rel=1e-4)


def check_order_of_depths(device: str, points: int) -> None:
    """The sort by depth is the stable sort of what tiles see, for many Gaussians, equal depths and none at all."""
    scene = random_scene(points, 1)
    batch = [torch.stack([tensor, tensor, tensor]).to(device) for tensor in scene]
    batch[0][1, :, 2] = (10 * batch[0][1, :, 2]).round() / 10  # few depths, each many times
    batch[0][2, :, 2] += 100  # one value of the highest digit
    matrices = torch.stack([TILTED, FORWARD, FORWARD]).double().to(device)
    view = cuda.View.create(matrices, INTRINSICS, WIDTH, HEIGHT, 0.05, antialias=False)
    places = buffers(points, 3, view.tile_rows * view.tile_columns, HEIGHT * WIDTH, 0)
    memory = batch[0].new_empty(places.size, dtype=torch.uint8)
    call = cuda.begin(batch[0], tuple(batch[1:3]), batch[3], view, places, memory)
    cuda.project(call, batch[0].new_empty(3, points, dtype=torch.int32), batch[4])
    cuda.sort(call)

    def integers(start: int, *shape: int) -> torch.Tensor:
        return memory[start : start + 4 * math.prod(shape)].view(torch.int32).view(shape)

    tile_counts, depths, order = (
        integers(start, 3, points) for start in (places.tile_counts, places.depths, places.order)
    )
    seen = integers(places.seen, 3)
    for camera in range(3):
        kept = torch.nonzero(tile_counts[camera] > 0)[:, 0]
        sorted_depths = torch.sort(depths[camera][kept], stable=True)
        assert seen[camera] == len(kept)
        assert torch.equal(order[camera, : len(kept)].long(), kept[sorted_depths.indices] + camera * points)
        assert points < 100 or len(kept) > points / 10
    assert points < 100 or len(depths[1].unique()) < 30


@pytest.mark.parametrize("points", [1, 2048, 20_000, 300_000])
def test_the_order_of_depths_is_that_of_a_stable_sort(points: int):
    check_order_of_depths("cuda", points)


@pytest.mark.parametrize("channels", [3, 20])
def test_every_camera_of_a_batch_is_as_alone(channels: int):
    check_every_camera_is_as_alone("cuda", channels, antialias=True, alpha_point_id=50)


def test_a_batch_is_captured_with_its_cameras():
    batch = on_gpu(torch.stack(tensors) for tensors in zip(*scenes(), strict=True))
    matrices, lenses = CAMERAS.cuda(), LENSES.cuda()

    def render() -> torch.Tensor:
        return rasterize(*batch, matrices, lenses, WIDTH, HEIGHT, capacity=CAPACITY).image

    expected = [render(), rasterize(*batch, CAMERAS.flip(0), LENSES.flip(0), WIDTH, HEIGHT).image]
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        image = render()
    for order, want in enumerate(expected):
        if order == 1:
            matrices.copy_(CAMERAS.flip(0))
            lenses.copy_(LENSES.flip(0))
        graph.replay()
        assert torch.equal(image, want)


def test_a_large_image_agrees_with_the_cpu():
    scene = random_scene(3000, 3)
    # 5000 tiles: several bands of the counting sort, and tile rows that end inside the image's last tile.
    camera = TILTED, (1500.0, 1400.0, 505.0, 610.0), 1010, 1250
    ours, expected = rasterize_on_gpu(*scene, *camera), rasterize(*scene, *camera)
    assert torch.equal(ours.radii, expected.radii)
    # Where rounding lets a pixel skip or finish one Gaussian sooner, 1/255 of a feature may be missing.
    assert (ours.image - expected.image).abs().max() < 4 / 255
    assert (ours.image - expected.image).abs().mean() < 1e-6


def test_results_are_the_same_bits_in_every_run_and_on_every_stream():
    scene = on_gpu(random_scene(2000, 3))
    first = outputs_and_gradients(scene)
    assert all(map(torch.equal, first, outputs_and_gradients(scene)))
    assert all(map(torch.equal, first, outputs_and_gradients(scene, capacity=CAPACITY)))
    side = torch.cuda.Stream()
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):
        aside = outputs_and_gradients(scene)
    torch.cuda.current_stream().wait_stream(side)
    assert all(map(torch.equal, first, aside))


def test_work_waits_for_its_stream():
    scene = on_gpu(random_scene(500, 3))
    expected = rasterize(*scene, *CAMERA).image
    side = torch.cuda.Stream()
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):
        late = torch.zeros_like(scene[0])
        torch.cuda._sleep(50_000_000)  # cycles, some 25 ms
        late.copy_(scene[0])
        image = rasterize(late, *scene[1:], *CAMERA).image
    torch.cuda.current_stream().wait_stream(side)
    assert torch.equal(image, expected)


@pytest.mark.skipif(torch.cuda.device_count() < 2, reason="needs two GPUs")
def test_the_device_is_that_of_the_tensors():
    scene = random_scene(500, 3)
    first, second = (outputs_and_gradients(on_gpu(scene, device)) for device in ("cuda:0", "cuda:1"))
    assert all(tensor.device.index == 1 for tensor in second)
    assert all(torch.equal(a.cpu(), b.cpu()) for a, b in zip(first, second, strict=True))


def test_a_capacity_spares_the_host_from_waiting():
    scene = on_gpu(random_scene(500, 3))
    camera = TILTED.cuda(), *CAMERA[1:]
    rasterize(*scene, *camera)  # compiles
    torch.cuda.set_sync_debug_mode("error")
    try:
        inputs = [tensor.requires_grad_() for tensor in scene]
        rasterize(*inputs, *camera, capacity=CAPACITY).image.sum().backward()
    finally:
        torch.cuda.set_sync_debug_mode("default")


def test_too_small_a_capacity_is_reported_and_does_no_harm():
    scene = on_gpu(random_scene(2000, 3))
    needed = rasterize(*scene, *CAMERA).instances.item()
    exact = outputs_and_gradients(scene, capacity=needed)
    assert all(map(torch.equal, outputs_and_gradients(scene), exact))
    assert rasterize(*scene, *CAMERA, capacity=needed - 1).instances.item() == needed
    for capacity in (1, 100, needed - 1):
        image, alpha, *grads = outputs_and_gradients(scene, capacity=capacity)
        assert torch.equal(image, exact[0])
        assert torch.equal(alpha, exact[1])
        assert not any(grad.any() for grad in grads)


def test_a_graph_replays_forward_and_backward_for_new_inputs():
    scenes = [on_gpu(random_scene(700, 3, seed)) for seed in (0, 1)]
    static = [tensor.clone().requires_grad_() for tensor in scenes[0]]
    camera = TILTED.cuda(), *CAMERA[1:]

    def step() -> tuple[torch.Tensor, ...]:
        result = rasterize(*static, *camera, capacity=CAPACITY)
        loss = result.image.square().sum() + result.alpha.square().sum()
        return result.image, result.alpha, *torch.autograd.grad(loss, static)

    side = torch.cuda.Stream()
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):
        step()
    torch.cuda.current_stream().wait_stream(side)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        captured = step()
    for scene in (*scenes, scenes[0]):
        with torch.no_grad():
            for target, tensor in zip(static, scene, strict=True):
                target.copy_(tensor)
        graph.replay()
        assert all(map(torch.equal, captured, outputs_and_gradients(scene)))


@pytest.mark.parametrize("points", [0, 1])
def test_few_gaussians(points: int):
    scene = random_scene(1, 3)
    scene[0][:] = 0
    scene = tuple(tensor[:points] for tensor in scene)
    image, alpha, *grads = outputs_and_gradients(on_gpu(scene))
    expected = rasterize(*scene, *CAMERA)
    assert torch.allclose(image.cpu(), expected.image, atol=5e-6)
    assert alpha.any() == bool(points)
    assert [tuple(g.shape) for g in grads] == [(points, n) for n in (3, 4, 3, 1, 3)]


@pytest.mark.parametrize("antialias", [False, True])
@pytest.mark.parametrize("scale", [0.0, 1e-20, 30.0, 1e6, 1e18])
def test_extreme_sizes_stay_finite(scale: float, antialias: bool):
    scene = list(random_scene(40, 3))
    scene[2] = torch.full_like(scene[2], scale)
    scene[2][::3, 0] *= 1e-3
    assert all(tensor.isfinite().all() for tensor in outputs_and_gradients(on_gpu(scene), antialias=antialias))
    expected = rasterize(*scene, *CAMERA)
    assert torch.equal(rasterize_on_gpu(*scene, *CAMERA).radii, expected.radii)


def test_one_broken_gaussian_does_not_spoil_the_others():
    scene = random_scene(40, 3)
    kept = outputs_and_gradients(on_gpu(tensor[5:] for tensor in scene))
    broken = tuple(tensor.clone() for tensor in scene)
    broken[0][0], broken[0][1], broken[1][2], broken[2][3], broken[3][4] = math.nan, math.inf, math.nan, math.inf, 0.0
    results = outputs_and_gradients(on_gpu(broken))
    assert torch.equal(results[0], kept[0])
    assert all(torch.equal(have[5:], want) for have, want in zip(results[2:], kept[2:], strict=True))
    assert all(tensor.isfinite().all() for tensor in results)


def test_the_upstream_api_agrees_with_the_cpu():
    means, rotations, scales, opacities, _ = random_scene(150, 3)
    harmonics = 0.3 * torch.randn(150, 16, 3, generator=torch.Generator().manual_seed(2))
    pictures, screen_gradients = [], []
    for device in ("cpu", "cuda"):
        settings = upstream_settings()
        settings = settings._replace(
            **{name: value.to(device) for name, value in settings._asdict().items() if isinstance(value, torch.Tensor)}
        )
        points = torch.zeros_like(means, device=device).requires_grad_()
        scene = on_gpu((means, opacities, harmonics, scales, rotations), device)
        picture, radii = GaussianRasterizer(settings)(
            scene[0], points, scene[1], shs=scene[2], scales=scene[3], rotations=scene[4]
        )
        picture.square().sum().backward()
        assert radii.device.type == device
        pictures.append(picture.detach().cpu())
        screen_gradients.append(points.grad.cpu())
    assert torch.allclose(*pictures, atol=1e-5)
    assert torch.allclose(*screen_gradients, atol=1e-4 * screen_gradients[0].abs().max().item())


def test_absent_arguments_of_upstream_are_empty_tensors_of_any_device():
    means, rotations, scales, opacities, colors = on_gpu(random_scene(50, 3))
    settings = upstream_settings()
    settings = settings._replace(
        **{name: value.cuda() for name, value in settings._asdict().items() if isinstance(value, torch.Tensor)}
    )
    absent = torch.Tensor([])
    picture, radii = rasterize_gaussians(
        means, torch.zeros_like(means), absent, colors, opacities, scales, rotations, absent, settings
    )
    assert (picture - settings.bg[:, None, None]).any()
    assert radii.any()


def test_misuse_is_named():
    scene = on_gpu(random_scene(5, 3))
    with pytest.raises(UnsupportedDevice, match="rasterize got tensors on cpu and cuda:0"):
        rasterize(scene[0].cpu(), *scene[1:], *CAMERA)
    with pytest.raises(ArgumentError, match=r"features: expected torch.float32"):
        rasterize(*scene[:4], scene[4].double(), *CAMERA)
    with pytest.raises(ArgumentError, match="capacity: expected"):
        rasterize(*scene, *CAMERA, capacity=0)


def test_tensors_with_gaps_are_accepted():
    scene = random_scene(200, 3)
    spread = [torch.stack([tensor, tensor], -1)[..., 0] for tensor in on_gpu(scene)]
    assert not spread[0].is_contiguous()
    assert torch.equal(rasterize(*spread, *CAMERA).image, rasterize(*on_gpu(scene), *CAMERA).image)
