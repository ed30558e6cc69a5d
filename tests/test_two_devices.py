"""Two GPUs in one process: what one does, the other does to the bit, whichever is current and whatever else runs."""

import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from diff_gaussian_rasterization import rasterize
from torchoptixext_visibility import MeshBvh

from rgb_core.avatar import Avatar
from rgb_core.benchmarking.scenes import bench_avatar
from rgb_core.data import Dataset
from rgb_core.geometry import fit_geometry, load_geometry
from rgb_core.pipeline import GEOMETRY
from rgb_core.presets import load_preset
from rgb_core.progress import Silent
from rgb_core.rendering import LAYERS, Renderer, turntable
from rgb_core.scene import Light
from rgb_core.synthetic import SyntheticConfig, synthesize
from rgb_core.training import fit_gaussians

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(torch.cuda.device_count() < 2, reason="needs two NVIDIA GPUs"),
]
FIRST, SECOND = torch.device("cuda", 0), torch.device("cuda", 1)
CONFIG = load_preset(
    "cpu",
    [
        "geometry.image_size=64",
        "geometry.steps=12",
        "gaussians.image_size=64",
        "gaussians.steps=60",
        "gaussians.gaussians=600",
        "gaussians.density.interval=10",
        "gaussians.density.max_gaussians=700",
    ],
)


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    config = SyntheticConfig(frames=6, test_frames=2, size=64, samples=1, shadow_rays=4, relight=("sun",))
    return synthesize(tmp_path_factory.mktemp("subject") / "dataset", config, Silent(), 0)


BUSY = """
import torch
values = torch.randn(4096, 4096, device="cuda:0")
print("busy", flush=True)
while True:
    values = torch.nn.functional.normalize(values @ values)
    torch.cuda.synchronize()
"""


@pytest.fixture
def neighbour() -> Iterator[None]:
    """The first GPU is busy with another program's work."""
    with subprocess.Popen([sys.executable, "-c", BUSY], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "busy\n"
        yield
        assert process.poll() is None
        process.kill()


def same(left: dict[str, torch.Tensor], right: dict[str, torch.Tensor]) -> bool:
    return left.keys() == right.keys() and all(torch.equal(left[name].cpu(), right[name].cpu()) for name in left)


def rasterized(device: torch.device) -> dict[str, torch.Tensor]:
    """A picture of random Gaussians and its gradients, in the stream that is current on the device."""
    generator = torch.Generator().manual_seed(0)
    count = 500
    means = (0.1 * torch.randn(count, 3, generator=generator)).to(device).requires_grad_()
    rotations = torch.nn.functional.normalize(torch.randn(count, 4, generator=generator), dim=1).to(device)
    scales = torch.full((count, 3), 0.01, device=device).requires_grad_()
    features = torch.rand(count, 3, generator=generator).to(device).requires_grad_()
    place = torch.eye(3, 4, device=device)
    place[2, 3] = 1.0
    opacities = torch.full((count, 1), 0.7, device=device)
    drawn = rasterize(means, rotations, scales, opacities, features, place, (150.0, 150.0, 48.0, 48.0), 96, 96)
    gradients = torch.autograd.grad(drawn.image.square().sum(), [means, scales, features])
    names = ("means", "scales", "features")
    return {"image": drawn.image.detach(), **dict(zip(names, gradients, strict=True))}


def hidden(device: torch.device, avatar: Avatar) -> dict[str, torch.Tensor]:
    """Which directions the head hides from its own vertices."""
    head = avatar.head
    vertices = head.vertices.to(device)
    normals = torch.nn.functional.normalize(vertices - vertices.mean(0), dim=1)
    bvh = MeshBvh(vertices, head.faces.to(device, torch.int32))
    return {"words": bvh.visibility(vertices, normals, 8, 16)}


def rendered(device: torch.device, avatar: Avatar) -> dict[str, torch.Tensor]:
    renderer = Renderer(avatar.to(device))
    shots = [replace(shot, camera=shot.camera.resized(96, 96)) for shot in turntable(avatar, 3)]
    frames = [renderer.render(shot.pose, shot.camera, Light.load("sun"), tuple(LAYERS)) for shot in shots]
    return {f"{index} {name}": layer for index, frame in enumerate(frames) for name, layer in frame.layers.items()} | {
        f"{index}": torch.cat([frame.color, frame.alpha[..., None]], -1) for index, frame in enumerate(frames)
    }


@pytest.mark.parametrize("current", [FIRST, SECOND])
def test_kernels_on_either_device_give_the_same_bits_whichever_is_current(current: torch.device):
    avatar = bench_avatar(300)
    with torch.cuda.device(current):
        pictures = [rasterized(device) for device in (FIRST, SECOND, FIRST)]
        shadows = [hidden(device, avatar) for device in (FIRST, SECOND, FIRST)]
    assert pictures[1]["image"].device == SECOND
    assert pictures[0]["image"].any()
    for first, *others in (pictures, shadows):
        assert all(same(first, other) for other in others)


def test_renderers_on_two_devices_take_turns_and_draw_the_same_bits():
    avatar = bench_avatar(1500)
    first, second, again = (rendered(device, avatar) for device in (FIRST, SECOND, FIRST))
    assert first["0"].any()
    assert same(first, second)
    assert same(first, again)


def test_a_fit_beside_a_busy_neighbour_gives_the_same_bytes(dataset: Dataset, tmp_path: Path, neighbour: None):
    for device in (SECOND, FIRST):
        out = tmp_path / str(device.index)
        fit_geometry(dataset, CONFIG.geometry, out / GEOMETRY, Silent(), device=device)
        geometry = load_geometry(out / GEOMETRY)
        fit_gaussians(dataset, geometry, CONFIG.gaussians, out / "avatar", Silent(), device=device)
    for name in ("geometry/head.npz", "geometry/tracking.json", "avatar/avatar.safetensors", "avatar/light.hdr"):
        assert (tmp_path / "0" / name).read_bytes() == (tmp_path / "1" / name).read_bytes(), name
