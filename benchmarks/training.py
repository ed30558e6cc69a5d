"""Speed and course of stage 2: `python benchmarks/training.py DATASET GEOMETRY OUT [--preset default] [--every 2000]`.

First the steps per second at a fixed number of Gaussians (visibility cached, one frame a step, no density control), and
the memory. Then a whole fit, with the test frames scored at every checkpoint: whether it falls towards the end.
"""

import argparse
import time
from pathlib import Path

import torch

from rgb_core.avatar import Avatar
from rgb_core.data import Dataset, load_dataset
from rgb_core.devices import device_name, resolve_device
from rgb_core.evaluation.metrics import mean_scores, quantize, score_image
from rgb_core.geometry import Geometry, load_geometry
from rgb_core.images.compositing import prediction_on_black, truth_on_black
from rgb_core.presets import load_preset
from rgb_core.progress import Silent
from rgb_core.rendering import Renderer
from rgb_core.training import fit_gaussians
from rgb_core.training.fit import GaussianFit

_SAMPLED = 76_000  # Poisson sampling keeps about 70,000 of them
_WARM_UP, _TIMED = 300, 1000


def measure_speed(dataset: Dataset, geometry: Geometry, preset: str, device: torch.device) -> None:
    """Print steps per second without density control."""
    never = ["gaussians.density.start=1", f"gaussians.gaussians={_SAMPLED}", "gaussians.warmup=0"]
    config = load_preset(preset, never).gaussians
    fit = GaussianFit(dataset, geometry, config, Silent(), 0, True, device)
    with fit.active():
        fit.start()
        for step in range(_WARM_UP):
            fit.step(step)
        fit.log.flush()  # waits for the device
        start = time.perf_counter()
        for step in range(_WARM_UP, _WARM_UP + _TIMED):
            fit.step(step)
        fit.log.flush()
        seconds = time.perf_counter() - start
    pairs = len(fit.avatar.deltas)
    print(f"{fit.avatar.count} Gaussians, {pairs} deltas: {_TIMED / seconds:.0f} steps per second")


def test_scores(dataset: Dataset, avatar: Avatar, device: torch.device) -> dict[str, float]:
    """Scores of the test frames under the avatar's own light."""
    renderer = Renderer(avatar.to(device))
    scores = []
    for frame in dataset.frames("test"):
        drawn = renderer.render(frame.pose, frame.camera)
        rgba = dataset.load_rgba(frame)
        prediction = quantize(prediction_on_black(drawn.color.cpu(), drawn.alpha.cpu()))
        scores.append(score_image(prediction, quantize(truth_on_black(rgba)), rgba[..., 3]))
    return mean_scores(scores)


def main() -> None:
    """Measure on the device that there is."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("dataset", type=Path)
    parser.add_argument("geometry", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--preset", default="default")
    parser.add_argument("--every", type=int, default=2000)
    arguments = parser.parse_args()
    device = resolve_device("auto")
    dataset, geometry = load_dataset(arguments.dataset), load_geometry(arguments.geometry)
    print(f"{device_name(device)}, preset {arguments.preset}")
    measure_speed(dataset, geometry, arguments.preset, device)

    def report(step: int, avatar: Avatar) -> None:
        scores = test_scores(dataset, avatar, device)
        print(f"{step:7d} steps: test PSNR {scores['psnr']:.2f} dB, head {scores['psnr_head']:.2f} dB, ", end="")
        print(f"SSIM {scores['ssim']:.4f}, {avatar.count} Gaussians", flush=True)

    config = load_preset(arguments.preset, [f"gaussians.checkpoint_every={arguments.every}"]).gaussians
    provenance = {"benchmark": "training.py"}
    start = time.perf_counter()
    avatar = fit_gaussians(
        dataset, geometry, config, arguments.out, Silent(), 0, True, provenance, device, on_checkpoint=report
    )
    print(f"the fit with its scores took {time.perf_counter() - start:.0f} s")
    report(config.steps, avatar)
    if device.type == "cuda":
        print(f"largest memory: {torch.cuda.max_memory_allocated(device) / 1e9:.2f} GB")


if __name__ == "__main__":
    main()
