"""Assembles the `rgb` command; one file per command in `commands/`. Nothing heavy is imported before a command runs."""

import os
import sys

import typer
from typer.exceptions import Abort, TyperException

from rgb_core.errors import RgbError

from .commands import COMMANDS
from .console import print_error

BAD_INPUT, INTERRUPTED = 2, 130

# Threads that wait for each other must not spin: on a machine that does anything else, spinning costs many times the
# work. OpenMP reads this when torch or numba load it, so it is set before any command imports them.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")

app = typer.Typer(
    name="rgb",
    help="Relightable Gaussian blendshapes: a head avatar with materials and shadows from one video.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
for name, command in COMMANDS.items():
    if isinstance(command, typer.Typer):
        app.add_typer(command, name=name)
    else:
        app.command(name)(command)


def main() -> None:
    """Run the command line; user errors end in one sentence and exit code 2."""
    try:
        sys.exit(app(standalone_mode=False))
    except RgbError as error:
        print_error(str(error))
        sys.exit(BAD_INPUT)
    except TyperException as error:
        print_error(error.format_message())
        sys.exit(error.exit_code)
    except (Abort, KeyboardInterrupt):
        print_error("interrupted; run the same command again to continue")
        sys.exit(INTERRUPTED)
