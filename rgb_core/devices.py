"""Where to compute: `auto`, `cpu` or `cuda`, and what a machine lacks for the latter."""

import platform
from concurrent.futures import Future, ThreadPoolExecutor

import torch
from kernel_runtime import UnsupportedDevice
from kernel_runtime.ahead import all_modules, all_parallel_kernels, compile_ahead
from kernel_runtime.cubins import nvrtc_version
from kernel_runtime.cuda import architecture
from kernel_runtime.jit import compile_on_host
from torchoptixext_visibility.cpu_bvh import compile_build

from .errors import InputError

CPU = torch.device("cpu")


def resolve_device(name: str) -> torch.device:
    """The device called `name`; `auto` is the GPU where one can be used, else the CPU.

    Raises:
        InputError: for `cuda` on a machine without a usable GPU, saying what is missing.
    """
    if name == "cpu":
        return CPU
    problem = _missing_for_cuda()
    if problem is None:
        return torch.device("cuda", torch.cuda.current_device())
    if name == "auto":
        return CPU
    raise InputError(f"--device cuda: {problem}; use --device cpu")


def start_device(name: str) -> Future[torch.device]:
    """`resolve_device` in a thread, which also starts a GPU: that takes a second in which files can be read."""

    def start() -> torch.device:
        device = resolve_device(name)
        torch.zeros((), device=device)
        return device

    thread = ThreadPoolExecutor(1)
    started = thread.submit(start)
    thread.shutdown(wait=False)
    return started


def start_kernels(device: torch.device) -> None:
    """Have the kernels that a device needs compiled, or read from the cache, side by side meanwhile; returns at once.

    With a GPU, a tree's shape is found on the host even then, by code that is compiled meanwhile too.
    """
    if device.type == "cpu":
        compile_on_host(all_parallel_kernels())
    else:
        index = torch.cuda.current_device() if device.index is None else device.index
        compile_ahead(all_modules(), architecture(index))
        compile_build()


def _missing_for_cuda() -> str | None:
    """Why the GPU cannot be used, as the middle of a sentence; None where it can."""
    if torch.version.cuda is None:
        return "this torch was installed without CUDA (install the wheel that pytorch.org names for your driver)"
    if not torch.cuda.is_available():
        return "torch sees no NVIDIA GPU (nvidia-smi tells whether the driver works)"
    try:
        nvrtc_version()
    except UnsupportedDevice as error:
        return str(error)
    return None


def device_name(device: torch.device) -> str:
    """What a report calls the device."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return f"{platform.processor() or platform.machine()} CPU, {torch.get_num_threads()} threads"
