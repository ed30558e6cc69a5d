"""Fits stage 1 to a dataset with ground truth and prints its scores, ablations and what disturbed input does to it.

    python -P benchmarks/stage1.py shared/datasets/ict_mira -o OUT --preset cpu --ablations --disturbances

Every fit is a folder under OUT; those that are finished are only measured.
"""

import argparse
import dataclasses
import time
from collections.abc import Callable
from pathlib import Path

import torch

from rgb_core.data import Dataset, load_dataset
from rgb_core.devices import resolve_device
from rgb_core.evaluation.stage1 import measure_geometry
from rgb_core.geometry import GeometryConfig, fit_geometry, load_geometry, unrefined
from rgb_core.geometry.result import RECORD_FILE
from rgb_core.heads import Pose
from rgb_core.presets import load_preset
from rgb_core.progress import Silent

COLUMNS = {
    "face_to_truth_mm": "face to truth, mm",
    "mean_mm": "truth to mesh, mm",
    "p95_mm": "95 %, mm",
    "skin_mean_mm": "skin, mm",
    "hair_mean_mm": "hair, mm",
    "neck_mean_mm": "neck, mm",
    "normal_skin_deg": "skin normals, degrees",
    "silhouette_iou": "IoU",
    "rotation_deg": "rotation, degrees",
    "translation_mm": "translation, mm",
    "expression_mm": "expression, mm",
}
ABLATIONS = {
    "without shading": ["geometry.shading=false"],
    "without semantics": ["geometry.semantics=false"],
    "without tracking refinement": ["geometry.refine_tracking=false"],
    "without expression corrections": ["geometry.expression_corrections=false"],
}


def train_frames(dataset: Dataset, change: Callable[[int, dict], dict]) -> Dataset:
    """The dataset with the fields of every training frame, in order, as `change(number, fields)` returns them."""
    numbers = {frame.id: number for number, frame in enumerate(dataset.frames("train"))}
    frames = tuple(
        dataclasses.replace(frame, **change(numbers[frame.id], dict(vars(frame)))) if frame.id in numbers else frame
        for frame in dataset.all_frames
    )
    return dataclasses.replace(dataset, all_frames=frames)


def noisy(dataset: Dataset) -> Dataset:
    """Tracking off by 3 degrees and 5 mm per axis more than it is."""
    generator = torch.Generator().manual_seed(0)

    def change(_: int, frame: dict) -> dict:
        expression, joints, translation = frame["pose"].tensors
        joints = joints.clone()
        joints[0] += torch.deg2rad(3 * torch.randn(3, generator=generator))
        shifted = translation + 0.005 * torch.randn(3, generator=generator)
        return {"pose": Pose(expression, joints, shifted)}

    return train_frames(dataset, change)


def wrong_focal(factor: float) -> Callable[[Dataset], Dataset]:
    """Focal lengths, of training and test frames, that are `factor` of the true ones."""

    def disturb(dataset: Dataset) -> Dataset:
        frames = tuple(
            dataclasses.replace(frame, camera=frame.camera.with_scaled_focal(factor)) for frame in dataset.all_frames
        )
        return dataclasses.replace(dataset, all_frames=frames)

    return disturb


def few_frames(dataset: Dataset) -> Dataset:
    """Ten training frames, evenly spread."""
    train = dataset.splits["train"]
    kept = tuple(train[place] for place in torch.linspace(0, len(train) - 1, 10).round().long().tolist())
    return dataclasses.replace(dataset, splits={**dataset.splits, "train": kept})


DISTURBANCES: dict[str, Callable[[Dataset], Dataset]] = {
    "10 frames": few_frames,
    "tracking noise of 3 degrees, 5 mm": noisy,
    "focal length 20 % too long": wrong_focal(1.2),
    "focal length 20 % too short": wrong_focal(0.8),
}


def main() -> None:
    """Print one row per fit, as a table in Markdown."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("dataset", type=Path)
    parser.add_argument("-o", "--out", type=Path, required=True)
    parser.add_argument("--preset", default="cpu")
    parser.add_argument("--device", default="auto", choices=("auto", "cpu", "cuda"))
    parser.add_argument("--set", action="append", default=[], help="geometry.key=value, for every fit")
    parser.add_argument("--ablations", action="store_true")
    parser.add_argument("--disturbances", action="store_true")
    options = parser.parse_args()
    device = resolve_device(options.device)
    dataset = load_dataset(options.dataset)
    print(f"{options.dataset.name}, preset {options.preset}, {device}")
    print("| fit | seconds | " + " | ".join(COLUMNS.values()) + " |")
    print("|---" * (2 + len(COLUMNS)) + "|")

    def row(name: str, data: Dataset, config: GeometryConfig | None) -> None:
        folder, seconds = options.out / name.replace(" ", "_").replace("%", "percent"), "-"
        if config is None:
            geometry = unrefined(data)
        elif (folder / RECORD_FILE).is_file():
            geometry = load_geometry(folder)
        else:
            start = time.perf_counter()
            geometry = fit_geometry(data, config, folder, Silent(), device=device)
            seconds = f"{time.perf_counter() - start:.0f}"
        scores = measure_geometry(data, geometry, Silent())
        values = (f"{scores[key]:.3f}" if key in scores else "-" for key in COLUMNS)
        print(f"| {name} | {seconds} | " + " | ".join(values) + " |", flush=True)

    config = load_preset(options.preset, options.set).geometry
    row("head model, unrefined", dataset, None)
    row("fitted", dataset, config)
    for name, overrides in ABLATIONS.items() if options.ablations else ():
        row(name, dataset, load_preset(options.preset, [*options.set, *overrides]).geometry)
    for name, disturb in DISTURBANCES.items() if options.disturbances else ():
        disturbed = disturb(dataset)
        row(f"{name}: unrefined", disturbed, None)
        row(name, disturbed, config)


if __name__ == "__main__":
    main()
