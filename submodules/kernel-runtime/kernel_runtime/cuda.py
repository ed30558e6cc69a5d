"""CUDA kernels as Python objects: compiled at first use for the device at hand, launched on torch's current stream.

    _MODULE = CudaModule("my_package", "blend.cu", includes=("vectors.cuh",))
    _BLEND = _MODULE.kernel("blend", 3, True)  # the instance blend<3, true>
    _BLEND.launch(blocks, 128, (positions, weights, np.int32(count), np.float32(0.5), None))

Create kernels when a module is imported: this costs nothing, and the plain kernels of a source (those without template
arguments) that exist by the first launch are compiled together. Every template instance is compiled on its own.
"""

import threading
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import numpy as np
import torch

from .arguments import ArgumentError, UnsupportedDevice
from .cubins import Cubin, CudaSource

# Dynamic shared memory that a kernel may use without asking for it, bytes.
_SHARED_BYTES_ALLOWED = 48 * 1024
_POINTER_BYTES = 8

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
        CudaModule.registry.append(self)

    def kernel(self, name: str, *template_args: int | bool | str) -> "Kernel":
        """The kernel `name`, or its instance for template arguments (numbers, or type names as text)."""
        if template_args:
            name = f"{name}<{', '.join(_cpp(arg) for arg in template_args)}>"
        if name not in self.kernels:
            self.kernels[name] = Kernel(self, name)
        return self.kernels[name]

    def load(self, name: str, arch: str) -> Any:
        """The cuda.core kernel of one of `self.kernels`; compiles it if need be."""
        names = (name,) if "<" in name else tuple(sorted(other for other in self.kernels if "<" not in other))
        if (arch, names) not in self._objects:
            cubin = self.source.compile(arch, names)
            from cuda.core import ObjectCode

            symbols = {kernel: symbol.encode() for kernel, symbol in cubin.symbols.items()}
            self._objects[arch, names] = ObjectCode.from_cubin(cubin.code, symbol_mapping=symbols)
        return self._objects[arch, names].get_kernel(name)


class Kernel:
    """One kernel of a CudaModule. It may run on any number of devices."""

    def __init__(self, module: CudaModule, name: str) -> None:
        self.name = name
        self._module = module
        self._loaded: dict[str, tuple[Any, tuple[int, ...]]] = {}
        self._shared_bytes_granted: dict[int, int] = {}

    def launch(self, grid: Dimensions, block: Dimensions, args: Sequence[Argument], shared_bytes: int = 0) -> None:
        """Start the kernel on torch's current stream of its tensors' device, without waiting.

        May be captured in a CUDA graph once it has run outside of one. A grid without blocks starts nothing.

        Args:
            grid, block: blocks, and threads per block, in up to three dimensions.
            args: contiguous CUDA tensors (the kernel gets their data pointer), numpy scalars for numbers of a given
                width (np.int64(n)), Python int and float for int32 and float32, bool, or None for a null pointer.
            shared_bytes: dynamic shared memory per block.

        Raises:
            ArgumentError: number or sizes of the arguments do not match the kernel's, a tensor is not contiguous, or it
                is on another device than the first.
            UnsupportedDevice: a tensor is not on a CUDA device, or the compiler is not installed.
            CompileError: the source does not compile.
        """
        device = self._device(args)
        if 0 in (grid if isinstance(grid, tuple) else (grid,)):
            return
        kernel, sizes = self._load(device)
        values = [self._value(index, arg, device) for index, arg in enumerate(args)]
        given = tuple(_POINTER_BYTES if isinstance(value, int) else value.itemsize for value in values)
        if given != sizes:
            raise ArgumentError(f"{self.name}: expected arguments of {sizes} bytes, got {given}")
        from cuda.core import LaunchConfig, launch

        config = LaunchConfig(grid=grid, block=block, shmem_size=shared_bytes)
        if shared_bytes > max(_SHARED_BYTES_ALLOWED, self._shared_bytes_granted.get(device.index, 0)):
            self._grant_shared_bytes(kernel, device.index, shared_bytes)
        with torch.cuda.device(device):
            _bind_context(device.index)
            launch(_stream(torch.cuda.current_stream().cuda_stream), config, kernel, *values)

    def _device(self, args: Sequence[Argument]) -> torch.device:
        for arg in args:
            if isinstance(arg, torch.Tensor):
                if arg.device.type != "cuda":
                    raise UnsupportedDevice(f"{self.name}: expected CUDA tensors, got one on {arg.device}")
                return arg.device
        raise ArgumentError(f"{self.name}: expected at least one tensor among the arguments")

    def _load(self, device: torch.device) -> tuple[Any, tuple[int, ...]]:
        """The compiled kernel for `device` and the sizes of its parameters in bytes."""
        arch = architecture(device.index)
        if arch not in self._loaded:
            kernel = self._module.load(self.name, arch)
            self._loaded[arch] = kernel, tuple(parameter.size for parameter in kernel.arguments_info)
        return self._loaded[arch]

    def _value(self, index: int, arg: Argument, device: torch.device) -> int | np.generic:
        """What cuda.core passes on: an address as int, anything else as numpy scalar."""
        if isinstance(arg, torch.Tensor):
            if arg.device != device or not arg.is_contiguous():
                state = f"on {arg.device}" if arg.device != device else "with gaps"
                raise ArgumentError(f"{self.name}: argument {index} must be contiguous on {device}, got one {state}")
            return arg.data_ptr()
        if arg is None:
            return 0
        if isinstance(arg, np.generic):
            return arg
        if isinstance(arg, bool):
            return np.bool_(arg)
        return np.int32(arg) if isinstance(arg, int) else np.float32(arg)

    def _grant_shared_bytes(self, kernel: Any, device_index: int, shared_bytes: int) -> None:
        from cuda.bindings import driver

        attribute = driver.CUfunction_attribute.CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES
        (status,) = driver.cuKernelSetAttribute(attribute, shared_bytes, kernel.handle, driver.CUdevice(device_index))
        if status != driver.CUresult.CUDA_SUCCESS:
            raise ArgumentError(f"{self.name}: {shared_bytes} bytes of shared memory are more than the device has")
        self._shared_bytes_granted[device_index] = shared_bytes


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
    bound = _thread.__dict__.setdefault("devices", set())
    if device_index not in bound:
        from cuda.core import Device

        Device(device_index).set_current()
        bound.add(device_index)


@lru_cache(maxsize=256)
def _stream(handle: int) -> Any:
    """cuda.core's wrapper of a stream, which holds nothing but the handle."""
    from cuda.core import Stream

    return Stream.from_handle(handle)


def _cpp(arg: int | bool | str) -> str:
    """A template argument as C++ writes it."""
    return str(arg).lower() if isinstance(arg, bool) else str(arg)
