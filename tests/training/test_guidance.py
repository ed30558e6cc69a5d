"""Pseudo-albedo pictures pull the materials, whatever the frames' colours say; what is missing or wrong is named."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from rgb_core.data import Dataset, FrameMaps, load_dataset
from rgb_core.errors import InputError
from rgb_core.geometry import unrefined
from rgb_core.images import write_png
from rgb_core.presets import load_preset
from rgb_core.progress import Silent
from rgb_core.synthetic import SyntheticConfig, synthesize
from rgb_core.training import albedo_maps, fit_gaussians

GREEN = torch.tensor([40, 200, 60, 255], dtype=torch.uint8)
SETTINGS = [
    "gaussians.image_size=64",
    "gaussians.steps=40",
    "gaussians.gaussians=600",
    "gaussians.density.start=1",
    "gaussians.losses.pseudo_albedo=5",
]


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    folder = tmp_path_factory.mktemp("subject") / "dataset"
    config = SyntheticConfig(frames=4, test_frames=1, size=64, samples=1, shadow_rays=4, relight=())
    synthesize(folder, config, Silent(), 0)
    return load_dataset(folder)


def greenness(dataset: Dataset, out: Path, albedo: FrameMaps | None) -> float:
    """How far the mean albedo leans to green."""
    config = load_preset("cpu", SETTINGS).gaussians
    avatar = fit_gaussians(dataset, unrefined(dataset), config, out, Silent(), 0, albedo=albedo)
    mean = torch.sigmoid(avatar.neutral["albedo"]).mean(0)
    return float(mean[1] - (mean[0] + mean[2]) / 2)


def test_pictures_pull_the_albedo(dataset: Dataset, tmp_path: Path):
    for frame in dataset.frames("train")[1:]:  # one frame has none
        write_png(tmp_path / f"{frame.id}.png", GREEN.expand(64, 64, 4).contiguous())
    guided = greenness(dataset, tmp_path / "guided", albedo_maps(tmp_path, dataset))
    assert guided > greenness(dataset, tmp_path / "free", None) + 0.03


def test_what_is_missing_or_wrong_is_named(dataset: Dataset, tmp_path: Path):
    with pytest.raises(InputError, match="none is not a folder of albedo pictures"):
        albedo_maps(tmp_path / "none", dataset)
    with pytest.raises(InputError, match="has no albedo picture of a training frame"):
        albedo_maps(tmp_path, dataset)
    frame = dataset.frames("train")[0]
    write_png(tmp_path / f"{frame.id}.png", torch.zeros(64, 64, 1, dtype=torch.uint8))
    maps = albedo_maps(tmp_path, dataset)
    with pytest.raises(InputError, match=f"{frame.id}.png is grey"):
        maps.load(frame, (64, 64))
    other = replace(frame, id="other")
    assert not maps.load(other, (32, 32)).any()
