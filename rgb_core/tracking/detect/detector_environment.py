"""A Python that has the detector: this one where mediapipe is installed, else a private environment made once."""

import importlib.util
import os
import shutil
import subprocess
import sys
import tempfile
import venv
from pathlib import Path

from kernel_runtime.private import cache_root, is_private, private_folder

from ...errors import InputError
from ...progress import Progress
from .interpreters import fitting_python

MEDIAPIPE = "0.10.21"
"""The last release whose wheel carries its models."""
_REQUIREMENTS = Path(__file__).with_name("detector_requirements.txt")
"""The parts of mediapipe that the detector loads import four packages; its own list of requirements is far longer."""
_READY = "ready"  # written last: an environment without it is not whole
_ADVICE = f"pip install mediapipe=={MEDIAPIPE} (the extra rgb-avatar[track]) in an environment with Python 3.9 to 3.12"


def detector_python(progress: Progress) -> Path:
    """The interpreter that runs the detector.

    Raises:
        InputError: when there is none and none can be made, saying what to install.
    """
    if importlib.util.find_spec("mediapipe") is not None:
        return Path(sys.executable)
    folder = environment_folder()
    if not _is_ready(folder):
        python = fitting_python()
        progress.message(f"preparing the face detector once: mediapipe {MEDIAPIPE} into {folder}")
        _make(folder, python)
    return _python(folder)


def remake_environment(progress: Progress) -> Path | None:
    """The interpreter of a fresh private environment in place of a broken one; None where the detector is not in one.

    Raises:
        InputError: when it cannot be made.
    """
    if importlib.util.find_spec("mediapipe") is not None:
        return None
    shutil.rmtree(environment_folder(), ignore_errors=True)
    return detector_python(progress)


def environment_folder() -> Path:
    """Where the private environment lies, beside the compiled kernels."""
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    return cache_root() / f"mediapipe-{MEDIAPIPE}-py{version}"


def _is_ready(folder: Path) -> bool:
    """Whether a whole environment lies there that nobody else could have changed."""
    return (folder / _READY).is_file() and is_private(folder.stat())


def _python(folder: Path) -> Path:
    return folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")


def _make(folder: Path, python: Path) -> None:
    """Make the environment beside its place and rename it when it is whole; another process may win the race."""
    try:
        temporary = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", dir=private_folder(folder.parent)))
    except OSError as error:
        raise InputError(f"cannot write {folder.parent}: {error.strerror or error}; set RGB_CACHE_DIR") from error
    try:
        _create(temporary, python)
        _install(temporary)
        (temporary / _READY).touch()
        if _is_ready(folder):
            return
        shutil.rmtree(folder, ignore_errors=True)
        os.replace(temporary, folder)
    except (OSError, subprocess.CalledProcessError) as error:
        raise InputError(f"the face detector cannot be installed ({_reason(error)}); {_ADVICE}") from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _create(folder: Path, python: Path) -> None:
    """An empty environment of an interpreter."""
    if python == Path(sys.executable):
        venv.create(folder, with_pip=True, clear=True)
    else:
        command = [str(python), "-I", "-m", "venv", "--clear", str(folder)]
        subprocess.run(  # noqa: S603, found by `fitting_python`
            command, check=True, capture_output=True, encoding="utf-8", errors="replace", cwd=folder
        )


def _install(folder: Path) -> None:
    """Exactly the listed wheels, by checksum: no source is built, and no other package is looked for."""
    options = ("--quiet", "--disable-pip-version-check", "--no-deps", "--only-binary", ":all:", "--require-hashes")
    command = [str(_python(folder)), "-I", "-m", "pip", "install", *options, "-r", str(_REQUIREMENTS)]
    subprocess.run(  # noqa: S603, of this package
        command, check=True, capture_output=True, encoding="utf-8", errors="replace", cwd=folder
    )


def _reason(error: OSError | subprocess.CalledProcessError) -> str:
    """The last line that says ERROR, or else the error itself."""
    lines = (error.stderr or "").splitlines() if isinstance(error, subprocess.CalledProcessError) else []
    errors = [line.strip() for line in lines if "ERROR" in line]
    return errors[-1] if errors else str(error)
