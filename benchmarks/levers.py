"""What each setting that may help unseen poses and expressions is worth on several clips.

Usage: python benchmarks/levers.py OUT DATASET ... [--stride N] [--size PIXELS] [--seconds S] [--set KEY=VALUE ...]

Clips are fitted side by side, one process each: the mesh, a first avatar, a video's poses tracked again with it, then
every variant on those. Test frames are the last fifth. Prints scores as they come, then what every variant changes.
"""

import argparse
import traceback
from multiprocessing.queues import Queue
from pathlib import Path
from typing import Any, NamedTuple

from clips import COLUMNS, LAST, arguments_of, clip, run_all, scores

from rgb_core.data import Dataset
from rgb_core.devices import resolve_device
from rgb_core.geometry import Geometry, fit_geometry
from rgb_core.presets import load_preset
from rgb_core.progress import Silent
from rgb_core.rendering import Renderer
from rgb_core.retracking import retrack
from rgb_core.training import fit_gaussians

BASE = "none"
VARIANTS: dict[str, list[str]] = {
    BASE: [],
    "features 2.4": ["gaussians.losses.features=2.4"],
    "gradients 0.5": ["gaussians.losses.gradients=0.5"],
    "rebalance 0.5": ["gaussians.rebalance=0.5"],
    "exposure": ["gaussians.refine_exposure=true"],
    "none, seed 1": [],
    "all four": [
        "gaussians.losses.features=2.4",
        "gaussians.losses.gradients=0.5",
        "gaussians.rebalance=0.5",
        "gaussians.refine_exposure=true",
    ],
}


class Job(NamedTuple):
    """One clip."""

    dataset: Path
    out: Path
    stride: int
    size: int
    settings: list[str]


def work(job: Job, told: "Queue[Any]") -> None:
    """Fit and score all variants of a clip."""
    name = job.dataset.name
    try:
        device = resolve_device("auto")
        dataset = clip(job.dataset, LAST, job.stride)
        geometry = tracked(job, dataset)
        told.put((name, "ready", f"{len(dataset.frames('train'))} training, {len(dataset.frames('test'))} test frames"))
        for variant, changes in VARIANTS.items():
            config = load_preset("short", [*job.settings, *changes]).gaussians
            out, seed = job.out / name / variant.replace(" ", "_"), int(variant.endswith("seed 1"))
            avatar = fit_gaussians(dataset, geometry, config, out, Silent(), seed, device=device)
            renderer = Renderer(avatar.to(device))
            told.put((name, variant, scores(dataset, renderer, out / "report", job.size, geometry.tracking)))
    except Exception:
        told.put((name, "failed", traceback.format_exc()))


def tracked(job: Job, dataset: Dataset) -> Geometry:
    """The clip's mesh; with poses that a first avatar found where it is a video."""
    device, preset = resolve_device("auto"), load_preset("short", job.settings)
    out = job.out / job.dataset.name
    geometry = fit_geometry(dataset, preset.geometry, out / "geometry", Silent(), 0, device)
    if "video" not in (dataset.extra.get("source") or {}):
        return geometry
    first = fit_gaussians(dataset, geometry, preset.gaussians, out / "first", Silent(), 0, device=device)
    return retrack(first, dataset, preset.retracking, out / "tracking", Silent(), device, geometry)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", type=int, default=384)
    arguments = arguments_of(parser, 540)
    settings = [f"gaussians.image_size={arguments.size}", *arguments.set]
    jobs = [Job(each, arguments.out, arguments.stride, arguments.size, settings) for each in arguments.datasets]
    rows = run_all(work, jobs, arguments.seconds, "variant")
    found = {(clip_name, variant): row for clip_name, variant, row in rows}
    print("\nagainst none: mean and worst over the clips")
    for variant in VARIANTS:
        pairs = [(found[c, variant], found[c, BASE]) for c, v in found if v == variant and (c, BASE) in found]
        changes = {k: [a[k] - b[k] for a, b in pairs if k in a and k in b] for k in COLUMNS}
        cells = "".join(f"{sum(v) / len(v):+8.3f}/{min(v):+.3f}" for v in changes.values() if v)
        print(f"{variant:20s} {len(pairs)} clips {cells}")


if __name__ == "__main__":
    main()
