"""numba kernels of rasterisation and interpolation.

Geometry is computed in double from float32 vertices: the edge functions of millimetre triangles a metre away lose
most of their digits in single precision.
"""

import numpy as np
from kernel_runtime import jit, parallel_jit
from numba import prange

# A triangle whose projected area is smaller than this fraction of its squared depth is rounding noise.
_DEGENERATE = 1e-14


@jit
def _edge_normals(vertices, corners, normals):
    """normals[i] = v_j x v_k: dotted with a pixel's ray it is the weight of corner i, up to a common factor."""
    for i in range(3):
        a = corners[(i + 1) % 3]
        b = corners[(i + 2) % 3]
        ax, ay, az = np.float64(vertices[a, 0]), np.float64(vertices[a, 1]), np.float64(vertices[a, 2])
        bx, by, bz = np.float64(vertices[b, 0]), np.float64(vertices[b, 1]), np.float64(vertices[b, 2])
        normals[i, 0] = ay * bz - az * by
        normals[i, 1] = az * bx - ax * bz
        normals[i, 2] = ax * by - ay * bx


@jit
def _pixel_bounds(vertices, corners, intrinsics, near, width, height, bounds):
    """First and last column and row [4] whose centres a triangle may cover; an empty range if it is dropped."""
    bounds[0], bounds[1], bounds[2], bounds[3] = 0, -1, 0, -1
    left, right, top, bottom = np.inf, -np.inf, np.inf, -np.inf
    for corner in corners:
        z = np.float64(vertices[corner, 2])
        if not z >= near:
            return
        x = intrinsics[0] * vertices[corner, 0] / z + intrinsics[2]
        y = intrinsics[1] * vertices[corner, 1] / z + intrinsics[3]
        left, right = min(left, x), max(right, x)
        top, bottom = min(top, y), max(bottom, y)
    if not (right >= 0 and left <= width and bottom >= 0 and top <= height):
        return
    bounds[0] = np.int32(max(0.0, np.ceil(left - 0.5)))
    bounds[1] = np.int32(min(width - 1.0, np.floor(right - 0.5)))
    bounds[2] = np.int32(max(0.0, np.ceil(top - 0.5)))
    bounds[3] = np.int32(min(height - 1.0, np.floor(bottom - 0.5)))


@parallel_jit("(f4[:,:,::1], i4[:,::1], f4[:,::1], f8, i4[:,:,::1], i8, i8[:,:,::1], f4[:,:,:,::1], f4[:,:,::1])")
def rasterize(vertices, faces, intrinsics, near, bounds, band, face_id, barycentric, depth):
    """Fill face_id [B,H,W], barycentric [B,H,W,3] and depth [B,H,W], which come filled with -1, 0 and inf.

    bounds [B,F,4] int32 is scratch. Each band of rows goes through all faces in order, so a pixel's nearest face (the
    first one of equals) depends on neither threads nor bands.
    """
    batch, height, width = face_id.shape
    count = faces.shape[0]
    for task in prange(batch * 16):
        image = task // 16
        part = task % 16
        for f in range(count * part // 16, count * (part + 1) // 16):
            _pixel_bounds(vertices[image], faces[f], intrinsics[image], near, width, height, bounds[image, f])
    bands = (height + band - 1) // band
    for task in prange(batch * bands):
        image = task // bands
        first = (task % bands) * band
        last = min(first + band, height) - 1
        focal_x, focal_y = np.float64(intrinsics[image, 0]), np.float64(intrinsics[image, 1])
        centre_x, centre_y = np.float64(intrinsics[image, 2]), np.float64(intrinsics[image, 3])
        n = np.empty((3, 3), np.float64)
        for f in range(count):
            if bounds[image, f, 3] < first or bounds[image, f, 2] > last or bounds[image, f, 0] > bounds[image, f, 1]:
                continue
            _edge_normals(vertices[image], faces[f], n)
            z0 = np.float64(vertices[image, faces[f, 0], 2])
            z1 = np.float64(vertices[image, faces[f, 1], 2])
            z2 = np.float64(vertices[image, faces[f, 2], 2])
            smallest = _DEGENERATE * z0 * z0
            for row in range(max(first, bounds[image, f, 2]), min(last, bounds[image, f, 3]) + 1):
                ray_y = (row + 0.5 - centre_y) / focal_y
                for column in range(bounds[image, f, 0], bounds[image, f, 1] + 1):
                    ray_x = (column + 0.5 - centre_x) / focal_x
                    w0 = n[0, 0] * ray_x + n[0, 1] * ray_y + n[0, 2]
                    w1 = n[1, 0] * ray_x + n[1, 1] * ray_y + n[1, 2]
                    w2 = n[2, 0] * ray_x + n[2, 1] * ray_y + n[2, 2]
                    total = w0 + w1 + w2
                    inside = (w0 >= 0 and w1 >= 0 and w2 >= 0) or (w0 <= 0 and w1 <= 0 and w2 <= 0)
                    if not inside or abs(total) <= smallest:
                        continue
                    z = np.float32((w0 * z0 + w1 * z1 + w2 * z2) / total)
                    if z < depth[image, row, column]:
                        depth[image, row, column] = z
                        face_id[image, row, column] = f
                        barycentric[image, row, column, 0] = w0 / total
                        barycentric[image, row, column, 1] = w1 / total
                        barycentric[image, row, column, 2] = w2 / total


@parallel_jit("(f4[:,:,::1], i4[:,::1], f4[:,::1], i8[:,:,::1], f4[:,:,:,::1], f4[:,:,:,::1], f8[:,:,::1])")
def rasterize_backward(vertices, faces, intrinsics, face_id, barycentric, barycentric_grad, vertices_grad):
    """Add d loss / d camera vertices into vertices_grad [B,V,3] float64; one image is one task, hence no races.

    With w_i = ray . (v_j x v_k), total = sum w and b_i = w_i / total:
    d loss / d w_i = (g_i - sum_k g_k b_k) / total, d w_i / d v_j = v_k x ray, d w_i / d v_k = ray x v_j.
    """
    batch, height, width = face_id.shape
    for image in prange(batch):
        n = np.empty((3, 3), np.float64)
        for row in range(height):
            ray_y = (row + 0.5 - np.float64(intrinsics[image, 3])) / np.float64(intrinsics[image, 1])
            for column in range(width):
                f = face_id[image, row, column]
                if f < 0:
                    continue
                ray_x = (column + 0.5 - np.float64(intrinsics[image, 2])) / np.float64(intrinsics[image, 0])
                _edge_normals(vertices[image], faces[f], n)
                total = 0.0
                mean = 0.0
                for i in range(3):
                    total += n[i, 0] * ray_x + n[i, 1] * ray_y + n[i, 2]
                    mean += np.float64(barycentric_grad[image, row, column, i]) * barycentric[image, row, column, i]
                for i in range(3):
                    g = (barycentric_grad[image, row, column, i] - mean) / total
                    a = faces[f, (i + 1) % 3]
                    b = faces[f, (i + 2) % 3]
                    ax, ay, az = vertices[image, a, 0], vertices[image, a, 1], vertices[image, a, 2]
                    bx, by, bz = vertices[image, b, 0], vertices[image, b, 1], vertices[image, b, 2]
                    vertices_grad[image, a, 0] += g * (by - bz * ray_y)
                    vertices_grad[image, a, 1] += g * (bz * ray_x - bx)
                    vertices_grad[image, a, 2] += g * (bx * ray_y - by * ray_x)
                    vertices_grad[image, b, 0] += g * (ray_y * az - ay)
                    vertices_grad[image, b, 1] += g * (ax - ray_x * az)
                    vertices_grad[image, b, 2] += g * (ray_x * ay - ray_y * ax)


@parallel_jit("(i8[:,:,::1], f4[:,:,:,::1], i4[:,::1], f4[:,:,::1], f4[:,:,:,::1])")
def interpolate(face_id, barycentric, faces, attributes, values):
    """values [B,H,W,C] (filled with 0) = attributes [B or 1,V,C] at the fragments."""
    batch, height, width = face_id.shape
    per_image = 0 if attributes.shape[0] == 1 else 1
    for task in prange(batch * height):
        image, row = task // height, task % height
        source = np.int64(image) * per_image
        for column in range(width):
            f = face_id[image, row, column]
            if f < 0:
                continue
            for channel in range(attributes.shape[2]):
                value = np.float32(0)
                for i in range(3):
                    value += barycentric[image, row, column, i] * attributes[source, faces[f, i], channel]
                values[image, row, column, channel] = value


@parallel_jit("(i8[:,:,::1], f4[:,:,:,::1], i4[:,::1], f4[:,:,::1], f4[:,:,:,::1], f4[:,:,:,::1], f4[:,:,::1])")
def interpolate_backward(face_id, barycentric, faces, attributes, values_grad, barycentric_grad, attributes_grad):
    """Fill barycentric_grad [B,H,W,3] (zeros) and add into attributes_grad [B,V,C]: per image, summed by the caller."""
    batch, height, width = face_id.shape
    per_image = 0 if attributes.shape[0] == 1 else 1
    for image in prange(batch):
        source = np.int64(image) * per_image
        for row in range(height):
            for column in range(width):
                f = face_id[image, row, column]
                if f < 0:
                    continue
                for i in range(3):
                    corner = faces[f, i]
                    weight = barycentric[image, row, column, i]
                    total = np.float32(0)
                    for channel in range(attributes.shape[2]):
                        g = values_grad[image, row, column, channel]
                        total += g * attributes[source, corner, channel]
                        attributes_grad[image, corner, channel] += weight * g
                    barycentric_grad[image, row, column, i] = total
