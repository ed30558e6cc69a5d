"""Stage 2 on a GPU: the CPU's course of the loss, the same bits in every run, a continued fit equal to a whole one."""

from pathlib import Path

import pytest
import torch

from rgb_core.avatar.storage import avatar_tensors
from rgb_core.data import Dataset, load_dataset
from rgb_core.fitting.checkpoint import FILE
from rgb_core.geometry import unrefined
from rgb_core.presets import load_preset
from rgb_core.progress import Silent
from rgb_core.synthetic import SyntheticConfig, synthesize
from rgb_core.training import fit_gaussians

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="no NVIDIA GPU"),
]
SETTINGS = [
    "gaussians.image_size=64",
    "gaussians.steps=60",
    "gaussians.gaussians=600",
    "gaussians.checkpoint_every=20",
    "gaussians.density.interval=10",
    "gaussians.density.late_interval=10",
    "gaussians.density.max_gaussians=700",
]
CONFIG = load_preset("cpu", SETTINGS).gaussians
# So few Gaussians are so large that halving one throws its halves off the head.
WITHOUT_EVENTS = load_preset("cpu", [*SETTINGS, "gaussians.density.start=1"]).gaussians
# As many steps as a GPU reports at once here: it gives every one of them their mean.
FIRST, LAST = slice(0, 20), slice(-20, None)
GPU = torch.device("cuda", 0)


class Losses(Silent):
    """Keeps the loss of every step, a mean where several are reported at once, and can stop the fit."""

    def __init__(self, stop_after: int | None = None):
        self.values: list[float] = []
        self._stop_after = stop_after

    def advance(self, units: int = 1, **values: float) -> None:
        self.values += [values["loss"]] * units
        if self._stop_after is not None and len(self.values) >= self._stop_after:
            raise KeyboardInterrupt

    def mean(self, steps: slice) -> float:
        chosen = self.values[steps]
        return sum(chosen) / len(chosen)


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    folder = tmp_path_factory.mktemp("subject") / "dataset"
    config = SyntheticConfig(
        frames=6, test_frames=2, size=64, samples=1, shadow_rays=4, ground_truth_every=2, relight=("sun",)
    )
    synthesize(folder, config, Silent(), 0)
    return load_dataset(folder)


def fit(dataset: Dataset, out: Path, device: torch.device, progress: Silent | None = None, config=CONFIG):
    return fit_gaussians(dataset, unrefined(dataset), config, out, progress or Silent(), 0, device=device)


def test_the_loss_falls_as_on_the_cpu(dataset: Dataset, tmp_path: Path):
    on_cpu, on_gpu = Losses(), Losses()
    fit(dataset, tmp_path / "cpu", torch.device("cpu"), on_cpu, WITHOUT_EVENTS)
    fit(dataset, tmp_path / "gpu", GPU, on_gpu, WITHOUT_EVENTS)
    assert len(on_gpu.values) == len(on_cpu.values) == CONFIG.steps
    assert on_cpu.mean(LAST) < 0.8 * on_cpu.mean(FIRST)
    assert on_gpu.mean(FIRST) == pytest.approx(on_cpu.mean(FIRST), rel=0.02)
    assert on_gpu.mean(LAST) == pytest.approx(on_cpu.mean(LAST), rel=0.1)


def test_two_runs_give_the_same_bits(dataset: Dataset, tmp_path: Path):
    first, second = (avatar_tensors(fit(dataset, tmp_path / name, GPU)) for name in ("a", "b"))
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_a_continued_fit_equals_an_uninterrupted_one(dataset: Dataset, tmp_path: Path):
    whole = avatar_tensors(fit(dataset, tmp_path / "whole", GPU))
    with pytest.raises(KeyboardInterrupt):
        fit(dataset, tmp_path / "cut", GPU, Losses(stop_after=45))
    assert (tmp_path / "cut" / FILE).is_file()
    continued = avatar_tensors(fit(dataset, tmp_path / "cut", GPU))
    assert all(torch.equal(whole[name], continued[name]) for name in whole)
