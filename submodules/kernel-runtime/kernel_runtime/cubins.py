"""Compiles CUDA C++ from package data to machine code with NVRTC, and keeps the results on disk."""

import contextlib
import hashlib
import json
from dataclasses import dataclass
from functools import lru_cache
from importlib import resources
from pathlib import Path

from .arguments import UnsupportedDevice
from .private import cache_root, read_private, write_private

# Changes when what a cache entry holds changes.
_FORMAT = 1
_CPP_STANDARD = "c++17"


class CompileError(RuntimeError):
    """NVRTC refused a source; the message holds its log."""


@dataclass(frozen=True)
class Cubin:
    """Machine code for one architecture and the mangled name of each kernel in it."""

    code: bytes
    symbols: dict[str, str]


@dataclass(frozen=True)
class CudaSource:
    """A .cu file and the headers it includes, all in one package's data, and how to compile them.

    fast_math allows approximate division, square root and transcendental functions and flushes denormals to zero; sums
    are never reordered.
    """

    package: str
    source: str
    includes: tuple[str, ...] = ()
    fast_math: bool = True

    def texts(self) -> list[str]:
        """The source and its headers, in the order of `includes`."""
        return [(self._folder() / name).read_text(encoding="utf-8") for name in (self.source, *self.includes)]

    def compile(self, arch: str, names: tuple[str, ...]) -> Cubin:
        """The kernels `names` (C++ expressions such as `blend<3>`) for `arch` (`sm_90`), from the cache if there.

        Needs no GPU.

        Raises:
            CompileError: with the compiler's log.
            UnsupportedDevice: cuda.core or NVRTC is not installed.
        """
        path = cache_folder() / f"{self._key(arch, names)}.cubin"
        cubin = _read(path)
        if cubin is None:
            cubin = self._compile(arch, names)
            _write(path, cubin)
        return cubin

    def _folder(self) -> Path:
        return Path(str(resources.files(self.package)))

    def _key(self, arch: str, names: tuple[str, ...]) -> str:
        settings = [_FORMAT, _CPP_STANDARD, self.fast_math, arch, nvrtc_version(), names, self.source, self.includes]
        return hashlib.sha256(json.dumps([settings, self.texts()]).encode()).hexdigest()

    def _compile(self, arch: str, names: tuple[str, ...]) -> Cubin:
        from cuda.core import Program, ProgramOptions

        options = ProgramOptions(
            name=self.source, arch=arch, std=_CPP_STANDARD, use_fast_math=self.fast_math,
            include_path=str(self._folder()),
        )  # fmt: skip
        try:
            compiled = Program(self.texts()[0], "c++", options).compile("cubin", name_expressions=names)
        except Exception as error:
            raise CompileError(f"{self.package}/{self.source} does not compile for {arch}:\n{error}") from error
        symbols = {_text(name): _text(symbol) for name, symbol in compiled.symbol_mapping.items()}
        return Cubin(bytes(compiled.code), symbols)


@lru_cache(maxsize=1)
def nvrtc_version() -> tuple[int, int]:
    """Major and minor version of the compiler.

    Raises:
        UnsupportedDevice: cuda.core or NVRTC is not installed.
    """
    try:
        import cuda.core  # noqa: F401, the launcher that must come with the compiler
        from cuda.bindings import nvrtc

        status, major, minor = nvrtc.nvrtcVersion()
    except Exception as error:  # cuda.bindings reports a library it cannot load by various types
        raise UnsupportedDevice(
            "CUDA tensors need the packages cuda-core, cuda-bindings and nvidia-cuda-nvrtc, "
            f"which did not load (pip install cuda-core 'cuda-bindings>=13,<14' 'nvidia-cuda-nvrtc>=13,<14'): {error}"
        ) from error
    if status != nvrtc.nvrtcResult.NVRTC_SUCCESS:
        raise UnsupportedDevice(f"CUDA tensors need NVRTC, which did not start: {status}")
    return major, minor


def cache_folder() -> Path:
    """Where compiled kernels are kept, in the user's private cache folder."""
    return cache_root() / "cubins"


def _read(path: Path) -> Cubin | None:
    """The entry at `path`, or None if there is none that is whole and the user's own."""
    try:
        head, code = read_private(path).split(b"\n", 1)
        entry = json.loads(head)
        if entry["sha256"] == hashlib.sha256(code).hexdigest():
            return Cubin(code, entry["symbols"])
    except (OSError, ValueError, KeyError, TypeError):
        pass
    return None


def _write(path: Path, cubin: Cubin) -> None:
    """Keep an entry; a folder that cannot be written costs only compiling again."""
    head = json.dumps({"sha256": hashlib.sha256(cubin.code).hexdigest(), "symbols": cubin.symbols})
    with contextlib.suppress(OSError):
        write_private(path, head.encode() + b"\n" + cubin.code)


def _text(name: str | bytes) -> str:
    return name.decode() if isinstance(name, bytes) else name
