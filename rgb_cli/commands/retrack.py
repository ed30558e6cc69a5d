"""`rgb retrack`: an avatar tracks the clip that it was fitted to."""

from pathlib import Path
from typing import Annotated

import typer

from ..console import Reporter
from ..options import AvatarFolder, DatasetFolder, Device, DeviceOption, Force, Json, OptionalPreset, Out, Quiet, Set


def retrack(
    avatar: AvatarFolder,
    dataset: DatasetFolder,
    out: Out,
    geometry: Annotated[
        Path | None,
        typer.Option("--geometry", help="Folder whose tracking to start from; without it the dataset's own."),
    ] = None,
    preset: OptionalPreset = None,
    overrides: Set = None,
    device: DeviceOption = Device.auto,
    force: Force = False,
    quiet: Quiet = False,
    as_json: Json = False,
) -> None:
    """Track all frames of a clip again by comparing them with the avatar's pictures; writes a geometry folder.

    `rgb fit-gaussians --geometry` and `rgb eval --geometry` take it.

    Example: rgb retrack avatar subject --geometry geometry -o tracking
    """
    from rgb_core import retracking
    from rgb_core.avatar import load_avatar
    from rgb_core.data import load_dataset
    from rgb_core.devices import resolve_device
    from rgb_core.geometry import load_geometry
    from rgb_core.presets import default_preset, load_preset

    where = resolve_device(device)
    config = load_preset(preset or default_preset(where), overrides).retracking
    clip = load_dataset(dataset)
    start = load_geometry(geometry) if geometry else None
    provenance = {"avatar": str(avatar), "dataset": str(dataset), "geometry": str(geometry)}
    reporter = Reporter(quiet, as_json)
    with reporter.live():
        found = retracking.retrack(load_avatar(avatar), clip, config, out, reporter, where, start, provenance, force)
    reporter.result("tracking", {"folder": str(out), **found.metrics})
