"""`rgb presets`: which presets there are, and what every setting of one is for."""

import json
from typing import Annotated, Any

import typer

from ..console import Reporter
from ..options import Json

_VALUE_WIDTH = 8

presets = typer.Typer(
    help="List the built-in presets, or show every setting of one.\n\nExample: rgb presets",
    invoke_without_command=True,
)


@presets.callback()
def listing(context: typer.Context, as_json: Json = False) -> None:
    """Say what each built-in preset is for, unless a command follows."""
    from rgb_core.presets import preset_purposes

    if context.invoked_subcommand is None:
        Reporter(as_json=as_json).result("presets", preset_purposes())


@presets.command()
def show(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Built-in preset or YAML file.")],
    as_json: Json = False,
) -> None:
    """Show every setting of a preset: its name for --set, its value, its unit and why it is there.

    Example: rgb presets show demo
    """
    from rgb_core.presets import load_preset, settings_of

    settings = settings_of(load_preset(name))
    shown = {name: {"value": value, "why": why} if as_json else _line(value, why) for name, value, why in settings}
    Reporter(as_json=as_json).result(f"preset {name}", shown)


def _line(value: Any, why: str) -> str:
    """The value as --set takes it, and the reason behind."""
    written = json.dumps(value).replace('"', "")
    return f"{written:<{_VALUE_WIDTH}} {why}"
