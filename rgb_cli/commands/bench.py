"""`rgb bench`: how fast this machine is, and how well anybody's relit pictures score."""

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from ..console import Reporter
from ..options import DatasetFolder, Device, DeviceOption, Json, Quiet

bench = typer.Typer(invoke_without_command=True)


@bench.callback()
def speed(
    context: typer.Context,
    upstream: Annotated[
        Path | None,
        typer.Option("--upstream", help="Folder with the original CUDA packages (pip --target), to time them too."),
    ] = None,
    sizes: Annotated[
        bool,
        typer.Option(
            "--sizes",
            help="Also time the rasteriser from 1,000 to 2 million Gaussians, 256 to 2048 pixels, and larger frames.",
        ),
    ] = False,
    device: DeviceOption = Device.auto,
    quiet: Quiet = False,
    as_json: Json = False,
) -> None:
    """Time every kernel, every stage of a frame and the whole frame: medians in milliseconds.

    Where gsplat is installed it is timed beside ours. The options are those of the timing; `relight` has its own.

    Example: rgb bench
    """
    if context.invoked_subcommand is not None:
        return

    from rgb_core.benchmarking import benchmark
    from rgb_core.devices import device_name, resolve_device

    where = resolve_device(device)
    reporter = Reporter(quiet, as_json)
    with reporter.live():
        rows = benchmark(where, reporter, upstream, sizes)
    columns = {
        "name": "work", "milliseconds": "ms", "eager": "ms with launches", "host": "host ms", "memory": "MB",
        "target": "target on an H200", "other": "other ms", "ratio": "other / ours", "file": "loaded",
    }  # fmt: skip
    reporter.table(f"rgb bench on {device_name(where)}", columns, [asdict(row) for row in rows])


@bench.command()
def relight(
    folder: Annotated[
        Path, typer.Argument(metavar="FOLDER", help="Pictures <light>/<frame id>.png, 8-bit RGB on black or RGBA.")
    ],
    dataset: DatasetFolder,
    quiet: Quiet = False,
    as_json: Json = False,
) -> None:
    """Score relit pictures of any system against a dataset's truth, by the code that scores avatars.

    Example: rgb bench relight pictures subject
    """
    from rgb_core.data import load_dataset
    from rgb_core.evaluation.relighting import score_relit_pictures

    clip = load_dataset(dataset)
    reporter = Reporter(quiet, as_json)
    with reporter.live():
        scores = score_relit_pictures(folder, clip, reporter)
    reporter.result(f"{folder} on {clip.subject}", scores)
