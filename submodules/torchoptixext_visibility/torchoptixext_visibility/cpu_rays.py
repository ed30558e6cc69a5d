"""Ray casting through the triangle tree on the CPU: the nearest hit."""

import numba
import numpy as np
from kernel_runtime import jit, parallel_jit

RAYS_PER_CHUNK = 512
# A slab interval grows by this share, so that rounding never drops a box whose triangle the ray meets.
SLAB_MARGIN = np.float32(1 + 4e-7)
# Stands for a direction component of zero, so that slab distances stay numbers.
_TINY = np.float32(1e-30)


@jit
def inverse(x):
    return np.float32(1) / (x if abs(x) > _TINY else np.copysign(_TINY, x))


@jit
def _enter_box(box, ox, oy, oz, ix, iy, iz, t_max):
    """Ray parameter at which the box is entered, or infinity if the ray misses it within (0, t_max)."""
    x, y, z = (box[0] - ox) * ix, (box[1] - oy) * iy, (box[2] - oz) * iz
    hx, hy, hz = box[3] * abs(ix), box[4] * abs(iy), box[5] * abs(iz)
    near = max(x - hx, y - hy, z - hz, np.float32(0))
    far = min(x + hx, y + hy, z + hz) * SLAB_MARGIN
    return near if near <= min(far, t_max) else np.float32(np.inf)


@jit(fastmath=False)  # reordered sums would break the antisymmetry
def _edge_volume(ax, ay, az, bx, by, bz, dx, dy, dz):
    """d . (b - a) x (a + b): antisymmetric in a and b, so that two triangles agree on their common edge."""
    ex, ey, ez = bx - ax, by - ay, bz - az
    sx, sy, sz = ax + bx, ay + by, az + bz
    return dx * (ey * sz - ez * sy) + dy * (ez * sx - ex * sz) + dz * (ex * sy - ey * sx)


@jit
def meet_triangle(triangle, ox, oy, oz, dx, dy, dz):
    """(t, barycentrics of the 2nd and 3rd corner) where the ray's line meets the triangle; t is NaN for a miss."""
    ax, ay, az = triangle[0, 0] - ox, triangle[0, 1] - oy, triangle[0, 2] - oz
    bx, by, bz = triangle[1, 0] - ox, triangle[1, 1] - oy, triangle[1, 2] - oz
    cx, cy, cz = triangle[2, 0] - ox, triangle[2, 1] - oy, triangle[2, 2] - oz
    u = _edge_volume(bx, by, bz, cx, cy, cz, dx, dy, dz)
    v = _edge_volume(cx, cy, cz, ax, ay, az, dx, dy, dz)
    w = _edge_volume(ax, ay, az, bx, by, bz, dx, dy, dz)
    total = u + v + w
    miss = np.float32(np.nan), np.float32(0), np.float32(0)
    if (min(u, v, w) < 0 < max(u, v, w)) or total == 0:
        return miss
    px, py, pz = bx - ax, by - ay, bz - az
    qx, qy, qz = cx - ax, cy - ay, cz - az
    gx, gy, gz = py * qz - pz * qy, pz * qx - px * qz, px * qy - py * qx
    along = gx * dx + gy * dy + gz * dz
    if along == 0:
        return miss
    return (gx * ax + gy * ay + gz * az) / along, v / total, w / total


@jit
def _cast(bounds, links, triangles, o, d, t_max, stack):
    """(t, triangle, barycentrics of the 2nd and 3rd corner) of the nearest hit in (0, t_max); triangle -1 = none."""
    ox, oy, oz, dx, dy, dz = o[0], o[1], o[2], d[0], d[1], d[2]
    ix, iy, iz = inverse(dx), inverse(dy), inverse(dz)
    best, found, best_v, best_w = t_max, -1, np.float32(0), np.float32(0)
    stack[0] = 0
    size = 1
    while size > 0:
        size -= 1
        node = stack[size]
        # Boxes were met when they were pushed; since then only a nearer hit can have put them out of reach.
        if _enter_box(bounds[node], ox, oy, oz, ix, iy, iz, best) == np.inf:
            continue
        first, count = links[node, 0], links[node, 1]
        for i in range(first, first + count):
            t, v, w = meet_triangle(triangles[i], ox, oy, oz, dx, dy, dz)
            if t > 0 and t < best:
                best, found, best_v, best_w = t, i, v, w
        if count == 0:
            left = _enter_box(bounds[node + 1], ox, oy, oz, ix, iy, iz, best)
            right = _enter_box(bounds[first], ox, oy, oz, ix, iy, iz, best)
            nearer, farther = (node + 1, first) if left <= right else (first, node + 1)
            if max(left, right) < np.inf:
                stack[size] = farther
                size += 1
            if min(left, right) < np.inf:
                stack[size] = nearer
                size += 1
    return best, found, best_v, best_w


@parallel_jit("(f4[:,::1], i4[:,::1], f4[:,:,::1], i4[::1], i8, f4[:,::1], f4[:,::1], f4, f4[::1], i8[::1], f4[:,::1])")
def cast_rays(bounds, links, triangles, order, depth, origins, directions, t_max, t, face, barycentric):
    """Cast rays [N,3] with directions of any length; fill t [N] (inf = miss), face [N] (-1), barycentric [N,3]."""
    chunks = (len(origins) + RAYS_PER_CHUNK - 1) // RAYS_PER_CHUNK
    for chunk in numba.prange(chunks):
        stack = np.empty(depth + 2, np.int32)
        for n in range(chunk * RAYS_PER_CHUNK, min((chunk + 1) * RAYS_PER_CHUNK, len(origins))):
            hit_t, triangle, v, w = _cast(bounds, links, triangles, origins[n], directions[n], t_max, stack)
            t[n] = hit_t if triangle >= 0 else np.float32(np.inf)
            face[n] = order[triangle] if triangle >= 0 else -1
            barycentric[n, 0] = np.float32(1) - v - w if triangle >= 0 else np.float32(0)
            barycentric[n, 1], barycentric[n, 2] = v, w
