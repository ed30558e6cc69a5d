"""The texels of a light map regrouped so that those of a group point to neighbouring directions."""

from functools import lru_cache

import numpy as np
from kernel_runtime import texel_directions

_GROUPS_PER_BLOCK = 32
_BITS_PER_WORD = 32


@lru_cache(maxsize=8)
def grouped_texels(height: int, width: int, size: int) -> np.ndarray:
    """Texel at each position [size G] of the grouped order, -1 for none: median splits down to groups of `size`.

    G is a multiple of 32, and so are neighbours the 32 groups of a block.
    """
    directions = texel_directions(height, width)
    groups, pending = [], [np.arange(height * width)]
    while pending:
        members = pending.pop()
        if len(members) <= size:
            groups.append(np.pad(members, (0, size - len(members)), constant_values=-1))
            continue
        longest_axis = np.linalg.eigh(np.cov(directions[members].T))[1][:, -1]
        members = members[np.argsort(directions[members] @ longest_axis, kind="stable")]
        middle = (len(members) // size + 1) // 2 * size
        pending += [members[middle:], members[:middle]]
    groups += [np.full(size, -1)] * (-len(groups) % _GROUPS_PER_BLOCK)
    return np.concatenate(groups)


def positions(order: np.ndarray, texels: int) -> np.ndarray:
    """Where each of `texels` went in the grouped `order`: int32 [32 S], S = ceil(texels / 32), -1 past the last."""
    slot = np.full(-(-texels // _BITS_PER_WORD) * _BITS_PER_WORD, -1, np.int32)
    slot[order[order >= 0]] = np.flatnonzero(order >= 0)
    return slot
