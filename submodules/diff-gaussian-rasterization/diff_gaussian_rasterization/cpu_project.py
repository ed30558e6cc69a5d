"""numba: projection of Gaussians to image-space splats, and its backward pass.

Everything per Gaussian is computed in float64: it costs next to nothing beside the per-pixel work and keeps huge,
thin and grazing Gaussians well conditioned. Only the splats that pixels read are float32.
"""

import math

import numba
import numpy as np
from kernel_runtime import jit, parallel_jit

from .cpu_splat import (
    CURVE,
    HALF_HEIGHT,
    INVISIBLE,
    LOG_MIN_ALPHA,
    LOG_OPACITY,
    SLOPE_X,
    SLOPE_Y,
    WIDEST,
    X,
    Y,
    count_tiles,
)
from .splatting import LOW_PASS_VARIANCE, MIN_ALPHA, MIN_EIGENVALUE_GAP, RADIUS_SIGMAS

LARGEST_RADIUS = 2.0**30  # px, what an int32 holds

# Columns of the sums over pixels that the blending leaves for every splat, q = d loss / d log alpha, and c = the part
# of q that comes from the features, each times u = SLOPE_X dx + SLOPE_Y dy and dy of `cpu_splat`. Unlike dx, u is small
# all over a splat that is thin across the picture's axes: nothing cancels when the sums are turned into the gradient
# across it. The feature gradients follow.
Q, Q_U, Q_Y, Q_UU, Q_UY, Q_YY, C_U, C_Y = range(8)
SUM_COLUMNS = 8


@jit
def _to_camera(view, p):
    """Camera-space position of a mean."""
    return (
        view[0, 0] * p[0] + view[0, 1] * p[1] + view[0, 2] * p[2] + view[0, 3],
        view[1, 0] * p[0] + view[1, 1] * p[1] + view[1, 2] * p[2] + view[1, 3],
        view[2, 0] * p[0] + view[2, 1] * p[1] + view[2, 2] * p[2] + view[2, 3],
    )


@jit
def _linearise(view, lens, x, y, z):
    """Rows of the 2x3 Jacobian of pixel by world position, at the tangents u, v inside their limits.

    `lens` = (fx, fy, cx, cy, lowest u, highest u, lowest v, highest v).
    """
    u = min(max(x / z, lens[4]), lens[5])
    v = min(max(y / z, lens[6]), lens[7])
    fx, fy = lens[0] / z, lens[1] / z
    row_x = (
        fx * (view[0, 0] - u * view[2, 0]),
        fx * (view[0, 1] - u * view[2, 1]),
        fx * (view[0, 2] - u * view[2, 2]),
    )
    row_y = (
        fy * (view[1, 0] - v * view[2, 0]),
        fy * (view[1, 1] - v * view[2, 1]),
        fy * (view[1, 2] - v * view[2, 2]),
    )
    return row_x, row_y


@jit
def _times(c, row):
    """Product of a symmetric 3x3 matrix, given as its upper triangle, with a vector."""
    return (
        c[0] * row[0] + c[1] * row[1] + c[2] * row[2],
        c[1] * row[0] + c[3] * row[1] + c[4] * row[2],
        c[2] * row[0] + c[4] * row[1] + c[5] * row[2],
    )


@jit
def _dot(a, b):
    return a[0] * b[0] + a[1] * b[1] + a[2] * b[2]


@jit
def _sharp_determinant(a, b, c):
    """Determinant of an image covariance without the low-pass, up to rounding not negative."""
    return (a - LOW_PASS_VARIANCE) * (c - LOW_PASS_VARIANCE) - b * b


@jit
def _compensation(a, b, c, determinant):
    """The share of its opacity that keeps a Gaussian's sum over the pixels what it is without the low-pass."""
    return math.sqrt(max(_sharp_determinant(a, b, c) / determinant, 0.0))


@parallel_jit(
    "(f4[:,::1], f8[:,::1], f4[:,::1], f8[:,::1], f8[::1], f8, b1, i8, i8, i8, i8, f4[:,::1], f4[::1], i4[::1], "
    "i8[::1])"
)
def project_forward(
    means, covariances, opacities, view, lens, near, antialias, width, height, rows, columns, splats, depths, radii,
    tile_counts,
):  # fmt: skip
    """Fill `splats` [P,8], `depths` [P] (metres), `radii` [P] (pixels, 0 = culled) and `tile_counts` [P].

    `rows` x `columns` tiles cover the image; a splat gets one instance for every tile that sees it.
    """
    for p in numba.prange(means.shape[0]):
        radii[p] = 0
        tile_counts[p] = 0
        splats[p, HALF_HEIGHT] = INVISIBLE
        x, y, z = _to_camera(view, means[p])
        depths[p] = z
        if not z > near:
            continue
        row_x, row_y = _linearise(view, lens, x, y, z)
        half_x, half_y = _times(covariances[p], row_x), _times(covariances[p], row_y)
        a = _dot(row_x, half_x) + LOW_PASS_VARIANCE
        b = _dot(row_x, half_y)
        c = _dot(row_y, half_y) + LOW_PASS_VARIANCE
        determinant = a * c - b * b
        center_x = lens[0] * x / z + lens[2] - 0.5
        center_y = lens[1] * y / z + lens[3] - 0.5
        if not (determinant > 0 and math.isfinite(determinant + center_x + center_y)):
            continue
        middle = 0.5 * (a + c)
        largest = middle + math.sqrt(max(MIN_EIGENVALUE_GAP, middle * middle - determinant))
        radius = math.ceil(min(RADIUS_SIGMAS * math.sqrt(largest), LARGEST_RADIUS))
        if abs(center_x - 0.5 * (width - 1)) > radius + 0.5 * width:
            continue
        if abs(center_y - 0.5 * (height - 1)) > radius + 0.5 * height:
            continue
        radii[p] = np.int32(radius)
        opacity = np.float64(opacities[p, 0])
        if antialias:
            opacity *= _compensation(a, b, c, determinant)
        if not opacity > MIN_ALPHA:
            continue
        log_opacity = math.log(opacity)
        slope_x, slope_y, curve = _slopes(b, c, determinant)
        splats[p, X] = center_x
        splats[p, Y] = center_y
        splats[p, SLOPE_X] = slope_x
        splats[p, SLOPE_Y] = slope_y
        splats[p, CURVE] = curve
        splats[p, LOG_OPACITY] = log_opacity
        splats[p, HALF_HEIGHT] = math.sqrt(2 * c * (log_opacity - LOG_MIN_ALPHA))
        splats[p, WIDEST] = b * math.sqrt(2 * (log_opacity - LOG_MIN_ALPHA) / a)
        tile_counts[p] = count_tiles(splats[p], rows, columns)


@jit
def _slopes(b, c, determinant):
    """What `cpu_splat` multiplies offsets by: slope_x, slope_y and curve."""
    slope_x = math.sqrt(0.5 * c / determinant)
    return slope_x, -0.5 * b / (determinant * slope_x), 0.5 / c


@jit
def _covariance_gradient(grad_a, grad_b, grad_c, row_x, row_y, into):
    """The gradient of the projected covariance carried to that in space: it is M Sigma M^T with Jacobian rows M."""
    turned_x, turned_y, entry = np.empty(3), np.empty(3), 0
    for i in range(3):
        turned_x[i] = grad_a * row_x[i] + grad_b * row_y[i]
        turned_y[i] = grad_b * row_x[i] + grad_c * row_y[i]
    for i in range(3):
        for j in range(i, 3):
            value = row_x[i] * turned_x[j] + row_y[i] * turned_y[j]
            into[entry] = value if i == j else 2 * value
            entry += 1


@jit
def _jacobian_gradient(grad_a, grad_b, grad_c, row_x, row_y, half_x, half_y, view, lens, z):
    """Gradients by x / z, by y / z and by the scale 1 / z of M = (f / z) (camera axis - tangent * optical axis)."""
    grad_u, grad_v, scaled = 0.0, 0.0, 0.0
    for i in range(3):
        grad_row_x = 2 * (grad_a * half_x[i] + grad_b * half_y[i])
        grad_row_y = 2 * (grad_b * half_x[i] + grad_c * half_y[i])
        grad_u -= lens[0] / z * view[2, i] * grad_row_x
        grad_v -= lens[1] / z * view[2, i] * grad_row_y
        scaled += row_x[i] * grad_row_x + row_y[i] * grad_row_y
    return grad_u, grad_v, scaled


@jit
def _compensation_gradient(by_log_alpha, a, b, c, determinant):
    """Gradients by a, b and c of what log alpha holds for antialiasing: half the log of two determinants' ratio."""
    by_ratio, sharp = 0.5 * by_log_alpha, _sharp_determinant(a, b, c)
    return (
        by_ratio * ((c - LOW_PASS_VARIANCE) / sharp - c / determinant),
        by_ratio * b * (1 / determinant - 1 / sharp),
        by_ratio * ((a - LOW_PASS_VARIANCE) / sharp - a / determinant),
    )


@parallel_jit(
    "(f4[:,::1], i8[::1], f4[:,::1], f8[:,::1], f4[:,::1], f8[:,::1], f8[::1], b1, i8, i8, f4[:,::1], f8[:,::1], "
    "f4[:,::1], f4[:,::1], f4[:,::1])"
)
def project_backward(
    sums, offsets, means, covariances, opacities, view, lens, antialias, width, height,
    grad_means, grad_covariances, grad_opacities, grad_features, grad_screen,
):  # fmt: skip
    """Add the sums of every splat's instances, rows offsets[p] to offsets[p + 1], and carry them to the inputs."""
    for p in numba.prange(means.shape[0]):
        grad_means[p], grad_covariances[p], grad_features[p], grad_opacities[p], grad_screen[p] = 0, 0, 0, 0, 0
        if offsets[p] == offsets[p + 1]:
            continue
        total = np.zeros(SUM_COLUMNS, np.float64)
        for instance in range(offsets[p], offsets[p + 1]):
            for i in range(SUM_COLUMNS):
                total[i] += sums[instance, i]
            for i in range(grad_features.shape[1]):
                grad_features[p, i] += sums[instance, SUM_COLUMNS + i]
        grad_opacities[p, 0] = total[Q] / opacities[p, 0]

        x, y, z = _to_camera(view, means[p])
        row_x, row_y = _linearise(view, lens, x, y, z)
        half_x, half_y = _times(covariances[p], row_x), _times(covariances[p], row_y)
        a = _dot(row_x, half_x) + LOW_PASS_VARIANCE
        b = _dot(row_x, half_y)
        c = _dot(row_y, half_y) + LOW_PASS_VARIANCE
        determinant = a * c - b * b
        slope_x, slope_y, curve = _slopes(b, c, determinant)

        # The mean moves the splat; the screen gradient is that of the features alone, by normalised coordinates. With
        # the inverse covariance K, log alpha = ... - d^T K d / 2 and K d = 2 (slope_x u, slope_y u + curve dy).
        pixel_x = -2 * slope_x * total[Q_U]
        pixel_y = -2 * (slope_y * total[Q_U] + curve * total[Q_Y])
        grad_screen[p, 0] = -width * slope_x * total[C_U]
        grad_screen[p, 1] = -height * (slope_y * total[C_U] + curve * total[C_Y])
        camera_x = lens[0] / z * pixel_x
        camera_y = lens[1] / z * pixel_y
        camera_z = -(x * camera_x + y * camera_y) / z

        # The covariance's gradient is K (sum q d d^T) K / 2.
        by_uy = curve * total[Q_UY]
        grad_a = 2 * slope_x * slope_x * total[Q_UU]
        grad_b = 2 * slope_x * (slope_y * total[Q_UU] + by_uy)
        grad_c = 2 * (slope_y * (slope_y * total[Q_UU] + 2 * by_uy) + curve * curve * total[Q_YY])
        if antialias:
            more_a, more_b, more_c = _compensation_gradient(total[Q], a, b, c, determinant)
            grad_a, grad_b, grad_c = grad_a + more_a, grad_b + more_b, grad_c + more_c

        _covariance_gradient(grad_a, grad_b, grad_c, row_x, row_y, grad_covariances[p])
        grad_u, grad_v, scaled = _jacobian_gradient(grad_a, grad_b, grad_c, row_x, row_y, half_x, half_y, view, lens, z)
        camera_z -= scaled / z
        # The tangents count inside their limits alone.
        if lens[4] < x / z < lens[5]:
            camera_x += grad_u / z
            camera_z -= grad_u * x / (z * z)
        if lens[6] < y / z < lens[7]:
            camera_y += grad_v / z
            camera_z -= grad_v * y / (z * z)
        for i in range(3):
            grad_means[p, i] = view[0, i] * camera_x + view[1, i] * camera_y + view[2, i] * camera_z
