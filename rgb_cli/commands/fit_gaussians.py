"""`rgb fit-gaussians`: stage 2, the relightable avatar."""

from pathlib import Path
from typing import Annotated

import typer

from ..console import Reporter
from ..options import (
    DatasetFolder,
    Device,
    DeviceOption,
    Force,
    Json,
    NoVisibility,
    OptionalPreset,
    Out,
    Quiet,
    Seed,
    Set,
)


def fit_gaussians(
    dataset: DatasetFolder,
    out: Out,
    geometry: Annotated[
        Path | None,
        typer.Option("--geometry", help="Folder written by fit-geometry; without it the head model is used as it is."),
    ] = None,
    albedo: Annotated[
        Path | None,
        typer.Option("--albedo", help="Folder of pseudo-albedo pictures <frame id>.png that guide materials at first."),
    ] = None,
    start: Annotated[
        Path | None,
        typer.Option("--start", help="Avatar to go on from, for fewer steps (retracking.further_steps of the preset)."),
    ] = None,
    preset: OptionalPreset = None,
    overrides: Set = None,
    no_visibility: NoVisibility = False,
    seed: Seed = 0,
    device: DeviceOption = Device.auto,
    force: Force = False,
    quiet: Quiet = False,
    as_json: Json = False,
) -> None:
    """Fit Gaussian blendshapes, their materials and the light. Run again to continue after an interruption.

    Example: rgb fit-gaussians subject --geometry geometry -o avatar
    """
    from rgb_core import training
    from rgb_core.avatar import load_avatar
    from rgb_core.data import load_dataset
    from rgb_core.devices import resolve_device
    from rgb_core.geometry import load_geometry, unrefined
    from rgb_core.presets import default_preset, load_preset

    where = resolve_device(device)
    preset = preset or default_preset(where)
    settings = load_preset(preset, overrides)
    config = settings.further_gaussians if start else settings.gaussians
    clip = load_dataset(dataset)
    mesh = load_geometry(geometry) if geometry else unrefined(clip)
    provenance = {
        "dataset": str(dataset),
        "geometry": str(geometry),
        "albedo": str(albedo),
        "start": str(start),
        "preset": preset,
        "seed": seed,
    }
    maps = training.albedo_maps(albedo, clip) if albedo else None
    reporter = Reporter(quiet, as_json)
    with reporter.live():
        avatar = training.fit_gaussians(
            clip, mesh, config, out, reporter, seed, not no_visibility, provenance, where, albedo=maps, force=force,
            start=load_avatar(start) if start else None,
        )  # fmt: skip
    reporter.result("avatar", {"folder": str(out), "gaussians": avatar.count})
