"""The order of a tree's nodes in which the two children of every node are neighbours, as visibility reads them."""

from dataclasses import dataclass
from typing import Self

import numpy as np

_LANES = 32  # of a warp, each of which puts one pair on the stack


@dataclass(frozen=True)
class Siblings:
    """Pair k has room for two nodes, the children of the k-th inner node."""

    count: int
    """Pairs."""
    places: np.ndarray
    """[N] int32: node i is number places[i] % 2 of pair places[i] // 2; -1: of none."""
    pairs: np.ndarray
    """[N] int32: the pair of an inner node's children."""
    roots: np.ndarray
    """[R] int32: up to 32 pairs below which all triangles are, where visibility starts."""

    @classmethod
    def of(cls, links: np.ndarray) -> Self:
        """The order of nodes with `links` [N, 2], see `cpu_bvh`; a root that is a leaf has a pair for itself."""
        inner = np.flatnonzero(links[:, 1] == 0)
        places, pairs = np.full((2, len(links)), -1, np.int32)
        pairs[inner] = np.arange(len(inner))
        places[inner + 1], places[links[inner, 0]] = 2 * pairs[inner], 2 * pairs[inner] + 1
        if len(links) == 1:
            places[0] = 0
        count = max(len(inner), min(len(links), 1))
        return cls(count, places, pairs, _roots(links, inner, pairs, count))


def _roots(links: np.ndarray, inner: np.ndarray, pairs: np.ndarray, count: int) -> np.ndarray:
    """The deepest level of pairs that has no more than _LANES, and above which there is no leaf."""
    level = np.zeros(min(count, 1), np.int32)
    while len(level) and len(inner):
        below = pairs[np.concatenate([inner[level] + 1, links[inner[level], 0]])]
        if len(below) > _LANES or (below < 0).any():
            break
        level = below
    return level
