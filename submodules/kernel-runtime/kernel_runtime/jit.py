"""numba settings shared by all CPU kernels, and the fixed work split that keeps results repeatable."""

from functools import partial

import numba
import numpy as np

# Contraction and reassociation are allowed; NaN and infinity keep their meaning.
_FAST = {"contract", "reassoc", "arcp", "nsz", "afn"}

jit = partial(numba.njit, cache=True, fastmath=_FAST, error_model="numpy")
parallel_jit = partial(jit, parallel=True)


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
