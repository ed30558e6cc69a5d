"""`rgb batch`: many subjects on this machine or on a cluster."""

from pathlib import Path
from typing import Annotated

import typer

from ..batch_view import BatchView
from ..console import Reporter
from ..options import Device, DeviceOption, Force, Json, OptionalPreset, Quiet
from .track import HeadFile


def batch(
    manifest: Annotated[
        str, typer.Argument(metavar="MANIFEST", help="YAML file with a table of subjects, or a built-in one's name.")
    ],
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="Folder to write: one folder per subject, and the results.")
    ] = None,
    root: Annotated[
        Path | None, typer.Option("--root", help="Where the manifest's relative paths begin; default its own folder.")
    ] = None,
    from_folder: Annotated[
        Path | None,
        typer.Option("--from-folder", help="Write MANIFEST, with every clip and video below this folder, and stop."),
    ] = None,
    head: HeadFile = None,
    preset: OptionalPreset = None,
    only: Annotated[
        list[str] | None,
        typer.Option(
            "--only", metavar="NAME", help="Run this subject, or those of a pattern such as 'nf_*'. Repeatable."
        ),
    ] = None,
    retry_failed: Annotated[
        bool, typer.Option("--retry-failed", help="Try the subjects again that failed before.")
    ] = False,
    max_failures: Annotated[
        int | None, typer.Option("--max-failures", min=1, help="Stop after so many subjects have failed.")
    ] = None,
    address: Annotated[
        str | None, typer.Option("--address", help="Head node of a Ray cluster, as in 10.0.0.1:6379; default here.")
    ] = None,
    workers: Annotated[
        int | None,
        typer.Option("--workers", min=1, max=1024, help="Stages at once on this machine; default its cores."),
    ] = None,
    device: DeviceOption = Device.auto,
    force: Force = False,
    quiet: Quiet = False,
    as_json: Json = False,
) -> None:
    """Fit, score, relight and export many subjects. Run again to continue after an interruption.

    A subject that fails ends as one line and does not stop the others. With --json, one event a line.

    Example: rgb batch subjects.yaml -o results
    """
    from rgb_core.batch import scheduler
    from rgb_core.batch.from_folder import write_manifest_of_folder
    from rgb_core.batch.manifest import load_manifest
    from rgb_core.errors import InputError

    reporter = Reporter(quiet, as_json)
    if from_folder is not None:
        given = {"head": str(head.absolute()) if head else None, "preset": preset}
        shared = {name: value for name, value in given.items() if value is not None}
        count = write_manifest_of_folder(from_folder, Path(manifest), shared, force)
        reporter.result("manifest", {"file": manifest, "subjects": count})
        return
    if out is None:
        raise InputError("give the folder to write with -o")
    if head is not None or preset is not None:
        raise InputError(
            "--head and --preset go into a manifest that --from-folder writes; in another, edit `defaults`"
        )
    table = load_manifest(manifest, root)
    options = scheduler.BatchOptions(
        tuple(only or ()), retry_failed, max_failures, address, workers, device.value, force
    )
    view = BatchView(reporter)
    with reporter.watching(view.table):
        records = scheduler.run_batch(table, out, view, options)
    failed = [name for name, record in records.items() if record.failure]
    unfinished = [name for name, record in records.items() if not record.failure and not record.finished]
    summary = {"subjects": len(records), "failed": len(failed), "unfinished": len(unfinished)}
    reporter.result("batch", {"page": str(out / "index.html"), "table": str(out / "results.csv"), **summary})
    if failed or unfinished:
        raise InputError(f"{len(failed)} of {len(records)} subjects failed; {out / 'index.html'} says why")
