"""numba settings shared by all CPU kernels, and what keeps results repeatable: fixed work splits, code from the cache.

Where a parallel kernel is compiled, numba keeps its loop body twice, optimised alone and within the kernel, and runs
the former in the process that compiles but the latter in those that load the cache: the first run on a machine would
differ from all others in the last bit. Parallel kernels are therefore compiled by a child process and always loaded.
"""

import importlib
import os
import pickle
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from typing import Any

import numba
import numpy as np

# Contraction and reassociation are allowed; NaN and infinity keep their meaning.
_FAST = {"contract", "reassoc", "arcp", "nsz", "afn"}
_SETTINGS = {"cache": True, "fastmath": _FAST, "error_model": "numpy"}
_CHILD = "KERNEL_RUNTIME_COMPILES"

# What kernels call is inlined without exception, since functions out of line exist twice as well.
jit = partial(numba.njit, forceinline=True, **_SETTINGS)


def parallel_jit(function: Callable[..., Any]) -> Any:
    """A parallel numba kernel (`prange`), compiled by a child process where the cache does not have it."""
    dispatcher = numba.njit(parallel=True, **_SETTINGS)(function)
    if _CHILD not in os.environ:
        dispatcher._cache = _CompilingCache(dispatcher._cache, function)
    return dispatcher


class _CompilingCache:
    """A dispatcher's cache that has missing overloads compiled by a child process before it looks again."""

    def __init__(self, cache: Any, function: Callable[..., Any]):
        self._cache = cache
        self._function = function

    def load_overload(self, signature: Any, context: Any) -> Any:
        """The compiled overload; None where the child failed too, so that numba compiles it here and says why."""
        found = self._cache.load_overload(signature, context)
        if found is not None:
            return found
        request = pickle.dumps((self._function.__module__, self._function.__name__, signature))
        command = [sys.executable, "-c", "from kernel_runtime.jit import compile_request; compile_request()"]
        environment = {**os.environ, _CHILD: "1", "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
        subprocess.run(command, input=request, env=environment, capture_output=True, check=False)
        return self._cache.load_overload(signature, context)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._cache, name)


def compile_request() -> None:
    """In the child: compile the kernel that the parent asks for on standard input, into the cache."""
    module, name, signature = pickle.load(sys.stdin.buffer)
    getattr(importlib.import_module(module), name).compile(signature)


@jit
def chunk_bounds(total, chunks):
    """Boundaries [chunks + 1] that split `total` items evenly.

    Kernels that reduce give every chunk its own accumulator and add the chunks in order, so that a result depends
    on the number of chunks alone and never on which thread ran first.
    """
    bounds = np.empty(chunks + 1, np.int64)
    for chunk in range(chunks + 1):
        bounds[chunk] = total * chunk // chunks
    return bounds
