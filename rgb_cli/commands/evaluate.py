"""`rgb eval`: scores and a report."""

from pathlib import Path
from typing import Annotated

import typer

from ..console import Reporter
from ..options import (
    AvatarFolder,
    DatasetFolder,
    Device,
    DeviceOption,
    Force,
    Json,
    LightRows,
    LongerSide,
    NoVisibility,
    Out,
    Quiet,
)


def evaluate(
    avatar: AvatarFolder,
    dataset: DatasetFolder,
    out: Out,
    size: LongerSide = None,
    lpips_weights: Annotated[
        Path | None, typer.Option("--lpips-weights", help="LPIPS weights file; without it the score is null.")
    ] = None,
    geometry: Annotated[
        Path | None,
        typer.Option("--geometry", help="Folder whose tracking to use, as retrack writes it; otherwise the dataset's."),
    ] = None,
    refine: Annotated[
        bool, typer.Option("--refine", help="Also score test frames whose pose was refined on their own picture.")
    ] = False,
    light_rows: LightRows = None,
    no_visibility: NoVisibility = False,
    device: DeviceOption = Device.auto,
    force: Force = False,
    quiet: Quiet = False,
    as_json: Json = False,
) -> None:
    """Score the test frames: reenactment, relighting, albedo, normals, mesh and speed; metrics.json and report.html.

    Example: rgb eval avatar subject -o report
    """
    from rgb_core import evaluation
    from rgb_core.avatar import load_avatar
    from rgb_core.avatar.storage import read_provenance
    from rgb_core.data import load_dataset
    from rgb_core.devices import resolve_device
    from rgb_core.fingerprints import files_in
    from rgb_core.geometry import load_geometry
    from rgb_core.rendering import Renderer
    from rgb_core.retracking import on_test_pictures

    where = resolve_device(device)
    model = load_avatar(avatar).to(where)
    clip = load_dataset(dataset)
    reporter = Reporter(quiet, as_json)
    options = evaluation.EvaluationOptions(
        size=size,
        lpips_weights=lpips_weights,
        provenance=evaluation.level_line(read_provenance(avatar)),
        tracking=load_geometry(geometry).tracking if geometry else {},
        refine=on_test_pictures(model, clip, reporter, where) if refine else None,
        drawn=[files_in(avatar), no_visibility, light_rows],
        force=force,
    )
    with reporter.live():
        renderer = Renderer(model, False if no_visibility else None, light_rows)
        metrics = evaluation.evaluate(clip, renderer, out, reporter, options)
    reporter.result("scores", metrics)
