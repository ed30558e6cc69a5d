"""The command line answers quickly and documents itself."""

import resource
import statistics

import pytest
import typer

from rgb_cli.commands import COMMANDS

from .conftest import run_rgb

HELP_SECONDS = 0.5
NAMES = [
    f"{name} {inner.name or inner.callback.__name__}" if inner else name
    for name, command in COMMANDS.items()
    for inner in (command.registered_commands if isinstance(command, typer.Typer) else [None])
]


def child_seconds() -> float:
    """Processor seconds of finished child processes: unlike wall time, what else the machine does is not in it."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def test_help_is_quick():
    seconds = []
    for _ in range(6):
        start = child_seconds()
        assert run_rgb("--help").returncode == 0
        seconds.append(child_seconds() - start)
    assert statistics.median(seconds[1:]) < HELP_SECONDS  # the first run warms the cache


@pytest.mark.parametrize("name", NAMES)
def test_every_command_has_help_with_an_example(name: str):
    result = run_rgb(*name.split(), "--help")
    assert result.returncode == 0
    assert f"Example: rgb {name}" in " ".join(result.stdout.split())


def test_unknown_command_is_one_sentence():
    result = run_rgb("fit-everything")
    assert result.returncode == 2
    assert "fit-everything" in result.stderr
    assert "Traceback" not in result.stderr
