"""CUDA kernels as Python objects: compiled at first use for the device at hand, launched on torch's current stream.

    _MODULE = CudaModule("my_package", "blend.cu", includes=("vectors.cuh",))
    _BLEND = _MODULE.kernel("blend", 3, True)  # the instance blend<3, true>
    _BLEND.launch(blocks, 128, (positions, weights, np.int32(count), np.float32(0.5), None))

Create kernels when a module is imported: this costs nothing, and the plain kernels of a source (those without template
arguments) that exist by the first launch are compiled together. Every template instance is compiled on its own.
"""

import threading
from collections.abc import Sequence
from concurrent.futures import Executor, Future
from functools import lru_cache
from typing import Any

import numpy as np
import torch

from .arguments import ArgumentError, UnsupportedDevice
from .cubins import Cubin, CudaSource
from .parameters import ParameterLayout, check_tensors

# Dynamic shared memory that a kernel may use without asking for it, bytes.
_SHARED_BYTES_ALLOWED = 48 * 1024

# What every thread remembers: the devices whose context it has made current.
_thread = threading.local()

Dimensions = int | tuple[int, ...]
Argument = torch.Tensor | np.generic | int | float | None


class CudaModule:
    """A CUDA source in a package's data.

    Args:
        package: the import name of the package whose folder holds the files.
        source: name of the .cu file.
        includes: names of all headers that it includes, directly or through others, from the same folder.
        fast_math: see `cubins.CudaSource`.
    """

    # Every module of the process, for tests and warm-up.
    registry: list["CudaModule"] = []  # noqa: RUF012

    def __init__(self, package: str, source: str, includes: tuple[str, ...] = (), fast_math: bool = True) -> None:
        self.source = CudaSource(package, source, tuple(includes), fast_math)
        self.kernels: dict[str, Kernel] = {}
        self._objects: dict[tuple[str, tuple[str, ...]], Any] = {}
        self._ahead: dict[tuple[str, tuple[str, ...]], Future[Cubin]] = {}
        CudaModule.registry.append(self)

    def kernel(self, name: str, *template_args: int | bool | str) -> "Kernel":
        """The kernel `name`, or its instance for template arguments (numbers, or type names as text)."""
        if template_args:
            name = f"{name}<{', '.join(_cpp(arg) for arg in template_args)}>"
        if name not in self.kernels:
            self.kernels[name] = Kernel(self, name)
        return self.kernels[name]

    def units(self) -> list[tuple[str, ...]]:
        """The names of kernels that are compiled together."""
        plain = tuple(sorted(name for name in self.kernels if "<" not in name))
        return [*([plain] if plain else []), *((name,) for name in self.kernels if "<" in name)]

    def compile_ahead(self, names: tuple[str, ...], arch: str, pool: Executor) -> "Future[Cubin]":
        """Have one of `units` compiled by the pool; see `ahead.compile_ahead`."""
        if (arch, names) not in self._ahead:
            self._ahead[arch, names] = pool.submit(self.source.compile, arch, names)
        return self._ahead[arch, names]

    def load(self, name: str, arch: str) -> Any:
        """The cuda.core kernel of one of `self.kernels`; compiles it if need be."""
        names = next(names for names in self.units() if name in names)
        if (arch, names) not in self._objects:
            coming = self._ahead.get((arch, names))
            cubin = coming.result() if coming else self.source.compile(arch, names)
            from cuda.core import ObjectCode

            symbols = {kernel: symbol.encode() for kernel, symbol in cubin.symbols.items()}
            self._objects[arch, names] = ObjectCode.from_cubin(cubin.code, symbol_mapping=symbols)
        return self._objects[arch, names].get_kernel(name)


class LaunchError(RuntimeError):
    """The driver refused a launch, for example of more threads than a block may have."""


class LoadedKernel:
    """A kernel that is ready for one device."""

    def __init__(self, kernel: Any) -> None:
        from cuda.bindings import driver

        self.kernel = kernel  # owns what `function` refers to
        self.function = driver.CUfunction(int(kernel.handle))
        self.start = driver.cuLaunchKernel
        self.success = driver.CUresult.CUDA_SUCCESS
        self.sizes = tuple(parameter.size for parameter in kernel.arguments_info)
        self.shared_bytes = _SHARED_BYTES_ALLOWED
        self.layouts: dict[tuple[type, ...], ParameterLayout] = {}

    def check(self, name: str, sizes: tuple[int, ...]) -> None:
        """Raise ArgumentError unless the kernel's parameters have `sizes` in bytes."""
        if sizes != self.sizes:
            raise ArgumentError(f"{name}: expected arguments of {self.sizes} bytes, got {sizes}")


class Kernel:
    """One kernel of a CudaModule. It may run on any number of devices and be launched by any number of threads."""

    def __init__(self, module: CudaModule, name: str) -> None:
        self.name = name
        self._module = module
        self._loaded: dict[int, LoadedKernel] = {}

    def launch(self, grid: Dimensions, block: Dimensions, args: Sequence[Argument], shared_bytes: int = 0) -> None:
        """Start the kernel on torch's current stream of its tensors' device, without waiting.

        May be captured in a CUDA graph once it has run outside of one. A grid without blocks starts nothing.

        Args:
            grid, block: blocks, and threads per block, in up to three dimensions.
            args: contiguous CUDA tensors (the kernel gets their data pointer), numpy scalars for numbers of a given
                width (np.int64(n)), Python int and float for int32 and float32, bool, or None for a null pointer.
            shared_bytes: dynamic shared memory per block.

        Raises:
            ArgumentError: number or sizes of the arguments do not match the kernel's, a number does not fit, a tensor
                is not contiguous, or it is on another device than the first.
            UnsupportedDevice: a tensor is not on a CUDA device, or the compiler is not installed.
            CompileError: the source does not compile.
            LaunchError: the driver refuses the launch.
        """
        device = self._device(args)
        blocks, threads = _three(grid), _three(block)
        if 0 in blocks:
            return
        loaded = self._loaded.get(device) or self.load(device)
        types = tuple(map(type, args))
        layout = loaded.layouts.get(types)
        if layout is None:
            check_tensors(self.name, tuple(args), device)
            layout = loaded.layouts[types] = ParameterLayout(self.name, types, loaded.sizes)
        if shared_bytes > loaded.shared_bytes:
            self._grant_shared_bytes(loaded, device, shared_bytes)
        memory = layout.write(tuple(args), device)
        try:
            if torch._C._cuda_getDevice() == device:
                status = start(loaded, device, blocks, threads, shared_bytes, memory.address)
            else:
                with torch.cuda.device(device):
                    status = start(loaded, device, blocks, threads, shared_bytes, memory.address)
        finally:
            layout.release(memory)
        if status != loaded.success:
            raise LaunchError(f"{self.name}: {status.name} for {blocks} blocks of {threads} threads")

    def _device(self, args: Sequence[Argument]) -> int:
        """Index of the first tensor's device."""
        for arg in args:
            if isinstance(arg, torch.Tensor):
                if not arg.is_cuda:
                    raise UnsupportedDevice(f"{self.name}: expected CUDA tensors, got one on {arg.device}")
                return arg.get_device()
        raise ArgumentError(f"{self.name}: expected at least one tensor among the arguments")

    def load(self, device: int) -> LoadedKernel:
        """The kernel on one device, compiled if need be."""
        with torch.cuda.device(device):
            _bind_context(device)  # the driver tells the sizes of arguments only to a thread that has one
            loaded = self._loaded[device] = LoadedKernel(self._module.load(self.name, architecture(device)))
        return loaded

    def _grant_shared_bytes(self, loaded: LoadedKernel, device: int, shared_bytes: int) -> None:
        from cuda.bindings import driver

        attribute = driver.CUfunction_attribute.CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES
        (status,) = driver.cuKernelSetAttribute(attribute, shared_bytes, loaded.kernel.handle, driver.CUdevice(device))
        if status != driver.CUresult.CUDA_SUCCESS:
            raise ArgumentError(f"{self.name}: {shared_bytes} bytes of shared memory are more than the device has")
        loaded.shared_bytes = shared_bytes


def start(
    loaded: LoadedKernel,
    device: int,
    blocks: tuple[int, int, int],
    threads: tuple[int, int, int],
    shared_bytes: int,
    parameters: int,
) -> Any:
    """Launch on the current stream of `device`, which is current, and return the driver's status."""
    _bind_context(device)
    stream = torch._C._cuda_getCurrentRawStream(device)
    return loaded.start(loaded.function, *blocks, *threads, shared_bytes, stream, parameters, 0)[0]


def _three(size: Dimensions) -> tuple[int, int, int]:
    """Dimensions with ones for those that are not given."""
    if isinstance(size, tuple):
        x, y, z = size + (1, 1, 1)[len(size) :]
        return x, y, z
    return size, 1, 1


def compile_only(
    package: str,
    source: str,
    arch: str,
    names: tuple[str, ...] = (),
    includes: tuple[str, ...] = (),
    fast_math: bool = True,
) -> Cubin:
    """Compile a source for `arch` (`sm_90`) on a machine that needs no GPU; see `cubins.CudaSource.compile`."""
    return CudaSource(package, source, tuple(includes), fast_math).compile(arch, tuple(names))


@lru_cache(maxsize=64)
def architecture(device_index: int) -> str:
    """The name of a CUDA device's architecture, such as sm_90."""
    major, minor = torch.cuda.get_device_capability(device_index)
    return f"sm_{major}{minor}"


def _bind_context(device_index: int) -> None:
    """Make the device's context current in this thread: autograd's threads have none until torch itself needs it."""
    try:
        bound = _thread.devices
    except AttributeError:
        bound = _thread.devices = set()
    if device_index not in bound:
        from cuda.core import Device

        Device(device_index).set_current()
        bound.add(device_index)


def _cpp(arg: int | bool | str) -> str:
    """A template argument as C++ writes it."""
    return str(arg).lower() if isinstance(arg, bool) else str(arg)
