"""numba kernels of silhouette antialiasing: which edge separates two neighbouring pixels, blending, gradients."""

import numpy as np
from kernel_runtime import jit, parallel_jit
from numba import prange


@jit
def _side(ax, ay, bx, by, px, py):
    """Twice the signed area of the screen triangle (a, b, p)."""
    return (bx - ax) * (py - ay) - (by - ay) * (px - ax)


@jit
def _cross_pairs(edge, screen, a, b, inside, axis, depth, image, crossing, owner):
    """Offer one silhouette edge to the pixel pairs along `axis` (0 columns, 1 rows) that it separates.

    `inside` is the sign of the direction along the axis in which the edge's faces lie. A pair keeps the edge that
    reaches farthest from its covered pixel: what lies nearer is covered by the surface of the farther one.
    """
    height, width = depth.shape[1], depth.shape[2]
    other = 1 - axis
    along_a, along_b = screen[a, axis], screen[b, axis]
    across_a, across_b = screen[a, other], screen[b, other]
    lines = height if axis == 0 else width
    length = width if axis == 0 else height
    low, high = min(across_a, across_b), max(across_a, across_b)
    for line in range(np.int64(max(0.0, np.ceil(low - 0.5))), np.int64(min(lines, np.ceil(high - 0.5)))):
        s = (line + 0.5 - across_a) / (across_b - across_a)
        position = along_a + s * (along_b - along_a)
        first = np.int64(np.floor(position - 0.5))
        if first < 0 or first + 1 >= length:
            continue
        covered = first if inside < 0 else first + 1
        beyond = first + 1 if inside < 0 else first
        row_in, column_in = (line, covered) if axis == 0 else (covered, line)
        row_out, column_out = (line, beyond) if axis == 0 else (beyond, line)
        edge_depth = 1.0 / ((1.0 - s) / screen[a, 2] + s / screen[b, 2])
        if depth[image, row_in, column_in] == np.inf:
            continue
        if depth[image, row_out, column_out] <= max(edge_depth, np.float64(depth[image, row_in, column_in])):
            continue
        row, column = (line, first) if axis == 0 else (first, line)
        offset = np.float32(position - (first + 1))
        farther = offset - crossing[image, axis, row, column]
        if owner[image, axis, row, column] < 0 or (farther > 0 if inside < 0 else farther < 0):
            crossing[image, axis, row, column] = offset
            owner[image, axis, row, column] = edge


@parallel_jit("(f4[:,:,::1], i4[:,::1], i4[:,::1], f4[:,::1], f8, f4[:,:,::1], f4[:,:,:,::1], i4[:,:,:,::1])")
def find_crossings(vertices, edge_vertices, edge_opposite, intrinsics, near, depth, crossing, owner):
    """Fill crossing and owner [B,2,H,W] (0 and -1): the edge between a pixel and its right (0) or lower (1) neighbour.

    crossing is where the edge passes, in pixels from the border that the pair shares, within [-0.5, 0.5]. An edge is
    taken along the axis to which its screen normal is closer, so it counts once.
    """
    batch = depth.shape[0]
    for image in prange(batch):
        count = vertices.shape[1]
        screen = np.empty((count, 3), np.float64)
        for v in range(count):
            z = np.float64(vertices[image, v, 2])
            screen[v, 2] = z
            if z >= near:
                screen[v, 0] = intrinsics[image, 0] * vertices[image, v, 0] / z + intrinsics[image, 2]
                screen[v, 1] = intrinsics[image, 1] * vertices[image, v, 1] / z + intrinsics[image, 3]
        for edge in range(edge_vertices.shape[0]):
            a, b = edge_vertices[edge, 0], edge_vertices[edge, 1]
            c, d = edge_opposite[edge, 0], edge_opposite[edge, 1]
            if not (screen[a, 2] >= near and screen[b, 2] >= near and screen[c, 2] >= near):
                continue
            ax, ay, bx, by = screen[a, 0], screen[a, 1], screen[b, 0], screen[b, 1]
            side = _side(ax, ay, bx, by, screen[c, 0], screen[c, 1])
            if d >= 0 and screen[d, 2] >= near:
                other = _side(ax, ay, bx, by, screen[d, 0], screen[d, 1])
                if side * other < 0:
                    continue
                side = other if side == 0 else side
            if side == 0:
                continue
            if abs(by - ay) >= abs(bx - ax):
                inside = -side * (by - ay)
                _cross_pairs(edge, screen, a, b, inside, 0, depth, image, crossing, owner)
            else:
                inside = side * (bx - ax)
                _cross_pairs(edge, screen, a, b, inside, 1, depth, image, crossing, owner)


@parallel_jit("(f4[:,:,:,::1], f4[:,:,:,::1], i4[:,:,:,::1], f4[:,:,:,::1])")
def blend(image_in, crossing, owner, image_out):
    """image_out (a copy of image_in [B,H,W,C]) with every separated pair mixed by where the edge crosses it."""
    batch, height, width, channels = image_in.shape
    for image in prange(batch):
        for axis in range(2):
            for row in range(height):
                for column in range(width):
                    if owner[image, axis, row, column] < 0:
                        continue
                    row2 = row + axis
                    column2 = column + 1 - axis
                    # Beyond the shared border the first pixel takes a share of the second, before it the reverse.
                    moved = crossing[image, axis, row, column]
                    for channel in range(channels):
                        first = image_in[image, row, column, channel]
                        second = image_in[image, row2, column2, channel]
                        if moved > 0:
                            image_out[image, row2, column2, channel] += moved * (first - second)
                        else:
                            image_out[image, row, column, channel] += moved * (first - second)


@parallel_jit(
    "(f4[:,:,:,::1], f4[:,:,::1], i4[:,::1], f4[:,::1], f4[:,:,:,::1], i4[:,:,:,::1], f4[:,:,:,::1], "
    "f4[:,:,:,::1], f8[:,:,::1])"
)
def blend_backward(image_in, vertices, edge_vertices, intrinsics, crossing, owner, out_grad, image_grad, vertices_grad):
    """Adjoint of `blend`: add into image_grad (a copy of out_grad) and vertices_grad [B,V,3] float64 (zeros)."""
    batch, height, width, channels = image_in.shape
    for image in prange(batch):
        for axis in range(2):
            for row in range(height):
                for column in range(width):
                    edge = owner[image, axis, row, column]
                    if edge < 0:
                        continue
                    row2 = row + axis
                    column2 = column + 1 - axis
                    moved = crossing[image, axis, row, column]
                    moved_grad = 0.0
                    for channel in range(channels):
                        step = np.float64(image_in[image, row, column, channel])
                        step -= image_in[image, row2, column2, channel]
                        if moved > 0:
                            g = out_grad[image, row2, column2, channel]
                        else:
                            g = out_grad[image, row, column, channel]
                        moved_grad += g * step
                        image_grad[image, row, column, channel] += moved * g
                        image_grad[image, row2, column2, channel] -= moved * g
                    if moved_grad != 0:
                        line = row + 0.5 if axis == 0 else column + 0.5
                        _crossing_backward(
                            vertices, edge_vertices[edge], intrinsics, image, axis, line, moved_grad, vertices_grad
                        )


@jit
def _crossing_backward(vertices, ends, intrinsics, image, axis, line, position_grad, vertices_grad):
    """Gradient of the position where an edge crosses `line`; moving it by one pixel moves as much of the pair."""
    other = 1 - axis
    focal_along, focal_across = np.float64(intrinsics[image, axis]), np.float64(intrinsics[image, other])
    centre_across = np.float64(intrinsics[image, 2 + other])
    za, zb = np.float64(vertices[image, ends[0], 2]), np.float64(vertices[image, ends[1], 2])
    along_a = focal_along * vertices[image, ends[0], axis] / za
    along_b = focal_along * vertices[image, ends[1], axis] / zb
    across_a = focal_across * vertices[image, ends[0], other] / za + centre_across
    across_b = focal_across * vertices[image, ends[1], other] / zb + centre_across
    slope = (along_b - along_a) / (across_b - across_a)
    s = (line - across_a) / (across_b - across_a)
    for end in range(2):
        weight = position_grad * (1 - s if end == 0 else s)
        v = ends[end]
        z = np.float64(vertices[image, v, 2])
        x, y = vertices[image, v, axis], vertices[image, v, other]
        vertices_grad[image, v, axis] += weight * focal_along / z
        vertices_grad[image, v, other] -= weight * slope * focal_across / z
        vertices_grad[image, v, 2] -= weight * (focal_along * x - slope * focal_across * y) / (z * z)
