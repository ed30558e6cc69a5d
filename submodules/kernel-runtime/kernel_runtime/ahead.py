"""Compiles kernels side by side before they are needed: a first run waits for the slowest and not for the sum."""

import importlib
import os
from collections.abc import Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from functools import lru_cache

from .cubins import Cubin
from .cuda import CudaModule

PACKAGES = (
    "diff_envshade", "diff_gaussian_rasterization", "frnn", "gaussian_blendshapes", "mesh_rasterizer", "simple_knn",
    "torchoptixext_visibility", "training_kernels",
)  # fmt: skip
"""All packages with kernels, by their import names."""


def all_modules() -> list[CudaModule]:
    """Every module of all packages; what is made for template arguments at its first use has no part in it."""
    for package in PACKAGES:
        importlib.import_module(f"{package}.cuda")
    return CudaModule.registry


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
