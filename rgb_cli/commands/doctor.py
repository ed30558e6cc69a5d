"""`rgb doctor`: is this machine ready, and what to do where it is not."""

import platform
import shutil
import sys
from importlib import metadata
from pathlib import Path

from ..console import Reporter
from ..options import Json, Quiet

_PACKAGES = ("torch", "numba", "numpy", "OpenEXR", "imageio-ffmpeg", "safetensors", "mitsuba", "embreex")
_OPTIONAL = frozenset({"mitsuba", "embreex"})
_NEEDED_GB = 2.0


def doctor(quiet: Quiet = False, as_json: Json = False) -> None:
    """Check Python, packages, GPU, video codec, head model and disk; one line each.

    Example: rgb doctor
    """
    checks = {
        "python": f"{platform.python_version()} at {sys.executable}",
        **{name: _version(name) for name in _PACKAGES},
        "gpu": _gpu(),
        "cpu threads": _threads(),
        "video": _video(),
        "built-in head": _head(),
        "disk": _disk(),
    }
    Reporter(quiet, as_json).result("rgb doctor", checks)


def _version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return (
            "not installed: only the tests use it"
            if package in _OPTIONAL
            else "MISSING: pip install -r requirements.txt"
        )


def _gpu() -> str:
    import torch

    if not torch.cuda.is_available():
        return "none seen by torch; computing on the CPU"
    return f"{torch.cuda.get_device_name()}, not used by this version"


def _threads() -> str:
    import numba
    import torch

    return f"torch {torch.get_num_threads()}, numba {numba.get_num_threads()}"


def _video() -> str:
    import imageio_ffmpeg

    try:
        return f"ffmpeg {imageio_ffmpeg.get_ffmpeg_version()}"
    except RuntimeError:
        return "MISSING: pip install imageio-ffmpeg, or set IMAGEIO_FFMPEG_EXE"


def _head() -> str:
    from rgb_core.heads import builtin_head

    head = builtin_head()
    return f"{head.vertex_count} vertices, {len(head.expression_names)} expressions"


def _disk() -> str:
    free = shutil.disk_usage(Path.cwd()).free / 1e9
    advice = "" if free > _NEEDED_GB else f": fewer than {_NEEDED_GB:.0f} GB, a fit may not find room"
    return f"{free:.1f} GB free in {Path.cwd()}{advice}"
