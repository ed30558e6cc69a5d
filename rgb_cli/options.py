"""The options that several commands share, each defined once."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer


class Device(StrEnum):
    """Where to compute."""

    auto = "auto"
    cpu = "cpu"
    cuda = "cuda"


Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="No progress bars and messages.")]
Json = Annotated[bool, typer.Option("--json", help="Print the result as JSON on stdout.")]
Seed = Annotated[int, typer.Option("--seed", min=0, help="The same seed gives the same result on a CPU.")]
Preset = Annotated[
    str, typer.Option("--preset", help="Built-in preset (cpu, default, demo, quality, short) or YAML file.")
]
OptionalPreset = Annotated[
    str | None,
    typer.Option("--preset", help="Built-in preset or a YAML file; without it 'default' on a GPU, 'cpu' on a CPU."),
]
Set = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="Change a preset field, as in gaussians.steps=2000. Repeatable."),
]
DeviceOption = Annotated[Device, typer.Option("--device", help="Where to compute; auto takes a usable GPU.")]
Out = Annotated[
    Path,
    typer.Option(
        "--out",
        "-o",
        help="Folder to write. The same run again continues there, or says that it is finished; another needs --force.",
    ),
]
DatasetFolder = Annotated[Path, typer.Argument(metavar="DATASET", help="Folder with a dataset.json.")]
AvatarFolder = Annotated[Path, typer.Argument(metavar="AVATAR", help="Folder written by fit-gaussians or demo.")]
Force = Annotated[
    bool, typer.Option("--force", help="Replace what a run with other inputs or settings left in the folder.")
]
NoVisibility = Annotated[bool, typer.Option("--no-visibility", help="Leave shadows out.")]
