"""Turning, skinning and decoding of Gaussians on the CPU in one pass, and the gradient: as in skinning.cu."""

import math
from collections.abc import Sequence

import numpy as np
import torch
from kernel_runtime import as_numpy, jit, parallel_jit
from numba import prange

from .tables import Carrier

_CHUNK = 256  # Gaussians
_POLAR_STEPS = 4
_TINY = np.float32(1e-24)
# Places in a row of `learned`, and of log scales in a row of `moved`.
_ROTATION, _LOG_SCALE, _OPACITY, _ALBEDO, _ROUGHNESS, _SPECULAR, _WIDTH = 3, 7, 10, 11, 14, 15, 16
_STRETCH = 7


def skin(
    neutral: Sequence[torch.Tensor],
    learned: torch.Tensor,
    delta_scale: torch.Tensor,
    carrier: Carrier,
    least_roughness: float,
) -> tuple[torch.Tensor, ...]:
    """The fields of `gaussians.PosedGaussians`; see `skinning.skin_gaussians`."""
    outputs = tuple(torch.empty_like(tensor, requires_grad=False) for tensor in neutral)
    given = _arguments(neutral, learned, delta_scale, carrier, least_roughness)
    _forward(*given, *(tensor.numpy() for tensor in outputs))
    return outputs


def skin_backward(
    neutral: Sequence[torch.Tensor],
    learned: torch.Tensor,
    delta_scale: torch.Tensor,
    carrier: Carrier,
    least_roughness: float,
    gradients: Sequence[torch.Tensor],
) -> tuple[torch.Tensor, ...]:
    """Gradients by the tensors of `neutral` and by `learned`."""
    raw = torch.empty(len(learned), _WIDTH)
    given = _arguments(neutral, learned, delta_scale, carrier, least_roughness)
    _backward(*given, *(as_numpy(gradient.contiguous()) for gradient in gradients), raw.numpy())
    parts = raw.split([tensor.shape[1] for tensor in neutral], dim=1)
    return *(part.contiguous() for part in parts), raw * delta_scale


def _arguments(
    neutral: Sequence[torch.Tensor],
    learned: torch.Tensor,
    delta_scale: torch.Tensor,
    carrier: Carrier,
    least_roughness: float,
) -> tuple[object, ...]:
    moved = carrier.moved
    if carrier.corrective is not None:
        moved = torch.cat([moved[:, :3] + carrier.corrective, moved[:, 3:]], dim=1)
    tensors = *neutral, learned, delta_scale, moved, carrier.skin_weights, carrier.transforms
    return *(as_numpy(tensor) for tensor in tensors), np.float32(least_roughness)


@jit
def _sigmoid(x):
    return np.float32(1) / (np.float32(1) + math.exp(-x))


@jit
def _load(p, position, rotation, log_scale, opacity, albedo, roughness, specular, learned, scale, moved, raw):
    """The raw parameters [_WIDTH] of Gaussian p with all that changes them but its carrier."""
    for i in range(3):
        raw[i] = position[p, i]
        raw[_LOG_SCALE + i] = log_scale[p, i] + moved[p, _STRETCH + i]
        raw[_ALBEDO + i] = albedo[p, i]
    for i in range(4):
        raw[_ROTATION + i] = rotation[p, i]
    raw[_OPACITY], raw[_ROUGHNESS], raw[_SPECULAR] = opacity[p, 0], roughness[p, 0], specular[p, 0]
    for i in range(_WIDTH):
        raw[i] += scale[i] * learned[p, i]


@jit
def _multiply(a, b):
    """Hamilton product of quaternions (w, x, y, z)."""
    return (
        a[0] * b[0] - a[1] * b[1] - a[2] * b[2] - a[3] * b[3],
        a[0] * b[1] + a[1] * b[0] + a[2] * b[3] - a[3] * b[2],
        a[0] * b[2] + a[2] * b[0] + a[3] * b[1] - a[1] * b[3],
        a[0] * b[3] + a[3] * b[0] + a[1] * b[2] - a[2] * b[1],
    )


@jit
def _inverse_length(w, x, y, z):
    return np.float32(1) / math.sqrt(max(w * w + x * x + y * y + z * z, _TINY))


@jit
def _nearest_quaternion(transform, rows, cofactors):
    """The quaternion with w >= 0 of the rotation nearest to the 3 x 3 part of `transform` [12]; the rest is scratch."""
    for i in range(3):
        for j in range(3):
            rows[i, j] = transform[4 * i + j]
    for _ in range(_POLAR_STEPS):
        for i in range(3):
            a, b = rows[(i + 1) % 3], rows[(i + 2) % 3]
            for j in range(3):
                cofactors[i, j] = a[(j + 1) % 3] * b[(j + 2) % 3] - a[(j + 2) % 3] * b[(j + 1) % 3]
        inverse = np.float32(1) / (
            rows[0, 0] * cofactors[0, 0] + rows[0, 1] * cofactors[0, 1] + rows[0, 2] * cofactors[0, 2]
        )
        for i in range(3):
            for j in range(3):
                rows[i, j] = np.float32(0.5) * (rows[i, j] + inverse * cofactors[i, j])
    one, zero, half = np.float32(1), np.float32(0), np.float32(0.5)
    x, y, z = rows[0, 0], rows[1, 1], rows[2, 2]
    return (
        half * math.sqrt(max(one + x + y + z, zero)),
        math.copysign(half * math.sqrt(max(one + x - y - z, zero)), rows[2, 1] - rows[1, 2]),
        math.copysign(half * math.sqrt(max(one - x + y - z, zero)), rows[0, 2] - rows[2, 0]),
        math.copysign(half * math.sqrt(max(one - x - y + z, zero)), rows[1, 0] - rows[0, 1]),
    )


@jit
def _carry(p, moved, skin_weights, transforms, transform, rows, cofactors):
    """Fills `transform` [12] and returns the turn of the axes of Gaussian p."""
    transform[:] = np.float32(0)
    for joint in range(len(transforms)):
        weight = skin_weights[p, joint]
        if weight != 0:
            for i in range(12):
                transform[i] += weight * transforms[joint, i]
    w, x, y, z = np.float32(1) + moved[p, 3], moved[p, 4], moved[p, 5], moved[p, 6]
    inverse = _inverse_length(w, x, y, z)
    own = (w * inverse, x * inverse, y * inverse, z * inverse)
    return _multiply(_nearest_quaternion(transform, rows, cofactors), own)


@parallel_jit(
    "(f4[:,::1], f4[:,::1], f4[:,::1], f4[:,::1], f4[:,::1], f4[:,::1], f4[:,::1], f4[:,::1], f4[::1], f4[:,::1], "
    "f4[:,::1], f4[:,::1], f4, f4[:,::1], f4[:,::1], f4[:,::1], f4[:,::1], f4[:,::1], f4[:,::1], f4[:,::1])"
)
def _forward(
    position, rotation, log_scale, opacity, albedo, roughness, specular, learned, scale, moved, skin_weights,
    transforms, least, means, rotations, scales, opacities, albedos, roughnesses, speculars,
):  # fmt: skip
    points = len(learned)
    for chunk in prange((points + _CHUNK - 1) // _CHUNK):
        raw, transform = np.empty(_WIDTH, np.float32), np.empty(12, np.float32)
        rows, cofactors = np.empty((3, 3), np.float32), np.empty((3, 3), np.float32)
        for p in range(chunk * _CHUNK, min((chunk + 1) * _CHUNK, points)):
            _load(p, position, rotation, log_scale, opacity, albedo, roughness, specular, learned, scale, moved, raw)
            turn = _carry(p, moved, skin_weights, transforms, transform, rows, cofactors)
            for i in range(3):
                means[p, i] = transform[4 * i + 3]
                for j in range(3):
                    means[p, i] += transform[4 * i + j] * (raw[j] + moved[p, j])
                scales[p, i] = math.exp(raw[_LOG_SCALE + i])
                albedos[p, i] = _sigmoid(raw[_ALBEDO + i])
            w, x, y, z = raw[_ROTATION], raw[_ROTATION + 1], raw[_ROTATION + 2], raw[_ROTATION + 3]
            inverse = _inverse_length(w, x, y, z)
            turned = _multiply(turn, (w * inverse, x * inverse, y * inverse, z * inverse))
            rotations[p, 0], rotations[p, 1], rotations[p, 2], rotations[p, 3] = turned
            opacities[p, 0] = _sigmoid(raw[_OPACITY])
            roughnesses[p, 0] = least + (np.float32(1) - least) * _sigmoid(raw[_ROUGHNESS])
            speculars[p, 0] = _sigmoid(raw[_SPECULAR])


@parallel_jit(
    "(f4[:,::1], f4[:,::1], f4[:,::1], f4[:,::1], f4[:,::1], f4[:,::1], f4[:,::1], f4[:,::1], f4[::1], f4[:,::1], "
    "f4[:,::1], f4[:,::1], f4, f4[:,::1], f4[:,::1], f4[:,::1], f4[:,::1], f4[:,::1], f4[:,::1], f4[:,::1], "
    "f4[:,::1])"
)
def _backward(
    position, rotation, log_scale, opacity, albedo, roughness, specular, learned, scale, moved, skin_weights,
    transforms, least, by_means, by_rotations, by_scales, by_opacities, by_albedos, by_roughnesses, by_speculars, out,
):  # fmt: skip
    """Fills `out` [points, _WIDTH], the gradient by the raw parameters side by side."""
    points = len(learned)
    for chunk in prange((points + _CHUNK - 1) // _CHUNK):
        raw, transform = np.empty(_WIDTH, np.float32), np.empty(12, np.float32)
        rows, cofactors = np.empty((3, 3), np.float32), np.empty((3, 3), np.float32)
        for p in range(chunk * _CHUNK, min((chunk + 1) * _CHUNK, points)):
            _load(p, position, rotation, log_scale, opacity, albedo, roughness, specular, learned, scale, moved, raw)
            t = _carry(p, moved, skin_weights, transforms, transform, rows, cofactors)
            for i in range(3):
                out[p, i] = np.float32(0)
                for j in range(3):
                    out[p, i] += transform[4 * j + i] * by_means[p, j]
                out[p, _LOG_SCALE + i] = by_scales[p, i] * math.exp(raw[_LOG_SCALE + i])
                a = _sigmoid(raw[_ALBEDO + i])
                out[p, _ALBEDO + i] = by_albedos[p, i] * a * (np.float32(1) - a)
            # The product with a unit quaternion is an orthogonal map, whose transpose is that with its conjugate.
            q = (by_rotations[p, 0], by_rotations[p, 1], by_rotations[p, 2], by_rotations[p, 3])
            g = _multiply((t[0], -t[1], -t[2], -t[3]), q)
            w, x, y, z = raw[_ROTATION], raw[_ROTATION + 1], raw[_ROTATION + 2], raw[_ROTATION + 3]
            inverse = _inverse_length(w, x, y, z)
            w, x, y, z = w * inverse, x * inverse, y * inverse, z * inverse
            along = w * g[0] + x * g[1] + y * g[2] + z * g[3]
            out[p, _ROTATION] = inverse * (g[0] - along * w)
            out[p, _ROTATION + 1] = inverse * (g[1] - along * x)
            out[p, _ROTATION + 2] = inverse * (g[2] - along * y)
            out[p, _ROTATION + 3] = inverse * (g[3] - along * z)
            o, r, s = _sigmoid(raw[_OPACITY]), _sigmoid(raw[_ROUGHNESS]), _sigmoid(raw[_SPECULAR])
            out[p, _OPACITY] = by_opacities[p, 0] * o * (np.float32(1) - o)
            out[p, _ROUGHNESS] = by_roughnesses[p, 0] * (np.float32(1) - least) * r * (np.float32(1) - r)
            out[p, _SPECULAR] = by_speculars[p, 0] * s * (np.float32(1) - s)
