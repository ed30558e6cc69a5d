"""What relighting would be if the fit knew the light: `python benchmarks/true_light.py OUT GEOMETRY DATASET ...`.

Stage 2 as `rgb fit-gaussians` runs it, with the true light of the dataset in place of the one to be found; albedos
start at its level. GEOMETRY holds a folder of `rgb fit-geometry` for every dataset, by its name. Prints the same scores
as `benchmarks/subjects.py`, to be compared with a fit of the same settings.
"""

import argparse
from pathlib import Path

import torch
from subjects import COLUMNS, scores

from rgb_core.avatar import materials
from rgb_core.data import Dataset, load_dataset
from rgb_core.devices import resolve_device
from rgb_core.evaluation import EvaluationOptions, evaluate
from rgb_core.fitting.loop import run_fit
from rgb_core.geometry import Geometry, load_geometry
from rgb_core.presets import load_preset
from rgb_core.progress import Silent
from rgb_core.rendering import Renderer
from rgb_core.training import GaussianConfig
from rgb_core.training.fit import GaussianFit
from rgb_core.training.light import LightParameters, mean_radiance


class HeldLight(LightParameters):
    """A light that stays as it is."""

    def __init__(self, radiance: torch.Tensor):
        super().__init__(torch.zeros_like(radiance), torch.ones_like(radiance[:, 0, 0]))
        self._radiance = radiance

    def envmap(self) -> torch.Tensor:
        """Linear radiance [3, H, W]."""
        return self._radiance


class TrueLightFit(GaussianFit):
    """A fit of a dataset under its true light."""

    def __init__(self, dataset: Dataset, geometry: Geometry, config: GaussianConfig, device: torch.device):
        super().__init__(dataset, geometry, config, Silent(), 0, True, device)
        assert dataset.ground_truth is not None
        self._true = dataset.ground_truth.light().resampled(*self.avatar.light.size).radiance.to(device)

    def start(self) -> None:
        """Colour the avatar by its frames, at the level of the true light."""
        super().start()
        with torch.no_grad():
            found = mean_radiance(self._true) / mean_radiance(self.light.envmap())
            raw = self.avatar.neutral["albedo"]
            raw.copy_(materials.raw_from_unit((torch.sigmoid(raw) / found).clamp(0.005, 0.95)))
        self.light = HeldLight(self._true)
        self._begin()

    def _frozen(self, done: float) -> frozenset[str]:
        return super()._frozen(done) | {"light", "level"}


def main() -> None:
    """Fit and score what the command line names."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("geometry", type=Path)
    parser.add_argument("datasets", type=Path, nargs="+")
    parser.add_argument("--preset", default="short")
    parser.add_argument("--size", type=int, help="pixels of the longer side to score at")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE")
    arguments = parser.parse_args()
    config, device = load_preset(arguments.preset, arguments.set).gaussians, resolve_device("auto")
    print(f"{'subject':10s}" + "".join(f"{column:>10s}" for column in COLUMNS), flush=True)
    for folder in arguments.datasets:
        dataset, out = load_dataset(folder), arguments.out / folder.name
        fit = TrueLightFit(dataset, load_geometry(arguments.geometry / folder.name), config, device)
        run_fit(fit, "fitting Gaussians", config.steps, config.steps + 1, out, Silent())
        options = EvaluationOptions(size=arguments.size)
        found = scores(evaluate(dataset, Renderer(fit.result().to(device)), out / "report", options=options))
        cells = (found.get(column) for column in COLUMNS)
        print(f"{folder.name:10s}" + "".join("         -" if cell is None else f"{cell:10.4g}" for cell in cells))


if __name__ == "__main__":
    main()
