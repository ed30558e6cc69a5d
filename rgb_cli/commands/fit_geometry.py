"""`rgb fit-geometry`: stage 1, the personalised mesh."""

from pathlib import Path
from typing import Annotated

import typer

from ..console import Reporter
from ..options import DatasetFolder, Device, DeviceOption, Force, Json, OptionalPreset, Out, Quiet, Seed, Set


def fit_geometry(
    dataset: DatasetFolder,
    out: Out,
    normals: Annotated[
        Path | None,
        typer.Option("--normals", help="Folder of world-space normal maps <frame id>.png that guide the mesh."),
    ] = None,
    preset: OptionalPreset = None,
    overrides: Set = None,
    seed: Seed = 0,
    device: DeviceOption = Device.auto,
    force: Force = False,
    quiet: Quiet = False,
    as_json: Json = False,
) -> None:
    """Fit a personalised mesh and refine the tracking. Run again to continue after an interruption.

    Where the dataset has ground truth, the mesh is measured against it afterwards.

    Example: rgb fit-geometry subject -o geometry
    """
    from rgb_core import geometry
    from rgb_core.data import load_dataset
    from rgb_core.devices import resolve_device
    from rgb_core.evaluation.stage1 import prepare_measuring, score_geometry
    from rgb_core.presets import default_preset, load_preset

    where = resolve_device(device)
    config = load_preset(preset or default_preset(where), overrides).geometry
    clip = load_dataset(dataset)
    prepare_measuring(clip, where)
    reporter = Reporter(quiet, as_json)
    with reporter.live():
        fitted = geometry.fit_geometry(clip, config, out, reporter, seed, where, normals, force)
        scores = score_geometry(clip, fitted, out, reporter)
    reporter.result("geometry", {"folder": str(out), **fitted.metrics, **scores})
