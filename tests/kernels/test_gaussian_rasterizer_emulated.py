"""The CUDA rasteriser run as host code: its logic against the float64 reference, on machines without a GPU."""

import shutil

import pytest
import torch
from diff_gaussian_rasterization import cpu, cuda, ops, rasterize, rasterize_gaussians, reference, upstream
from diff_gaussian_rasterization.cuda_instances import Board
from emulation import Emulator
from kernel_runtime.prepared import PreparedKernel
from test_gaussian_rasterizer import HEIGHT, INTRINSICS, TILTED, WIDTH, loss_gradients, random_scene
from test_gaussian_rasterizer_batch import check_every_camera_is_as_alone, check_tiles_with_long_lists_come_first
from test_gaussian_rasterizer_cuda import check_order_of_depths
from test_gaussian_rasterizer_gradients import check_covariances_have_the_gradients_of_their_factors, gradients
from test_gaussian_rasterizer_upstream import upstream_settings

pytestmark = pytest.mark.skipif(shutil.which("g++") is None, reason="needs g++")

CASES = [(250, 3, 0), (120, 1, 40), (80, 8, 5), (60, 20, 3)]  # points, channels, alpha_point_id
POISON = 0x7B  # bytes of memory that nobody has written yet


@pytest.fixture(scope="module")
def emulator(tmp_path_factory) -> Emulator:
    return Emulator(tmp_path_factory.mktemp("emulation"))


@pytest.fixture(autouse=True)
def on_emulation(emulator, monkeypatch):
    """CPU tensors go to the CUDA kernels, and new tensors hold garbage."""
    new_empty = torch.Tensor.new_empty

    def poisoned(*args, **options) -> torch.Tensor:
        tensor = new_empty(*args, **options)
        if tensor.numel() > 0 and tensor.ndim > 0:
            tensor.view(torch.uint8).fill_(POISON)
        return tensor

    monkeypatch.setattr(PreparedKernel, "launch", lambda *args: emulator.launch_prepared(*args))
    monkeypatch.setattr(torch.Tensor, "new_empty", poisoned)
    monkeypatch.setattr(ops, "_backend", lambda _: cuda)


@pytest.mark.parametrize("antialias", [False, True])
@pytest.mark.parametrize(("points", "channels", "alpha_point_id"), CASES)
def test_results_and_gradients_agree_with_the_reference(points: int, channels: int, alpha_point_id: int, antialias):
    scene = random_scene(points, channels)
    options = {"alpha_point_id": alpha_point_id, "antialias": antialias}
    result = rasterize(*scene, TILTED, INTRINSICS, WIDTH, HEIGHT, **options)
    truth = reference.rasterize(*(t.double() for t in scene), TILTED, INTRINSICS, WIDTH, HEIGHT, **options)
    # The tolerances of the tests on a GPU, see there.
    assert torch.allclose(result.image.double(), truth.image, rtol=0, atol=5e-6)
    assert torch.allclose(result.alpha.double(), truth.alpha, rtol=0, atol=3e-6)
    assert torch.equal(result.radii, truth.radii)
    ours = gradients(rasterize, scene, torch.float32, capacity=10_000, **options)
    for have, want in zip(ours, gradients(reference.rasterize, scene, torch.float64, **options), strict=True):
        assert (have - want).abs().max() / want.abs().max() < 5e-6


def test_covariances_have_the_gradients_of_their_factors():
    check_covariances_have_the_gradients_of_their_factors("cpu")


@pytest.mark.parametrize("channels", [3, 20])
def test_every_camera_is_as_alone(channels: int):
    check_every_camera_is_as_alone("cpu", channels, antialias=True, alpha_point_id=50)


@pytest.mark.parametrize("points", [0, 1, 2049, 6000])
def test_the_order_of_depths_is_that_of_a_stable_sort(points: int):
    check_order_of_depths("cpu", points)


def test_tiles_with_long_lists_come_first():
    check_tiles_with_long_lists_come_first("cpu")


def test_too_small_a_capacity_is_reported_and_does_no_harm():
    scene = random_scene(200, 3)
    complete = rasterize(*scene, TILTED, INTRINSICS, WIDTH, HEIGHT)
    needed = complete.instances.item()
    for capacity in (1, needed - 1):
        image, alpha, *grads = loss_gradients(scene, capacity=capacity)
        assert torch.equal(image, complete.image)
        assert torch.equal(alpha, complete.alpha)
        assert not any(grad.any() for grad in grads)


@pytest.mark.parametrize("antialias", [False, True])
@pytest.mark.parametrize("scale", [0.0, 1e-20, 1e6, 1e18])
def test_extreme_sizes_stay_finite(scale: float, antialias: bool):
    scene = list(random_scene(40, 3))
    scene[2] = torch.full_like(scene[2], scale)
    scene[2][::3, 0] *= 1e-3
    assert all(tensor.isfinite().all() for tensor in loss_gradients(tuple(scene), antialias=antialias))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ops, "_backend", lambda _: cpu)
        expected = rasterize(*scene, TILTED, INTRINSICS, WIDTH, HEIGHT, antialias=antialias).radii
    assert torch.equal(rasterize(*scene, TILTED, INTRINSICS, WIDTH, HEIGHT, antialias=antialias).radii, expected)


def test_where_the_room_of_earlier_calls_does_not_do_everything_is_still_exact(monkeypatch):
    """A call of the same size needed less before: the picture comes without lists, the gradients by a second pass."""
    boards = {}
    monkeypatch.setattr(cuda, "board", lambda device: boards.setdefault(device, Board(device)))
    small, large = random_scene(200, 3), random_scene(200, 3)
    small[2].mul_(0.05)
    exact = loss_gradients(large, capacity=10_000)
    loss_gradients(small)
    (known,) = boards[-1]._largest.values()
    rooms = []
    placed = cuda.place
    monkeypatch.setattr(cuda, "place", lambda *args: rooms.append(args[2]) or placed(*args))
    assert all(map(torch.equal, loss_gradients(large), exact))
    needed = rasterize(*large, TILTED, INTRINSICS, WIDTH, HEIGHT).instances.item()
    assert rooms[:2] == [int(1.5 * known), needed]
    assert rooms[0] < needed < rooms[2]


@pytest.mark.parametrize("covariances", [False, True])
def test_upstreams_call_on_kernels_that_take_everything_as_it_comes(monkeypatch, covariances: bool):
    """Background, scale, matrices of any strides, gradients of any strides: as the CPU has them."""
    means, rotations, scales, opacities, colors = random_scene(150, 3)
    settings = upstream_settings(scale_modifier=1.3)
    settings = settings._replace(viewmatrix=settings.viewmatrix.T.contiguous().T)
    form = (None, None, reference.covariances(rotations, scales)) if covariances else (scales, rotations, None)

    def outputs_and_gradients() -> list[torch.Tensor]:
        tensors = means, torch.zeros_like(means), opacities, colors, *form
        leaves = [None if tensor is None else tensor.clone().requires_grad_() for tensor in tensors]
        positions, points, opacity, color, scale, rotation, covariance = leaves
        picture, alpha, radii = rasterize_gaussians(
            positions, points, None, color, opacity, scale, rotation, covariance, settings, 70
        )
        loss = picture.sum() + (picture.flip(2)[:, 3:] ** 2).sum() + alpha.square().sum()
        return [picture, alpha, radii, *torch.autograd.grad(loss, [leaf for leaf in leaves if leaf is not None])]

    monkeypatch.setattr(upstream, "device_of", lambda *_: "cuda")
    ours = outputs_and_gradients()
    monkeypatch.undo()
    expected = outputs_and_gradients()
    assert ours[0].is_contiguous()
    assert torch.equal(ours[2], expected[2])
    for have, want in zip(ours, expected, strict=True):
        assert have.shape == want.shape
        assert torch.allclose(have, want, rtol=0, atol=2e-5 * want.abs().max().item())
