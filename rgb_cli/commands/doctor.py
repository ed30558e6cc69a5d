"""`rgb doctor`: is this machine ready, and what to do where it is not."""

import os
import platform
import shutil
import subprocess
import sys
import time
import warnings
from importlib import metadata
from pathlib import Path
from typing import Annotated

import typer

from ..console import Reporter
from ..options import Device, Json, Quiet

_PACKAGES = ("torch", "numba", "numpy", "OpenEXR", "imageio-ffmpeg", "safetensors")
_INSTALL = "MISSING: pip install -r requirements.txt"
_CUDA = "pip install cuda-core 'cuda-bindings>=13,<14' 'nvidia-cuda-nvrtc>=13,<14'"
_NEEDED_GB = 2.0
_CACHES = ("numba", "cubins", "mediapipe-*")  # kernels for CPUs and GPUs, environments of the face detector
_DRIVER_SECONDS = 10  # nvidia-smi answers at once or hangs on a broken driver
_HEAD_FILES = ("generic_model.pkl", "[Ff][Ll][Aa][Mm][Ee]*.pkl", "[Ff][Ll][Aa][Mm][Ee]*.npz", "head.npz")
_FLAME = "https://flame.is.tue.mpg.de"


def doctor(
    warm: Annotated[
        str | None,
        typer.Option(
            "--warm", metavar="TARGET",
            help="Also compile all kernels into the cache, for this processor (cpu) or a GPU (sm_90); needs no GPU.",
        ),
    ] = None,
    clear_caches: Annotated[
        bool, typer.Option("--clear-caches", help="First delete compiled kernels and the face detector.")
    ] = False,
    quiet: Quiet = False,
    as_json: Json = False,
) -> None:  # fmt: skip
    """Check Python, packages, GPU, compiler, codecs, head models and disk; one line each, and what to do.

    Example: rgb doctor
    """
    if clear_caches:
        for folder in _caches():
            shutil.rmtree(folder, ignore_errors=True)
    checks = {
        "python": f"{platform.python_version()} at {sys.executable}",
        **{name: _version(name, _INSTALL) for name in _PACKAGES},
        "gpu": _gpu(),
        "driver": _driver(),
        "nvrtc": _nvrtc(),
        "cuda.core": _version("cuda-core", f"not installed; a GPU needs it: {_CUDA}"),
        "cache": _cache(),
        "cpu threads": _threads(),
        "video": _video(),
        "exr": _exr(),
        "built-in head": _builtin_head(),
        "head models": _head_models(),
        "disk": _disk(),
    }
    if warm is not None:
        checks["kernels"] = _warm(warm)
    Reporter(quiet, as_json).result("rgb doctor", checks)


def head_folders() -> list[Path]:
    """Where head model files are looked for: $RGB_HEADS (one or more folders), ./assets and ~/.cache/rgb."""
    given = [Path(name) for name in os.environ.get("RGB_HEADS", "").split(os.pathsep) if name]
    return [*given, Path("assets"), Path(os.path.expanduser("~")) / ".cache" / "rgb"]


def _version(package: str, otherwise: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return otherwise


def _gpu() -> str:
    import torch

    from rgb_core.devices import resolve_device
    from rgb_core.errors import InputError

    if not torch.cuda.is_available():
        reason = "this torch has no CUDA" if torch.version.cuda is None else "its driver or device is not visible"
        return f"none seen by torch ({reason}); computing on the CPU"
    properties = torch.cuda.get_device_properties(0)
    name = f"{properties.name}, {properties.total_memory / 1e9:.0f} GB, sm_{properties.major}{properties.minor}"
    try:
        resolve_device(Device.cuda)
    except InputError as error:
        return f"{name}; not used: {error}"
    return name


def _driver() -> str:
    program = shutil.which("nvidia-smi")
    if program is None:
        return "none: nvidia-smi was not found; for an NVIDIA GPU install its driver"
    command = [program, "--query-gpu=driver_version", "--format=csv,noheader"]
    try:
        answer = subprocess.run(  # noqa: S603, the driver's own program
            command, capture_output=True, encoding="utf-8", errors="replace", timeout=_DRIVER_SECONDS, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return "BROKEN: nvidia-smi does not answer; reboot or install the driver again"
    if answer.returncode or not answer.stdout.strip():
        return "BROKEN: nvidia-smi sees no GPU; reboot or install the driver again"
    return answer.stdout.split()[0]


def _nvrtc() -> str:
    from kernel_runtime import UnsupportedDevice
    from kernel_runtime.cubins import nvrtc_version

    try:
        return ".".join(map(str, nvrtc_version()))
    except UnsupportedDevice:
        return f"not installed; a GPU needs it: {_CUDA}"


def _cache() -> str:
    """Where compiled kernels and the face detector are kept, and how much that is."""
    from kernel_runtime.private import cache_problem, cache_root

    with warnings.catch_warnings(action="ignore"):  # the line says it
        problem, folder = cache_problem(), cache_root()
        held = ", ".join(f"{cache.name} {_megabytes(cache):.0f} MB" for cache in _caches())
    used = f"{folder} ({held or 'empty'}; --clear-caches deletes it)"
    return f"{problem}; {used} is used; set RGB_CACHE_DIR to a folder of yours" if problem else used


def _caches() -> list[Path]:
    """The folders of ours in the cache folder; what else lies there is the user's."""
    from kernel_runtime.private import cache_root

    with warnings.catch_warnings(action="ignore"):
        root = cache_root()
    return sorted(folder for name in _CACHES for folder in root.glob(name) if folder.is_dir())


def _megabytes(folder: Path) -> float:
    return sum(path.lstat().st_size for path in folder.rglob("*") if not path.is_dir()) / 1e6


def _warm(target: str) -> str:
    from kernel_runtime import UnsupportedDevice
    from kernel_runtime.ahead import all_modules, all_parallel_kernels, compile_ahead
    from kernel_runtime.cubins import CompileError
    from kernel_runtime.jit import compile_on_host

    start = time.monotonic()
    if target == "cpu":
        parallel = all_parallel_kernels()
        for thread in compile_on_host(parallel):
            thread.join()
        return f"{len(parallel)} for the CPU in {time.monotonic() - start:.1f} s"
    try:
        compiled = [future.result() for future in compile_ahead(all_modules(), target)]
    except (CompileError, UnsupportedDevice) as error:
        return f"BROKEN: {str(error).splitlines()[0]}"
    kernels = sum(len(cubin.symbols) for cubin in compiled)
    return f"{kernels} for {target} in {time.monotonic() - start:.1f} s"


def _threads() -> str:
    import numba
    import torch

    return f"torch {torch.get_num_threads()}, numba {numba.get_num_threads()} of {os.cpu_count()}"


def _video() -> str:
    try:
        import imageio_ffmpeg

        program = imageio_ffmpeg.get_ffmpeg_exe()
        listed = subprocess.run(  # noqa: S603, the ffmpeg of the installation
            [program, "-v", "quiet", "-encoders"], capture_output=True, encoding="utf-8", errors="replace", check=False
        )
    except (ImportError, RuntimeError, OSError):
        return "MISSING: pip install imageio-ffmpeg, or set IMAGEIO_FFMPEG_EXE"
    if "libx264" not in listed.stdout:
        return f"{program} cannot write H.264: unset IMAGEIO_FFMPEG_EXE or let it name another ffmpeg"
    return f"ffmpeg {imageio_ffmpeg.get_ffmpeg_version()} with H.264"


def _exr() -> str:
    try:
        import OpenEXR  # noqa: F401
    except ImportError:
        return _INSTALL
    return "OpenEXR reads and writes; .hdr and .png need no library"


def _builtin_head() -> str:
    from rgb_core.errors import RgbError
    from rgb_core.heads import builtin_head

    try:
        head = builtin_head()
    except RgbError as error:
        return f"MISSING: {error}"
    return f"{head.vertex_count} vertices, {len(head.expression_names)} expressions"


def _head_models() -> str:
    folders = head_folders()
    patterns = [below + name for below in ("", "*/", "*/*/") for name in _HEAD_FILES]
    found = sorted({str(path) for folder in folders for pattern in patterns for path in folder.glob(pattern)})
    if found:
        return ", ".join(found)
    places = ", ".join(map(str, folders))
    return f"no FLAME in {places}; only FLAME datasets need it: register at {_FLAME}, put its .pkl into one of these"


def _disk() -> str:
    free = shutil.disk_usage(Path.cwd()).free / 1e9
    advice = "" if free > _NEEDED_GB else f": fewer than {_NEEDED_GB:.0f} GB, a fit may not find room"
    return f"{free:.1f} GB free in {Path.cwd()}{advice}"
