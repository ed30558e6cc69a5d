"""The command line answers quickly and documents itself."""

import os
import re
import resource
import runpy
import statistics
import subprocess
import sys
from importlib import metadata

import pytest
import typer

import rgb_core
from rgb_cli.commands import COMMANDS
from tests.commands import run_rgb

HELP_SECONDS = 0.5
PICTURES = re.compile("[\U00002600-\U000027bf\U0001f300-\U0001faff]")
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
    """From the start of a process that has imported nothing."""
    seconds = []
    for _ in range(6):
        start = child_seconds()
        subprocess.run([sys.executable, "-m", "rgb_cli", "--help"], capture_output=True, check=True)
        seconds.append(child_seconds() - start)
    assert statistics.median(seconds[1:]) < HELP_SECONDS  # the first run warms the cache


@pytest.mark.parametrize("name", NAMES)
def test_every_command_has_help_with_an_example(name: str):
    result = run_rgb(*name.split(), "--help")
    assert result.returncode == 0
    assert f"Example: rgb {name}" in " ".join(result.stdout.split())
    assert not PICTURES.search(result.stdout), "rich made an emoji of a word between colons"


def test_unknown_command_is_one_sentence():
    result = run_rgb("fit-everything")
    assert result.returncode == 2
    assert "fit-everything" in result.stderr
    assert "Traceback" not in result.stderr


@pytest.mark.parametrize("arguments", [[], ["head"]], ids=["rgb", "rgb head"])
def test_a_command_alone_shows_its_help_and_no_error(arguments: list[str]):
    result = run_rgb(*arguments)
    assert result.returncode == 2
    assert f"Usage: {' '.join(['rgb', *arguments])} " in result.stdout
    assert result.stderr == ""


def test_the_module_is_the_command_and_says_its_version():
    result = subprocess.run(
        [sys.executable, "-m", "rgb_cli", "--version"], capture_output=True, text=True, check=True, timeout=60
    )
    assert result.stdout == f"rgb {rgb_core.__version__}\n"


def test_the_version_is_that_of_the_installation_or_says_that_there_is_none(monkeypatch: pytest.MonkeyPatch):
    def version(name: str) -> str:
        if not installed:
            raise metadata.PackageNotFoundError(name)
        return f"7 of {name}"

    monkeypatch.setattr(metadata, "version", version)
    for installed, expected in ((True, "7 of rgb-avatar"), (False, "0+unknown")):  # noqa: B007, `version` reads it
        assert runpy.run_path(str(rgb_core.__file__))["__version__"] == expected


def test_shells_can_complete_the_commands():
    asked = {"_RGB_COMPLETE": "complete_bash", "COMP_WORDS": "rgb fit", "COMP_CWORD": "1"}
    result = subprocess.run(
        [sys.executable, "-m", "rgb_cli"], env={**os.environ, **asked}, capture_output=True, text=True, timeout=60
    )
    assert result.stdout.split() == ["fit", "fit-geometry", "fit-gaussians"]
