"""The command line answers quickly and documents itself."""

import statistics
import time

import pytest

from .conftest import run_rgb

COMMANDS = ["demo", "synth", "fit-geometry", "fit-gaussians", "relight", "animate", "eval", "export", "doctor"]
HELP_SECONDS = 0.5


def test_help_is_quick():
    seconds = []
    for _ in range(6):
        start = time.perf_counter()
        assert run_rgb("--help").returncode == 0
        seconds.append(time.perf_counter() - start)
    assert statistics.median(seconds[1:]) < HELP_SECONDS  # the first run warms the cache


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help_with_an_example(command: str):
    result = run_rgb(command, "--help")
    assert result.returncode == 0
    assert f"Example: rgb {command}" in result.stdout


def test_unknown_command_is_one_sentence():
    result = run_rgb("fit-everything")
    assert result.returncode == 2
    assert "fit-everything" in result.stderr
    assert "Traceback" not in result.stderr
