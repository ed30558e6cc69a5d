"""Compiles kernels side by side before they are needed: a first run waits for the slowest and not for the sum."""

import os
from collections.abc import Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from functools import lru_cache

from .cubins import Cubin
from .cuda import CudaModule


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
