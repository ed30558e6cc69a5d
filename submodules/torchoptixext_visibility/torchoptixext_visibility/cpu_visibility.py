"""Visibility bitfields on the CPU: one walk of the tree per point carries the set of directions still unoccluded.

All rays of a point share their origin, so a node is skipped when no remaining direction lies in the cone that its
bounding sphere subtends, and a triangle occludes exactly the directions on the inner side of its three edge planes
through the origin. The result equals that of tracing every ray. Directions are regrouped so that the 32 of a word
are neighbours: a cone then concerns few words, which the bounding cones of the words tell at once.
"""

from typing import NamedTuple

import numba
import numpy as np
from kernel_runtime import jit, parallel_jit, texel_directions

from .grouping import grouped_texels, positions
from .simd import at_least, lowest_bit

WORD = 32  # directions per word
_POINTS_PER_CHUNK = 128
# Share of the axis length given away so that rounding of a dot product never loses a direction.
_MARGIN = np.float32(2e-6)


class DirectionSet(NamedTuple):
    """Directions grouped into words of 32 neighbours, and where each of the original order went."""

    directions: np.ndarray  # [3, 32 G] float32, unit; zero where a group has no direction
    groups: np.ndarray  # [5, G] float32: axis of the bounding cone, cosine and sine of its half angle
    slot: np.ndarray  # [32 S] int32: position of each direction in the grouped order, -1 for those past the last


def direction_set(height: int, width: int, light_to_world: np.ndarray) -> DirectionSet:
    """The directions light_to_world @ d of the texels of a height x width map, grouped for `visibility`."""
    order = grouped_texels(height, width, WORD)
    directions = texel_directions(height, width)[order] @ light_to_world.astype(np.float64).T
    directions /= np.maximum(np.linalg.norm(directions, axis=1, keepdims=True), np.finfo(np.float32).tiny)
    directions[order < 0] = 0
    grouped = directions.reshape(-1, WORD, 3)
    axes = grouped.sum(axis=1)
    axes /= np.maximum(np.linalg.norm(axes, axis=1, keepdims=True), np.finfo(np.float32).tiny)
    cosine = np.where(order.reshape(-1, WORD) >= 0, np.einsum("gwk,gk->gw", grouped, axes), 1).min(axis=1)
    # A cone wider than a hemisphere rejects nothing: these values make its test always pass.
    wide = cosine <= 0
    sine = np.where(wide, 1, np.sqrt(np.maximum(1 - cosine**2, 0)))
    groups = np.stack([*axes.T, np.where(wide, -1, cosine), sine])
    return DirectionSet(
        np.ascontiguousarray(directions.T, np.float32),
        np.ascontiguousarray(groups, np.float32),
        positions(order, height * width),
    )


@jit
def _upper_hemisphere(directions, nx, ny, nz, active, remaining):
    """Fill `remaining` [G] with the directions at or above the plane of the normal, `active` with the words not 0."""
    active[:] = 0
    for g in range(len(remaining)):
        bits = at_least(directions, 32 * g, (nx, ny, nz), np.float32(0))
        remaining[g] = bits
        if bits != 0:
            active[g >> 5] |= np.uint32(1) << np.uint32(g & 31)


@jit
def _cone(square, radius2):
    """Tangent length `near` and radius of a ball at squared distance `square`, widened by the rounding margin.

    A unit direction is inside the cone around the ball's centre c where direction . c >= near. Two cones meet where
    the cosine between their axes is at least that of the sum of their half angles: for a group's axis g and half
    angle b that reads g . c >= near cos b - radius sin b. If near <= 0 the ball holds the origin: no cone.
    """
    slack = _MARGIN * np.sqrt(square)
    return np.sqrt(max(square - radius2, np.float32(0))) - slack, np.sqrt(radius2) + slack


@jit
def _meets_ball(remaining, active, x, y, z, radius2, directions, groups):
    """Whether a remaining direction meets the ball of radius^2 `radius2` around (x, y, z)."""
    near, radius = _cone(x * x + y * y + z * z, radius2)
    if near <= 0:
        return True
    for block in range(len(active)):
        wanted = active[block] & at_least(groups, 32 * block, (x, y, z, -near, radius), np.float32(0))
        while wanted != 0:
            g = 32 * block + lowest_bit(wanted)
            wanted &= wanted - np.uint32(1)
            inside = at_least(directions, 32 * g, (x, y, z), near)
            if inside & remaining[g]:
                return True
    return False


@jit(fastmath=False)  # reordered sums would break the antisymmetry
def _edge_plane(ax, ay, az, bx, by, bz):
    """Normal (b - a) x (a + b) of the plane through the origin, a and b; the edge keeps precision far away.

    Antisymmetric in a and b, so that no direction slips between two triangles with a common edge.
    """
    ex, ey, ez = bx - ax, by - ay, bz - az
    sx, sy, sz = ax + bx, ay + by, az + bz
    return ey * sz - ez * sy, ez * sx - ex * sz, ex * sy - ey * sx


@jit
def _remove_triangle(triangle, ox, oy, oz, nx, ny, nz, directions, groups, active, remaining):
    """Clear the bits of the directions that meet the triangle seen from (ox, oy, oz)."""
    ax, ay, az = triangle[0, 0] - ox, triangle[0, 1] - oy, triangle[0, 2] - oz
    bx, by, bz = triangle[1, 0] - ox, triangle[1, 1] - oy, triangle[1, 2] - oz
    cx, cy, cz = triangle[2, 0] - ox, triangle[2, 1] - oy, triangle[2, 2] - oz
    if max(ax * nx + ay * ny + az * nz, bx * nx + by * ny + bz * nz, cx * nx + cy * ny + cz * nz) < 0:
        return
    third = np.float32(1 / 3)
    mx, my, mz = (ax + bx + cx) * third, (ay + by + cy) * third, (az + bz + cz) * third
    radius2 = max(
        (ax - mx) ** 2 + (ay - my) ** 2 + (az - mz) ** 2,
        (bx - mx) ** 2 + (by - my) ** 2 + (bz - mz) ** 2,
        (cx - mx) ** 2 + (cy - my) ** 2 + (cz - mz) ** 2,
    )
    near, radius = _cone(mx * mx + my * my + mz * mz, radius2)
    abx, aby, abz = bx - ax, by - ay, bz - az
    acx, acy, acz = cx - ax, cy - ay, cz - az
    volume = (aby * acz - abz * acy) * ax + (abz * acx - abx * acz) * ay + (abx * acy - aby * acx) * az
    if volume == 0:
        return
    sign = np.float32(1) if volume < 0 else np.float32(-1)
    px, py, pz = _edge_plane(ax, ay, az, bx, by, bz)
    qx, qy, qz = _edge_plane(bx, by, bz, cx, cy, cz)
    rx, ry, rz = _edge_plane(cx, cy, cz, ax, ay, az)
    px, py, pz = px * sign, py * sign, pz * sign
    qx, qy, qz = qx * sign, qy * sign, qz * sign
    rx, ry, rz = rx * sign, ry * sign, rz * sign
    for block in range(len(active)):
        wanted = active[block]
        if near > 0:
            wanted &= at_least(groups, 32 * block, (mx, my, mz, -near, radius), np.float32(0))
        while wanted != 0:
            bit = lowest_bit(wanted)
            g = 32 * block + bit
            wanted &= wanted - np.uint32(1)
            hit = at_least(directions, 32 * g, (px, py, pz), np.float32(0))
            hit &= at_least(directions, 32 * g, (qx, qy, qz), np.float32(0))
            hit &= at_least(directions, 32 * g, (rx, ry, rz), np.float32(0))
            remaining[g] &= ~hit
            if remaining[g] == 0:
                active[block] &= ~(np.uint32(1) << np.uint32(bit))


@jit
def _walk(bounds, links, triangles, ox, oy, oz, nx, ny, nz, directions, groups, stack, active, remaining):
    """Clear from `remaining` every direction that is occluded from (ox, oy, oz)."""
    stack[0] = 0
    size = 1
    while size > 0:
        size -= 1
        node = stack[size]
        x, y, z = bounds[node, 0] - ox, bounds[node, 1] - oy, bounds[node, 2] - oz
        hx, hy, hz = bounds[node, 3], bounds[node, 4], bounds[node, 5]
        if x * nx + y * ny + z * nz + hx * abs(nx) + hy * abs(ny) + hz * abs(nz) < 0:
            continue
        if not _meets_ball(remaining, active, x, y, z, hx * hx + hy * hy + hz * hz, directions, groups):
            continue
        first, count = links[node, 0], links[node, 1]
        if count > 0:
            for i in range(first, first + count):
                _remove_triangle(triangles[i], ox, oy, oz, nx, ny, nz, directions, groups, active, remaining)
            continue
        # The nearer child first: what it occludes need not be sought in the other.
        left, right = bounds[node + 1], bounds[first]
        nearer_left = (left[0] - ox) ** 2 + (left[1] - oy) ** 2 + (left[2] - oz) ** 2 < (
            (right[0] - ox) ** 2 + (right[1] - oy) ** 2 + (right[2] - oz) ** 2
        )
        stack[size] = first if nearer_left else node + 1
        stack[size + 1] = node + 1 if nearer_left else first
        size += 2


@jit
def _in_original_order(remaining, slot, words):
    """Write the bits of grouped order into `words` [S], in the order `slot` [32 S] was made from."""
    for w in range(len(words)):
        bits = np.uint32(0)
        for k in range(32):
            position = slot[32 * w + k]
            if position >= 0:
                bits |= (remaining[position >> 5] >> np.uint32(position & 31) & np.uint32(1)) << np.uint32(k)
        words[w] = bits


@parallel_jit(
    "(f4[:,::1], i4[:,::1], f4[:,:,::1], i8, f4[:,::1], f4[:,::1], f4, f4[:,::1], f4[:,::1], i4[::1], u4[:,::1])"
)
def visibility(bounds, links, triangles, depth, points, normals, offset, directions, groups, slot, words):
    """Fill words [P,S] uint32: bit t is 1 where direction t leaves points + offset * normals unhindered.

    Directions below the plane of the normal are 0; a zero normal has none below.
    """
    chunks = (len(points) + _POINTS_PER_CHUNK - 1) // _POINTS_PER_CHUNK
    for chunk in numba.prange(chunks):
        stack = np.empty(depth + 2, np.int32)
        active = np.empty(groups.shape[1] // 32, np.uint32)
        remaining = np.empty(groups.shape[1], np.uint32)
        for p in range(chunk * _POINTS_PER_CHUNK, min((chunk + 1) * _POINTS_PER_CHUNK, len(points))):
            nx, ny, nz = normals[p, 0], normals[p, 1], normals[p, 2]
            ox, oy, oz = points[p, 0] + offset * nx, points[p, 1] + offset * ny, points[p, 2] + offset * nz
            _upper_hemisphere(directions, nx, ny, nz, active, remaining)
            if len(links) > 0:
                _walk(bounds, links, triangles, ox, oy, oz, nx, ny, nz, directions, groups, stack, active, remaining)
            _in_original_order(remaining, slot, words[p])
