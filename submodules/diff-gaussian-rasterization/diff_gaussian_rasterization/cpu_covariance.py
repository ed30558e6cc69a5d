"""numba: covariances of Gaussians from rotations and scales, in float64, and the backward pass.

At about 10 ns per Gaussian these loops are not worth waking other threads.
"""

import numpy as np
from kernel_runtime import jit


@jit
def _rotation(w, x, y, z):
    """Rows of the rotation matrix of a unit quaternion."""
    return (
        (1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)),
        (2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)),
        (2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)),
    )


@jit
def _quaternion(quaternions, p):
    return (
        np.float64(quaternions[p, 0]),
        np.float64(quaternions[p, 1]),
        np.float64(quaternions[p, 2]),
        np.float64(quaternions[p, 3]),
    )


@jit
def covariances_forward(rotations, scales, covariances):
    """Write R diag(scales^2) R^T as upper triangles (xx, xy, xz, yy, yz, zz) into `covariances` [P,6] float64."""
    for p in range(scales.shape[0]):
        w, x, y, z = _quaternion(rotations, p)
        r = _rotation(w, x, y, z)
        variance = (np.float64(scales[p, 0]) ** 2, np.float64(scales[p, 1]) ** 2, np.float64(scales[p, 2]) ** 2)
        entry = 0
        for i in range(3):
            for j in range(i, 3):
                total = 0.0
                for k in range(3):
                    total += r[i][k] * r[j][k] * variance[k]
                covariances[p, entry] = total
                entry += 1


@jit
def covariances_backward(rotations, scales, grad_covariances, grad_rotations, grad_scales):
    """Gradients [P,4] and [P,3] from those of the upper triangles [P,6].

    With L = R diag(s) and the symmetric gradient G of the covariance L L^T, dL = 2 G L. The quaternion gradient is
    that of the unnormalised formula. Gaussians that nothing depends on get zeros even where they are not finite.
    """
    g = np.empty((3, 3), np.float64)
    for p in range(scales.shape[0]):
        grad_rotations[p, :] = 0
        grad_scales[p, :] = 0
        if not grad_covariances[p].any():
            continue
        w, x, y, z = _quaternion(rotations, p)
        r = _rotation(w, x, y, z)
        xx, xy, xz = grad_covariances[p, 0], 0.5 * grad_covariances[p, 1], 0.5 * grad_covariances[p, 2]
        yy, yz, zz = grad_covariances[p, 3], 0.5 * grad_covariances[p, 4], grad_covariances[p, 5]
        for k in range(3):
            scale = np.float64(scales[p, k])
            g[0, k] = 2 * (xx * r[0][k] + xy * r[1][k] + xz * r[2][k])
            g[1, k] = 2 * (xy * r[0][k] + yy * r[1][k] + yz * r[2][k])
            g[2, k] = 2 * (xz * r[0][k] + yz * r[1][k] + zz * r[2][k])
            grad_scales[p, k] = scale * (g[0, k] * r[0][k] + g[1, k] * r[1][k] + g[2, k] * r[2][k])
            for i in range(3):
                g[i, k] *= scale * scale
        skew_x, skew_y, skew_z = g[2, 1] - g[1, 2], g[0, 2] - g[2, 0], g[1, 0] - g[0, 1]
        even_xy, even_xz, even_yz = g[0, 1] + g[1, 0], g[0, 2] + g[2, 0], g[1, 2] + g[2, 1]
        grad_rotations[p, 0] = 2 * (x * skew_x + y * skew_y + z * skew_z)
        grad_rotations[p, 1] = 2 * (w * skew_x + y * even_xy + z * even_xz - 2 * x * (g[1, 1] + g[2, 2]))
        grad_rotations[p, 2] = 2 * (w * skew_y + x * even_xy + z * even_yz - 2 * y * (g[0, 0] + g[2, 2]))
        grad_rotations[p, 3] = 2 * (w * skew_z + x * even_xz + y * even_yz - 2 * z * (g[0, 0] + g[1, 1]))
