"""Assembles the `rgb` command; one file per command in `commands/`. Nothing heavy is imported before a command runs."""

import gc
import io
import os
import signal
import sys
import warnings
from typing import Annotated, TextIO

import typer
from typer.exceptions import TyperException

from rgb_core import __version__
from rgb_core.errors import InputWarning, RgbError

from .commands import COMMANDS
from .console import print_error, print_warning

BAD_INPUT, INTERRUPTED = 2, 130

# Threads that wait for each other must not spin: on a machine that does anything else, spinning costs many times the
# work. OpenMP reads this when torch or numba load it, so it is set before any command imports them.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")

app = typer.Typer(
    name="rgb",
    help="Relightable Gaussian blendshapes: a head avatar with materials and shadows from one video.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
for name, command in COMMANDS.items():
    if isinstance(command, typer.Typer):
        app.add_typer(command, name=name)
    else:
        app.command(name)(command)


def _print_version(asked: bool) -> None:
    if asked:
        typer.echo(f"rgb {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    pass


def main() -> None:
    """Run the command line; user errors end in one sentence and exit code 2."""
    _speak_any_encoding()
    warnings.showwarning = _show_warning
    for name in _ENDING_SIGNALS:
        signal.signal(name, _interrupt)
    try:
        status = app(prog_name="rgb", standalone_mode=False)
        _let_finish()
        sys.exit(status)
    except RgbError as error:
        print_error(str(error))
        sys.exit(BAD_INPUT)
    except TyperException as error:
        if sentence := error.format_message():  # there is none where the help was all there was to say
            print_error(sentence)
        sys.exit(error.exit_code)
    except _Interrupted:
        _let_finish()
        print_error("interrupted; run the same command again to continue")
        sys.exit(INTERRUPTED)


class _Interrupted(BaseException):
    """Ctrl-C, or a request to end: no `KeyboardInterrupt`, which the framework would turn into an exit of its own."""


_ENDING_SIGNALS = (signal.SIGINT, signal.SIGTERM)


def _interrupt(*_: object) -> None:
    raise _Interrupted


def _let_finish() -> None:
    """The work is done or given up: what is left takes a moment and must not end in a traceback."""
    gc.freeze()  # else the end of the process looks through all objects once more, which takes half a second
    for name in _ENDING_SIGNALS:
        signal.signal(name, signal.SIG_IGN)


def _speak_any_encoding() -> None:
    """A terminal that does not know a letter gets its escape, not a traceback after the work is done."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def _show_warning(
    message: Warning | str, category: type[Warning], filename: str, lineno: int, file: TextIO | None = None,
    line: str | None = None,
) -> None:  # fmt: skip
    """Warnings that are meant for users, as one line; those of libraries are for developers."""
    if issubclass(category, InputWarning) or category.__name__ == "CacheWarning":  # its module takes seconds to import
        print_warning(str(message))
