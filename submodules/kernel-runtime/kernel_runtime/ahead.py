"""Compiles kernels side by side before they are needed: a first run waits for the slowest and not for the sum."""

import importlib
import os
from collections.abc import Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from functools import lru_cache
from typing import Any

from .cubins import Cubin
from .cuda import CudaModule
from .jit import parallel_kernels

PACKAGES = (
    "torchoptixext_visibility", "diff_envshade", "mesh_rasterizer", "simple_knn", "gaussian_blendshapes",
    "diff_gaussian_rasterization", "training_kernels", "frnn",
)  # fmt: skip
"""All packages with kernels, by their import names, about as an avatar's fit comes to need them."""


def all_modules() -> list[CudaModule]:
    """Every module of all packages; what is made for template arguments at its first use has no part in it."""
    for package in PACKAGES:
        importlib.import_module(f"{package}.cuda")
    return CudaModule.registry


def all_parallel_kernels() -> list[Any]:
    """The parallel CPU kernels of all packages that say what they are usually called with."""
    for package in PACKAGES:
        importlib.import_module(f"{package}.cpu")
    return [kernel for kernel, usual in parallel_kernels.items() if usual]


def compile_ahead(modules: Iterable[CudaModule], arch: str) -> list[Future[Cubin]]:
    """Start compiling all kernels of `modules` for `arch` (`sm_90`), from the cache where they are there.

    Returns at once. A launch that needs one of them waits for that one alone and compiles nothing twice; whoever waits
    for all asks the futures. Needs no GPU.

    Args:
        modules: such as `CudaModule.registry`, every module of the packages imported so far.
    """
    return [module.compile_ahead(names, arch, _pool()) for module in modules for names in module.units()]


@lru_cache(maxsize=1)
def _pool() -> ThreadPoolExecutor:
    """Threads, since the compiler works outside of Python's lock."""
    return ThreadPoolExecutor(os.cpu_count(), thread_name_prefix="nvrtc")
