"""`rgb patch-dataset`: semantic masks for downloaded subjects."""

from pathlib import Path
from typing import Annotated, Any

import typer

from ..console import Reporter
from ..options import Json, Quiet


def patch_dataset(
    masks: Annotated[Path, typer.Option("--input", "-i", help="ZIP archive or folder with semantic masks.")],
    folder: Annotated[
        Path, typer.Option("--out", "-o", help="Folder below which subjects (checkpoint, images or images.HQ) lie.")
    ],
    quiet: Quiet = False,
    as_json: Json = False,
) -> None:
    """Write semantic (or semantic.HQ) beside images (or images.HQ) of every tracked subject that lacks it.

    A subject's masks are the PNG files in SUBJECT, SUBJECT/semantic or semantic/SUBJECT of the archive.

    Example: rgb patch-dataset -i semantic.zip -o datasets
    """
    from rgb_core.data.semantic_patch import Patched, patch_dataset

    reporter = Reporter(quiet, as_json)
    with reporter.live():
        results = patch_dataset(masks, folder, reporter)

    def said(result: Patched) -> str:
        if result.status == "written":
            return f"written: {result.masks} masks for {result.images} pictures"
        return "kept: it was there" if result.status == "kept" else f"missing: {masks} has none"

    def recorded(result: Patched) -> dict[str, Any]:
        return {"status": result.status, "masks": result.masks, "images": result.images}

    describe = recorded if as_json else said
    reporter.result("masks", {str(result.subject / result.folder): describe(result) for result in results})
