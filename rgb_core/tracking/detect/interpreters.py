"""Which Python on this machine the face detector can run in, where this one is too new or too old for it."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from ...errors import InputError

_VERSIONS = ((3, 12), (3, 11), (3, 10), (3, 9))
"""For which the detector has wheels, the preferred first; elsewhere pip would build numpy for minutes and fail."""
_PROBE = "import sys, venv, ensurepip; print(sys.executable, *sys.version_info[:2], sep='\\n')"
_NOTHING_LOCAL = ("--no-python-downloads", "--system", "--no-project", "--no-config")  # no .venv of the current folder
_PATIENCE = 20.0  # seconds for an interpreter to say who it is


def fitting_python() -> Path:
    """This interpreter where it fits, else one of Python 3.9 to 3.12 from PATH, the `py` launcher or `uv`.

    Raises:
        InputError: when there is none, saying how to get one.
    """
    if _running() in _VERSIONS:
        return Path(sys.executable)
    for command in _commands():
        found = _asked(command)
        if found is not None:
            return found
    running = ".".join(map(str, _running()))
    raise InputError(
        f"the face detector needs Python 3.9 to 3.12 beside this Python {running}, and none was found (PATH, py, uv): "
        "install one, for example with 'uv python install 3.12', and run the same command again"
    )


def _running() -> tuple[int, int]:
    return sys.version_info[:2]


def _commands() -> Iterator[list[str]]:
    """Commands that may start a fitting interpreter."""
    uv = shutil.which("uv")
    for major, minor in _VERSIONS:
        version = f"{major}.{minor}"
        on_path = shutil.which(f"python{version}")
        if on_path:
            yield [on_path]
        if os.name == "nt" and shutil.which("py"):
            yield ["py", f"-{version}"]
        managed = _said([uv, "python", "find", *_NOTHING_LOCAL, version]) if uv else None
        if managed:
            yield [managed]


def _asked(command: list[str]) -> Path | None:
    """The interpreter that a command starts, if it starts one that fits and can make environments."""
    lines = (_said([*command, "-I", "-c", _PROBE]) or "").splitlines()
    fits = len(lines) == 3 and (int(lines[1]), int(lines[2])) in _VERSIONS
    return Path(lines[0]) if fits else None


def _said(command: list[str]) -> str | None:
    """What a command prints; None where it fails."""
    try:
        done = subprocess.run(  # noqa: S603, interpreters that the user has installed
            command,
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            timeout=_PATIENCE,
            check=True,
            cwd=Path(__file__).parent,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()
