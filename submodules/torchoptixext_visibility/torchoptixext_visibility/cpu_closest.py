"""Nearest surface point through the triangle tree on the CPU."""

import numba
import numpy as np
from kernel_runtime import jit, parallel_jit

_POINTS_PER_CHUNK = 512


@jit
def _segment(ax, ay, az, bx, by, bz):
    """(squared distance, share of b) of the point of segment a b nearest to the origin; a = b is allowed."""
    ex, ey, ez = bx - ax, by - ay, bz - az
    length2 = ex * ex + ey * ey + ez * ez
    s = np.float32(0)
    if length2 > 0:
        s = min(max(-(ax * ex + ay * ey + az * ez) / length2, np.float32(0)), np.float32(1))
    x, y, z = ax + s * ex, ay + s * ey, az + s * ez
    return x * x + y * y + z * z, s


@jit
def _nearest_in_triangle(triangle, x, y, z):
    """(squared distance, barycentrics of the 2nd and 3rd corner) of the triangle's point nearest to (x, y, z).

    The foot of the perpendicular if it lies inside, else the best of the three edges: right also for triangles that
    are segments or points.
    """
    ax, ay, az = triangle[0, 0] - x, triangle[0, 1] - y, triangle[0, 2] - z
    bx, by, bz = triangle[1, 0] - x, triangle[1, 1] - y, triangle[1, 2] - z
    cx, cy, cz = triangle[2, 0] - x, triangle[2, 1] - y, triangle[2, 2] - z
    px, py, pz = bx - ax, by - ay, bz - az
    qx, qy, qz = cx - ax, cy - ay, cz - az
    pp, pq, qq = px * px + py * py + pz * pz, px * qx + py * qy + pz * qz, qx * qx + qy * qy + qz * qz
    ap, aq = ax * px + ay * py + az * pz, ax * qx + ay * qy + az * qz
    determinant, v, w = pp * qq - pq * pq, pq * aq - qq * ap, pq * ap - pp * aq
    if determinant > 0 and v >= 0 and w >= 0 and v + w <= determinant:
        v, w = v / determinant, w / determinant
        fx, fy, fz = ax + v * px + w * qx, ay + v * py + w * qy, az + v * pz + w * qz
        return fx * fx + fy * fy + fz * fz, v, w
    best, s = _segment(ax, ay, az, bx, by, bz)
    v, w = s, np.float32(0)
    distance2, s = _segment(bx, by, bz, cx, cy, cz)
    if distance2 < best:
        best, v, w = distance2, np.float32(1) - s, s
    distance2, s = _segment(cx, cy, cz, ax, ay, az)
    if distance2 < best:
        best, v, w = distance2, np.float32(0), np.float32(1) - s
    return best, v, w


@jit
def _box_distance2(box, x, y, z):
    dx = max(abs(x - box[0]) - box[3], np.float32(0))
    dy = max(abs(y - box[1]) - box[4], np.float32(0))
    dz = max(abs(z - box[2]) - box[5], np.float32(0))
    return dx * dx + dy * dy + dz * dz


@jit
def _search(bounds, links, triangles, order, x, y, z, stack, stack_distance2):
    """(squared distance, face, barycentrics of the 2nd and 3rd corner); of equally near faces the lowest number."""
    best, face, best_v, best_w = np.float32(np.inf), np.int32(-1), np.float32(0), np.float32(0)
    stack[0], stack_distance2[0] = 0, 0
    size = 1
    while size > 0:
        size -= 1
        if stack_distance2[size] > best:
            continue
        node = stack[size]
        first, count = links[node, 0], links[node, 1]
        for i in range(first, first + count):
            distance2, v, w = _nearest_in_triangle(triangles[i], x, y, z)
            if distance2 < best or (distance2 == best and order[i] < face):
                best, face, best_v, best_w = distance2, order[i], v, w
        if count == 0:
            left, right = _box_distance2(bounds[node + 1], x, y, z), _box_distance2(bounds[first], x, y, z)
            left_first = left <= right
            stack[size], stack_distance2[size] = (first, right) if left_first else (node + 1, left)
            stack[size + 1], stack_distance2[size + 1] = (node + 1, left) if left_first else (first, right)
            size += 2
    return best, face, best_v, best_w


@parallel_jit("(f4[:,::1], i4[:,::1], f4[:,:,::1], i4[::1], i8, f4[:,::1], i8[::1], f4[:,::1], f4[::1])")
def closest_points(bounds, links, triangles, order, depth, points, face, barycentric, distance2):
    """Fill face [N], barycentric [N,3] and squared distance [N] of the surface point nearest to each point [N,3]."""
    chunks = (len(points) + _POINTS_PER_CHUNK - 1) // _POINTS_PER_CHUNK
    for chunk in numba.prange(chunks):
        stack, stack_distance2 = np.empty(depth + 2, np.int32), np.empty(depth + 2, np.float32)
        for n in range(chunk * _POINTS_PER_CHUNK, min((chunk + 1) * _POINTS_PER_CHUNK, len(points))):
            best, nearest, v, w = _search(
                bounds, links, triangles, order, points[n, 0], points[n, 1], points[n, 2], stack, stack_distance2
            )
            distance2[n], face[n] = best, nearest
            barycentric[n, 0] = max(np.float32(1) - v - w, np.float32(0))  # rounding may put it below
            barycentric[n, 1], barycentric[n, 2] = v, w
