"""`rgb check`: what is broken in a dataset, and what it covers."""

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from ..console import Reporter
from ..options import DatasetFolder, Json, Quiet

_PICTURES, _COLUMNS = 8, 4


def check(
    dataset: DatasetFolder,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="Folder for overlays.png (the tracked head) and check.json.")
    ] = None,
    quiet: Quiet = False,
    as_json: Json = False,
) -> None:
    """List every defect of a dataset and what it covers: poses, expressions, mattes, exposure, overlap of the head.

    Ends with exit code 2 where there is a defect.

    Example: rgb check subject -o subject_check
    """
    from rgb_core.data.inspection import inspect_dataset, spread_frames
    from rgb_core.data.inspection_overlay import overlay
    from rgb_core.errors import InputError
    from rgb_core.files import write_text
    from rgb_core.images import write_png
    from rgb_core.images.contact_sheet import Tile, contact_sheet

    reporter = Reporter(quiet, as_json)
    with reporter.live():
        found = inspect_dataset(dataset, reporter)
    record = found.record()
    if out is not None:
        write_text(out / "check.json", json.dumps(record, indent=1))
        if found.dataset is not None and found.facts:
            tiles = [
                Tile(overlay(found.dataset, found.dataset.frame(facts.id)), f"{facts.id}: overlap {facts.overlap:.2f}")
                for facts in spread_frames(found, _PICTURES)
            ]
            rows = [tiles[start : start + _COLUMNS] for start in range(0, len(tiles), _COLUMNS)]
            write_png(out / "overlays.png", contact_sheet(rows))
    reporter.result("check", record if as_json else _lines(record))
    if found.defects:
        raise InputError(f"{dataset} has {len(found.defects)} defect(s), listed above; repair them and check again")


def _lines(record: dict[str, Any]) -> dict[str, str]:
    """The record as names and short texts."""
    lines: dict[str, str] = {}
    if "pose" in record:
        matte, exposure, overlap = record["matte"], record["exposure"], record["overlap"]
        expressions = record["expressions"]
        width, height = record["size"]
        frames = ", ".join(f"{count} {name}" for name, count in record["frames"].items())
        lines["clip"] = f"{record['subject']}: {frames} frames of {width} x {height}, head model {record['head']}"
        lines |= {name: _angles(spread) for name, spread in record["pose"].items()}
        widest = ", ".join(f"{name} {low:.2f} to {high:.2f}" for name, (low, high) in expressions["widest"].items())
        lines["expressions"] = f"{expressions['moving']} of {expressions['count']} move; widest {widest or 'none'}"
        lines["matte"] = (
            f"{matte['coverage']:.0%} of the picture, {matte['soft']:.1%} soft; "
            f"{len(matte['empty'])} empty, {len(matte['cut'])} cut by the top or a side"
        )
        lines["exposure"] = (
            f"luminance {exposure['luminance']:.3f}, drift {exposure['drift_stops']:.2f} stops, "
            f"{exposure['clipped']:.1%} overexposed, {exposure['black']:.1%} black"
        )
        lines["overlap"] = (
            f"{overlap['mean']:.3f} of head model and matte; worst {overlap['worst']:.3f} in {overlap['worst_frame']}"
        )
    for kind in ("warning", "defect"):
        lines |= {f"{kind} {number}": text for number, text in enumerate(record[f"{kind}s"], 1)}
    return lines if record["defects"] else {**lines, "defects": "none"}


def _angles(spread: dict[str, Any]) -> str:
    bars = ", ".join(f"{edge}: {count}" for edge, count in spread["histogram"].items())
    return f"{spread['min']:.0f} to {spread['max']:.0f} degrees; frames by 15 degrees from {bars}"
