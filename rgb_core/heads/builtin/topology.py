"""Cuts the head out of the body mesh, triangulates it, and lays its texture out in one unit square."""

from collections import defaultdict

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

from .makehuman import Floats, Indices

UV_MARGIN = 0.004
"""Gap between texture islands, as a share of the unit square."""
UV_SHRINK = 0.98
"""How much smaller the islands get until they fit."""


def edge_loop(quads: Indices, first: int, second: int) -> list[int]:
    """Vertices of the closed edge loop that starts along the edge `first` - `second` and goes straight on."""
    around = defaultdict(set)
    for quad in quads.tolist():
        for corner, vertex in enumerate(quad):
            around[vertex].add((frozenset(quad), quad[corner - 1], quad[(corner + 1) % 4]))
    loop = [first, second]
    while True:
        previous, current = loop[-2:]
        beside = [face for face, a, b in around[current] if previous in (a, b)]
        ahead = {n for face, a, b in around[current] if face not in beside for n in (a, b)}
        ahead -= {n for face, a, b in around[current] if face in beside for n in (a, b)}
        (following,) = ahead
        if following == loop[0]:
            return loop
        loop.append(following)


def quads_beyond(quads: Indices, loop: list[int], seed_vertex: int) -> NDArray[np.bool_]:
    """Mask [Q] of the quads that can be reached from `seed_vertex` without crossing `loop`."""
    barrier = {frozenset(pair) for pair in zip(loop, loop[1:] + loop[:1], strict=True)}
    sides = defaultdict(list)
    for index, quad in enumerate(quads.tolist()):
        for pair in zip(quad, quad[1:] + quad[:1], strict=True):
            if frozenset(pair) not in barrier:
                sides[frozenset(pair)].append(index)
    pairs = np.array([owners for owners in sides.values() if len(owners) == 2])
    graph = coo_matrix((np.ones(len(pairs)), (pairs[:, 0], pairs[:, 1])), (len(quads), len(quads)))
    _, label = connected_components(graph, directed=False)
    return label == label[np.argmax((quads == seed_vertex).any(1))]


def islands(uv_quads: Indices) -> Indices:
    """The texture island [Q] of every quad, numbered from 0."""
    edges = np.concatenate([uv_quads[:, [corner, (corner + 1) % 4]] for corner in range(4)])
    count = int(uv_quads.max()) + 1
    _, label = connected_components(coo_matrix((np.ones(len(edges)), edges.T), (count, count)), directed=False)
    return np.unique(label[uv_quads[:, 0]], return_inverse=True)[1]


def triangulate(vertices: Floats, quads: Indices, uv_quads: Indices) -> tuple[Indices, Indices]:
    """Triangles and their texture corners: every quad is split along its shorter diagonal."""
    a, b, c, d = vertices[quads].transpose(1, 0, 2)
    first_diagonal = np.linalg.norm(a - c, axis=1) <= np.linalg.norm(b - d, axis=1)
    corners = np.where(first_diagonal[:, None], [0, 1, 2, 0, 2, 3], [0, 1, 3, 1, 2, 3])
    split = (np.take_along_axis(indices, corners, axis=1).reshape(-1, 3) for indices in (quads, uv_quads))
    faces, uv_faces = split
    return faces, uv_faces


def pack_islands(uv: Floats, uv_quads: Indices, island: Indices, scale: Floats, upright: NDArray[np.bool_]) -> Floats:
    """Texture coordinates [T, 2] with the islands side by side on shelves inside the unit square.

    `scale` [I] is the relative size of each island; islands that are not `upright` [I] are turned a quarter clockwise.
    """
    packed = np.zeros_like(uv)
    members = [np.unique(uv_quads[island == index]) for index in range(len(scale))]
    for index, texels in enumerate(members):
        local = uv[texels] if upright[index] else np.stack([uv[texels, 1], -uv[texels, 0]], axis=1)
        packed[texels] = (local - local.min(0)) * scale[index]
    sizes = np.array([packed[texels].max(0) for texels in members])
    order = np.argsort(-sizes[:, 1], kind="stable")
    shrink = 1.0 / sizes.max()
    while (corners := _shelves(sizes * shrink, order)) is None:
        shrink *= UV_SHRINK
    for index, texels in enumerate(members):
        packed[texels] = packed[texels] * shrink + corners[index]
    return packed


def _shelves(sizes: Floats, order: Indices) -> Floats | None:
    """Lower left corners of boxes set on shelves, tallest first; None where the unit square is too small."""
    corners = np.zeros_like(sizes)
    x = y = UV_MARGIN
    height = 0.0
    for index in order:
        if x + sizes[index, 0] + UV_MARGIN > 1 and x > UV_MARGIN:
            x, y, height = UV_MARGIN, y + height + UV_MARGIN, 0.0
        corners[index] = x, y
        x += sizes[index, 0] + UV_MARGIN
        height = max(height, sizes[index, 1])
        if x > 1 or y + height + UV_MARGIN > 1:
            return None
    return corners
