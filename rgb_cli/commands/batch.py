"""`rgb batch`: many subjects on this machine or on a cluster."""

from pathlib import Path
from typing import Annotated

import typer

from ..batch_view import BatchView
from ..console import Reporter
from ..options import Device, DeviceOption, Force, Json, OptionalPreset, Quiet
from .track import HeadFile

_Manifest = Annotated[
    str, typer.Argument(metavar="MANIFEST", help="YAML file with a table of subjects, or a built-in one's name.")
]
_Out = Annotated[
    Path | None, typer.Option("--out", "-o", help="Folder to write: one folder per subject, and the results.")
]
_Root = Annotated[
    Path | None, typer.Option("--root", help="Where the manifest's relative paths begin; default its own folder.")
]
_FromFolder = Annotated[
    Path | None,
    typer.Option("--from-folder", help="Write MANIFEST, with every clip and video below this folder, and stop."),
]
_Only = Annotated[
    list[str] | None,
    typer.Option("--only", metavar="NAME", help="Run this subject, or those of a pattern such as 'nf_*'. Repeatable."),
]
_RetryFailed = Annotated[bool, typer.Option("--retry-failed", help="Try the subjects again that failed before.")]
_MaxFailures = Annotated[
    int | None, typer.Option("--max-failures", min=1, help="Stop after so many subjects have failed.")
]
_Address = Annotated[
    str | None, typer.Option("--address", help="Head node of a Ray cluster, as in 10.0.0.1:6379; default here.")
]
_Workers = Annotated[
    int | None, typer.Option("--workers", min=1, max=1024, help="Stages at once on this machine; default its cores.")
]


def batch(
    manifest: _Manifest,
    out: _Out = None,
    root: _Root = None,
    from_folder: _FromFolder = None,
    head: HeadFile = None,
    preset: OptionalPreset = None,
    only: _Only = None,
    retry_failed: _RetryFailed = False,
    max_failures: _MaxFailures = None,
    address: _Address = None,
    workers: _Workers = None,
    device: DeviceOption = Device.auto,
    force: Force = False,
    quiet: Quiet = False,
    as_json: Json = False,
) -> None:
    """Fit, score, relight and export many subjects. Run again to continue after an interruption.

    A subject that fails ends as one line and does not stop the others. With --json, one event a line.

    Example: rgb batch subjects.yaml -o results
    """
    from rgb_core.batch.manifest import load_manifest
    from rgb_core.batch.options import BatchOptions
    from rgb_core.batch.run import run_batch
    from rgb_core.errors import InputError

    reporter = Reporter(quiet, as_json)
    if from_folder is not None:
        _write_manifest(reporter, from_folder, Path(manifest), head, preset, force)
        return
    if out is None:
        raise InputError("give the folder to write with -o")
    if head is not None or preset is not None:
        raise InputError("--head and --preset are for --from-folder; name them in the manifest, under `defaults`")
    table, view = load_manifest(manifest, root), BatchView(reporter)
    options = BatchOptions(
        tuple(only or ()), retry_failed, max_failures, address, workers, device.value, force
    )  # fmt: skip
    with reporter.watching(view.table):
        records = run_batch(table, out, view, options)
    counts = {
        "subjects": len(records),
        "failed": sum(record.failure is not None for record in records.values()),
        "unfinished": sum(not record.failure and not record.finished for record in records.values()),
    }
    if as_json:
        reporter.event({"event": "end", **counts})
    else:
        reporter.result("batch", {"page": str(out / "index.html"), "table": str(out / "results.csv"), **counts})
    if counts["failed"] or counts["unfinished"]:
        raise InputError(f"{counts['failed']} of {len(records)} subjects failed: {out / 'index.html'} says why")


def _write_manifest(
    reporter: Reporter, folder: Path, path: Path, head: Path | None, preset: str | None, force: bool
) -> None:
    from rgb_core.batch.from_folder import write_manifest_of_folder

    given = {"head": str(head.absolute()) if head else None, "preset": preset}
    shared = {name: value for name, value in given.items() if value is not None}
    count = write_manifest_of_folder(folder, path, shared, force)
    reporter.result("manifest", {"file": str(path), "subjects": count})
