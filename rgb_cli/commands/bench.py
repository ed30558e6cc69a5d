"""`rgb bench`: how fast this machine is."""

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from ..console import Reporter
from ..options import Device, DeviceOption, Json, Quiet


def bench(
    upstream: Annotated[
        Path | None,
        typer.Option("--upstream", help="Folder with the original CUDA packages (pip --target), to time them too."),
    ] = None,
    device: DeviceOption = Device.auto,
    quiet: Quiet = False,
    as_json: Json = False,
) -> None:
    """Time every kernel, every stage of a frame and the whole frame: medians in milliseconds.

    Example: rgb bench
    """
    from rgb_core.benchmarking import benchmark
    from rgb_core.devices import device_name, resolve_device

    where = resolve_device(device)
    reporter = Reporter(quiet, as_json)
    with reporter.live():
        rows = benchmark(where, reporter, upstream)
    columns = {"name": "work", "milliseconds": "ms", "eager": "ms with launches", "target": "target on an H200",
               "upstream": "upstream ms", "ratio": "upstream / ours"}  # fmt: skip
    reporter.table(f"rgb bench on {device_name(where)}", columns, [asdict(row) for row in rows])
