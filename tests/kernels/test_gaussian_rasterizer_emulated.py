"""The CUDA rasteriser run as host code: its logic against the float64 reference, on machines without a GPU."""

import shutil

import pytest
import torch
from diff_gaussian_rasterization import cpu, cuda, ops, rasterize, reference
from emulation import Emulator
from kernel_runtime.cuda import Kernel
from test_gaussian_rasterizer import HEIGHT, INTRINSICS, TILTED, WIDTH, loss_gradients, random_scene
from test_gaussian_rasterizer_batch import check_every_camera_is_as_alone
from test_gaussian_rasterizer_cuda import check_order_of_depths
from test_gaussian_rasterizer_gradients import check_covariances_have_the_gradients_of_their_factors, gradients

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

    monkeypatch.setattr(Kernel, "launch", lambda *args: emulator.launch(*args))
    monkeypatch.setattr(torch.Tensor, "new_empty", poisoned)
    monkeypatch.setattr(cuda, "_read_back", lambda value: value.item)
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


def test_too_small_a_capacity_is_reported_and_does_no_harm():
    scene = random_scene(200, 3)
    needed = rasterize(*scene, TILTED, INTRINSICS, WIDTH, HEIGHT).instances.item()
    for capacity in (1, needed - 1):
        image, alpha, *grads = loss_gradients(scene, capacity=capacity)
        assert image.isfinite().all()
        assert alpha.isfinite().all()
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
