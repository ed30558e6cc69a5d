"""`rgb import`: a tracked clip of another system becomes a native dataset."""

from pathlib import Path
from typing import Annotated

import typer

from ..console import Reporter
from ..options import Force, Json, Quiet


def import_(
    source: Annotated[Path, typer.Argument(metavar="SRC", help="Folder of a tracked clip.")],
    out: Annotated[Path, typer.Argument(metavar="DATASET", help="Folder to write.")],
    head: Annotated[
        Path | None, typer.Option("--head", help="Head model of the tracking: a FLAME file or a head.npz.")
    ] = None,
    layout: Annotated[
        str | None,
        typer.Option(
            "--layout",
            help="metrical, vhap, hravatar, monofacecompute, imavatar, vhap-mesh, insta or native; default: detected.",
        ),
    ] = None,
    copy: Annotated[bool, typer.Option("--copy", help="Copy pictures instead of linking them.")] = False,
    force: Force = False,
    quiet: Quiet = False,
    as_json: Json = False,
) -> None:
    """Import the data of metrical-tracker, INSTA, IMavatar, HRAvatar, VHAP and others.

    Example: rgb import bala bala_dataset --head generic_model.pkl
    """
    from rgb_core.data.importers import import_dataset

    reporter = Reporter(quiet, as_json)
    with reporter.live():
        imported = import_dataset(source, out, head, layout, copy, reporter, force)
    dataset = imported.dataset
    splits = {f"{name} frames": len(ids) for name, ids in dataset.splits.items()}
    size = f"{dataset.width} x {dataset.height}"
    found = {"folder": str(out), "layout": imported.layout, "head model": dataset.head.name, "size": size}
    reporter.result("dataset", {**found, **splits, "overlap of mesh and matte": imported.overlap})
