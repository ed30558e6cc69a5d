"""numba settings shared by all CPU kernels, and what keeps results repeatable: fixed work splits, code from the cache.

Where a parallel kernel is compiled, numba keeps its loop body twice, optimised alone and within the kernel, and runs
the former in the process that compiles but the latter in those that load the cache: the first run on a machine would
differ from all others in the last bit. Parallel kernels are therefore compiled by a child process and always loaded.
"""

import contextlib
import importlib
import json
import os
import pickle
import subprocess
import sys
import threading
from collections.abc import Callable, Iterable
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any

import numba
import numpy as np
from numba.core.sigutils import normalize_signature

from .machine_code import MachineCodeCache
from .private import cache_root

# Contraction and reassociation are allowed; NaN and infinity keep their meaning.
_FAST = {"contract", "reassoc", "arcp", "nsz", "afn"}
_CHILD = "KERNEL_RUNTIME_COMPILES"
_MOST_CHILDREN = 4  # that compile ahead at once: each takes 0.4 GB meanwhile
# Isolated from the folder that the user stands in: the standard library first, then what this process imports from.
_PROGRAM = """
import json, site, sys
library = list(sys.path)
site.main()
sys.path[:] = library + [path for path in json.loads(sys.argv[1]) if path not in library]
from kernel_runtime.jit import compile_request
compile_request()
"""


def jit(function: Callable[..., Any] | None = None, **settings: Any) -> Any:
    """A numba function that parallel kernels call; `settings` change those that all share.

    It is inlined without exception, since functions out of line exist twice as well.
    """
    if function is None:
        return lambda decorated: jit(decorated, **settings)
    return _cached(function, MachineCodeCache(function), forceinline=True, **settings)


def parallel_jit(*signatures: str) -> Callable[[Callable[..., Any]], Any]:
    """A parallel numba kernel (`prange`), compiled by a child process where the cache does not have it.

    Args:
        signatures: what it is usually called with, `(f4[:,::1], i8)`, for which `compile_on_host` compiles it ahead.
            Other arguments are compiled for when they come.
    """

    def decorated(function: Callable[..., Any]) -> Any:
        cache = MachineCodeCache(function)
        kernel = _cached(function, cache if _CHILD in os.environ else _CompilingCache(cache, function), parallel=True)
        parallel_kernels[kernel] = signatures
        return kernel

    return decorated


parallel_kernels: dict[Any, tuple[str, ...]] = {}
"""All parallel kernels of the packages imported so far, with the arguments that they are usually called with."""


def _cached(function: Callable[..., Any], cache: Any, **settings: Any) -> Any:
    dispatcher = numba.njit(**{"fastmath": _FAST, "error_model": "numpy", **settings})(function)
    dispatcher._cache = cache
    return dispatcher


class _CompilingCache:
    """A cache that has missing overloads compiled by a child process before it looks again."""

    def __init__(self, cache: MachineCodeCache, function: Callable[..., Any]):
        self._cache = cache
        self._function = function

    def load_overload(self, signature: Any, context: Any) -> Any:
        """The compiled overload; None where the child failed too, so that numba compiles it here and says why."""
        found = self._cache.load_overload(signature, context)
        if found is None and self._function in _children:
            _children[self._function].wait()
            found = self._cache.load_overload(signature, context)
        if found is None:
            _start_child(self._function, signature).wait()
            found = self._cache.load_overload(signature, context)
        return found

    def __getattr__(self, name: str) -> Any:
        return getattr(self._cache, name)


def compile_apart(dispatcher: Any, *examples: Any) -> None:
    """Have another process compile a `jit` function for arguments like `examples` into the cache, unless one did.

    Returns at once. Who calls the function before the other process is done compiles it too.
    """
    if not dispatcher._cache.holds_anything():
        _start_child(dispatcher.py_func, tuple(map(numba.typeof, examples)))


def compile_on_host(kernels: Iterable[Any]) -> list[threading.Thread]:
    """Have parallel kernels compiled by up to four processes, but no more than numba uses threads; returns at once.

    Those that the cache has are left out. A call of a kernel that is being compiled waits for that; a call of one that
    still waits has it compiled at once.

    Returns:
        Threads that end when all is compiled, for who waits for that.
    """
    waiting: SimpleQueue[tuple[Any, str]] = SimpleQueue()
    for kernel in kernels:
        for signature in parallel_kernels[kernel]:
            waiting.put((kernel, signature))

    def compile_waiting() -> None:
        with contextlib.suppress(Empty):
            while True:
                kernel, signature = waiting.get_nowait()
                if kernel.py_func not in _children and not kernel._cache.holds_anything():
                    _start_child(kernel.py_func, signature).wait()

    count = min(_MOST_CHILDREN, numba.config.NUMBA_NUM_THREADS)
    threads = [threading.Thread(target=compile_waiting, daemon=True) for _ in range(count)]
    for thread in threads:
        thread.start()
    return threads


_children: dict[Callable[..., Any], subprocess.Popen[bytes]] = {}
"""The last process that was started for a function."""


def _start_child(function: Callable[..., Any], signature: Any) -> subprocess.Popen[bytes]:
    """A process that compiles a kernel into the cache."""
    request = pickle.dumps((function.__module__, function.__name__, signature))
    paths = json.dumps([os.path.abspath(path) for path in sys.path if path])
    command = [sys.executable, "-I", "-S", "-c", _PROGRAM, paths]
    environment = {**os.environ, _CHILD: "1", "RGB_CACHE_DIR": str(cache_root())}
    child = subprocess.Popen(  # noqa: S603, this interpreter with the program above
        command, env=environment, cwd=Path(__file__).parent, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )  # fmt: skip
    assert child.stdin is not None
    with contextlib.suppress(BrokenPipeError):  # it failed at once; numba compiles in this process and says why
        child.stdin.write(request)
        child.stdin.close()
    _children[function] = child
    return child


def compile_request() -> None:
    """In the child: compile the kernel that the parent asks for on standard input, into the cache."""
    module, name, signature = pickle.load(sys.stdin.buffer)  # noqa: S301, from the parent, through a pipe
    arguments = normalize_signature(signature)[0]  # what a call looks for in the cache
    getattr(importlib.import_module(module), name).compile(arguments)


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
