"""The options that several commands share, each defined once."""

from collections.abc import Callable
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer


class Device(StrEnum):
    """Where to compute."""

    auto = "auto"
    cpu = "cpu"
    cuda = "cuda"


class Torso(StrEnum):
    """What tracking does with shoulders and clothes."""

    cut = "cut"
    keep = "keep"


_SEEDS = 2**63 - 1
LARGEST_SIDE = 8192
"""Pixels of a picture that any option may ask for."""


def within(low: float, high: float) -> Callable[[str], float]:
    """A reader of option values for the numbers from `low` to `high`; typer's own ranges let NaN pass."""

    def number(text: str) -> float:
        try:
            value = float(text)
        except ValueError:
            raise typer.BadParameter(f"{text!r} is no number") from None
        if not low <= value <= high:
            raise typer.BadParameter(f"{text} is not in the range from {low:g} to {high:g}")
        return value

    return number


LongerSide = Annotated[
    int | None, typer.Option("--size", min=16, max=LARGEST_SIDE, help="Pixels of the longer side; default as filmed.")
]
LightRows = Annotated[
    int | None,
    typer.Option(
        "--light-rows", min=4, max=128, metavar="ROWS",
        help="Rows that a light is averaged to before it shines, as in --light-rows 64: more have sharper shadows and "
        "take longer; default 32. The light that the avatar was fitted under keeps its own.",
    ),
]  # fmt: skip
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Print nothing but errors, and JSON where asked for.")]
Json = Annotated[bool, typer.Option("--json", help="Print the result as JSON on stdout.")]
Seed = Annotated[int, typer.Option("--seed", min=0, max=_SEEDS, help="The same seed gives the same result on a CPU.")]
Preset = Annotated[str, typer.Option("--preset", help="Built-in preset (see rgb presets) or YAML file.")]
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
