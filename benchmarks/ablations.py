"""Fits variants of stage 2 and scores them: `python benchmarks/ablations.py DATASET GEOMETRY OUT [--only NAME ...]`.

Prints one line a variant and writes OUT/table.json and OUT/pictures.png (a test frame, the hard sun, the albedo). Every
variant is what `rgb fit-gaussians DATASET --geometry GEOMETRY --preset short` makes with the changes printed beside it.
"""

import argparse
import json
import time
from pathlib import Path

import torch
from subjects import scores

from rgb_core.data import Dataset, load_dataset
from rgb_core.devices import device_name, resolve_device
from rgb_core.evaluation import EvaluationOptions, evaluate
from rgb_core.geometry import load_geometry, unrefined
from rgb_core.images import to_bytes, write_png
from rgb_core.images.compositing import prediction_on_black
from rgb_core.images.contact_sheet import Tile, contact_sheet
from rgb_core.presets import load_preset
from rgb_core.progress import Silent
from rgb_core.rendering import Renderer
from rgb_core.scene import Light
from rgb_core.training import fit_gaussians

VARIANTS = {
    "full": [],
    "no visibility": [],
    "head model only": [],
    "no consistency": ["gaussians.consistency=false"],
    "no one-bounce fill": ["gaussians.one_bounce=false"],
    "no material ranges": ["gaussians.losses.materials=0"],
    "no albedo smoothness": ["gaussians.losses.albedo_smoothness=0"],
    "no light smoothness": ["gaussians.losses.light_smoothness=0"],
    "no delta penalty": ["gaussians.losses.deltas=0"],
    "no opacity floor": ["gaussians.losses.opacity_floor=0"],
    "no opacity entropy": ["gaussians.losses.opacity_entropy=0"],
    "no size": ["gaussians.losses.size=0"],
    "no level": ["gaussians.losses.level=0"],
    "luminance 0.3": ["gaussians.skin_luminance=0.3"],
    "no coarse scales": ["gaussians.losses.multiscale=0"],
    "no normal offsets": ["gaussians.normal_offsets=1"],
    "no tracking refinement": ["gaussians.refine_tracking=false"],
    "no surface reach": ["gaussians.losses.surface=0"],
    "no antialiasing": ["gaussians.antialias=false"],
    "32 x 64 light": ["gaussians.light_height=32"],
}
COLUMNS = ("psnr", "head", "ssim", "relit", "sun", "shadow", "albedo", "skin", "seconds", "gaussians")


def fit(name: str, dataset: Dataset, geometry: Path, out: Path, preset: str, device: torch.device) -> Renderer:
    """The avatar of a variant."""
    config = load_preset(preset, VARIANTS[name]).gaussians
    mesh = unrefined(dataset) if name == "head model only" else load_geometry(geometry)
    visibility = name != "no visibility"
    avatar = fit_gaussians(dataset, mesh, config, out / "avatar", Silent(), 0, visibility, {"variant": name}, device)
    return Renderer(avatar.to(device))


def tiles(name: str, dataset: Dataset, renderer: Renderer) -> list[Tile]:
    """A test frame under its own light and under the hard sun, and its albedo."""
    frame = dataset.frames("test")[0]
    light = Light.load(dataset.envmaps["sun"]) if "sun" in dataset.envmaps else None
    own, sun = (renderer.render(frame.pose, frame.camera, given, ("albedo",)) for given in (None, light))
    pictures = {"": own.color, "sun": sun.color, "albedo": own.layers["albedo"]}
    return [
        Tile(to_bytes(prediction_on_black(color, own.alpha)).cpu(), f"{name} {what}".strip())
        for what, color in pictures.items()
    ]


def main() -> None:
    """Fit and score the variants that the command line names."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("dataset", type=Path)
    parser.add_argument("geometry", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--preset", default="short")
    parser.add_argument("--size", type=int, help="pixels of the longer side to score at; the dataset's where left out")
    parser.add_argument("--only", nargs="*", default=list(VARIANTS), choices=list(VARIANTS))
    arguments = parser.parse_args()
    device = resolve_device("auto")
    dataset = load_dataset(arguments.dataset)
    print(f"{device_name(device)}, preset {arguments.preset}")
    print(f"{'variant':24s}" + "".join(f"{column:>10s}" for column in COLUMNS), flush=True)
    table, sheet = {}, []
    for name in arguments.only:
        out = arguments.out / name.replace(" ", "_")
        start = time.perf_counter()
        renderer = fit(name, dataset, arguments.geometry, out, arguments.preset, device)
        seconds = time.perf_counter() - start
        metrics = evaluate(dataset, renderer, out / "report", options=EvaluationOptions(size=arguments.size))
        row = {
            **scores(metrics),
            "ssim": metrics["reenactment"]["ssim"],
            "gaussians": metrics["gaussians"],
            "seconds": seconds,
            "changes": VARIANTS[name],
        }
        values = "".join("         -" if row[c] is None else f"{row[c]:10.4g}" for c in COLUMNS)
        print(f"{name:24s}{values}   {' '.join(VARIANTS[name])}", flush=True)
        table[name] = row
        sheet.append(tiles(name, dataset, renderer))
        (arguments.out / "table.json").write_text(json.dumps(table, indent=1) + "\n")
        write_png(arguments.out / "pictures.png", contact_sheet(sheet, tile_width=256))


if __name__ == "__main__":
    main()
