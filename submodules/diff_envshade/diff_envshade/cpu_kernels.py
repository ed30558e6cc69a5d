"""numba kernels of the shading integrals, vectorised over blocks of texels.

The map comes as a table of blocks of LANES texels, each block ROWS x LANES numbers with one quantity to a row, so that
inner loops have a constant length and run over neighbouring memory. Texels that fill up the last block have no
direction and no radiance. Points are split into a fixed number of chunks; each chunk owns its scratch and its share of
the map's gradient, and the caller adds the shares in order. Results do not depend on the number of threads.

Names in the kernels: n normal, v view direction, l light direction, nl = n.l and so on, s = l + v, q = |s|^2 and the
half vector h = s / |s|.
"""

import math

import numpy as np
from kernel_runtime import chunk_bounds, jit, parallel_jit
from numba import prange

from .reference import FRESNEL_0, MIN_DISTRIBUTION_DENOMINATOR, MIN_HALF_SQUARED
from .visibility import BITS

LANES = 128
# Rows of a table block: light direction (3), radiance times solid angle (3).
ROWS = 6
CHUNKS = 64

_ZERO, _ONE, _TWO = np.float32(0), np.float32(1), np.float32(2)
_PI, _INV_PI = np.float32(math.pi), np.float32(1 / math.pi)
_QUARTER, _EIGHTH = np.float32(0.25), np.float32(0.125)
_F0, _FRESNEL_RANGE = np.float32(FRESNEL_0), np.float32(1 - FRESNEL_0)
_FRESNEL_SLOPE = np.float32(-5 * (1 - FRESNEL_0))
_MIN_D = np.float32(MIN_DISTRIBUTION_DENOMINATOR)
_MIN_Q = np.float32(MIN_HALF_SQUARED)
_BIT = (np.uint32(1) << np.arange(BITS, dtype=np.uint32)).view(np.int32)


@jit
def _dot(a, b):
    return a[0] * b[0] + a[1] * b[1] + a[2] * b[2]


@jit
def _visibility_weights(words, corners, barycentric, weights):
    """Blend the visibility bits of a triangle's corners into `weights`, one per texel."""
    b0, b1, b2 = barycentric[0], barycentric[1], barycentric[2]
    for word in range(words.shape[1]):
        w0, w1, w2 = words[corners[0], word], words[corners[1], word], words[corners[2], word]
        row = weights[word * BITS : (word + 1) * BITS]
        for bit in range(BITS):
            seen0 = b0 if w0 & _BIT[bit] != 0 else _ZERO
            seen1 = b1 if w1 & _BIT[bit] != 0 else _ZERO
            seen2 = b2 if w2 & _BIT[bit] != 0 else _ZERO
            row[bit] = seen0 + seen1 + seen2


@jit
def _point_terms(n, v, roughness):
    """What the lobe needs of a point: n.v, 1 - |n|^2, k, alpha^2 and the masking of the view."""
    nv = _dot(n, v)
    # In float64, because the difference is as small as the rounding of n.
    excess = np.float32(1.0 - (np.float64(n[0]) ** 2 + np.float64(n[1]) ** 2 + np.float64(n[2]) ** 2))
    k = (roughness + _ONE) * (roughness + _ONE) * _EIGHTH
    a2 = roughness * roughness * roughness * roughness
    masking = _ONE / ((nv if nv > _ZERO else _ZERO) * (_ONE - k) + k)
    return nv, excess, k, a2, masking


@jit
def _half_vector_terms(n, v, excess, a2, lx, ly, lz):
    """Of one texel: n.l where it counts, s, n.s, 1/q, l.h, (n.h)^2 and u = 1 + (n.h)^2 (alpha^2 - 1).

    Two differences of nearly equal numbers are avoided, so that float32 keeps its digits. Where light comes from
    behind, q is small: it is taken from s, not from l.v. Near the mirror direction u is small: by Lagrange's identity
    1 - (n.h)^2 = (1 - |n|^2) + |n x h|^2.
    """
    nl = n[0] * lx + n[1] * ly + n[2] * lz
    sx, sy, sz = lx + v[0], ly + v[1], lz + v[2]
    q = sx * sx + sy * sy + sz * sz
    lit = nl if nl > _ZERO else _ZERO
    lit = lit if q > _MIN_Q else _ZERO
    inv_q = _ONE / (q if q > _MIN_Q else _MIN_Q)
    lh = (lx * sx + ly * sy + lz * sz) * np.sqrt(inv_q)
    ns = n[0] * sx + n[1] * sy + n[2] * sz
    nh2 = ns * ns * inv_q
    cx, cy, cz = n[1] * sz - n[2] * sy, n[2] * sx - n[0] * sz, n[0] * sy - n[1] * sx
    u = nh2 * a2 + (excess + (cx * cx + cy * cy + cz * cz) * inv_q)
    return lit, (sx, sy, sz), ns, inv_q, lh, nh2, u


@jit
def _irradiance(light, weights, n):
    """Sum of weight * radiance * max(n.l, 0) over a block, per channel."""
    e0, e1, e2 = _ZERO, _ZERO, _ZERO
    for t in range(LANES):
        nl = n[0] * light[t] + n[1] * light[t + LANES] + n[2] * light[t + 2 * LANES]
        lit = weights[t] * (nl if nl > _ZERO else _ZERO)
        e0 += lit * light[t + 3 * LANES]
        e1 += lit * light[t + 4 * LANES]
        e2 += lit * light[t + 5 * LANES]
    return e0, e1, e2


@jit
def _reflection(light, weights, n, v, terms):
    """Sum of weight * radiance * lobe over a block, per channel."""
    _, excess, k, a2, masking = terms
    s0, s1, s2 = _ZERO, _ZERO, _ZERO
    for t in range(LANES):
        lx, ly, lz = light[t], light[t + LANES], light[t + 2 * LANES]
        lit, _, _, _, lh, _, u = _half_vector_terms(n, v, excess, a2, lx, ly, lz)
        c = _ONE - (lh if lh > _ZERO else _ZERO)
        c = c if c > _ZERO else _ZERO
        fresnel = _F0 + _FRESNEL_RANGE * (c * c) * (c * c) * c
        d = _PI * u * u
        d = d if d > _MIN_D else _MIN_D
        lobe = weights[t] * fresnel * lit / ((lit * (_ONE - k) + k) * d)
        s0 += lobe * light[t + 3 * LANES]
        s1 += lobe * light[t + 4 * LANES]
        s2 += lobe * light[t + 5 * LANES]
    scale = _QUARTER * a2 * masking
    return s0 * scale, s1 * scale, s2 * scale


@jit
def _irradiance_gradient(light, weights, n, grad):
    """Gradient of a block's grad . irradiance for the normal."""
    g0, g1, g2 = _ZERO, _ZERO, _ZERO
    for t in range(LANES):
        lx, ly, lz = light[t], light[t + LANES], light[t + 2 * LANES]
        radiance = grad[0] * light[t + 3 * LANES] + grad[1] * light[t + 4 * LANES] + grad[2] * light[t + 5 * LANES]
        g = weights[t] * radiance if n[0] * lx + n[1] * ly + n[2] * lz > _ZERO else _ZERO
        g0 += g * lx
        g1 += g * ly
        g2 += g * lz
    return g0, g1, g2


@jit
def _reflection_gradient(light, weights, n, v, terms, grad, lobes):
    """Gradients of a block's grad . reflection; fills `lobes` with weight * lobe of every texel.

    Returns those for n (3), v (3), alpha^2 and k.
    """
    nv, excess, k, a2, masking = terms
    kc = _ONE - k
    n0, n1, n2, v0, v1, v2 = _ZERO, _ZERO, _ZERO, _ZERO, _ZERO, _ZERO
    sum_ns, sum_a2, sum_k, sum_lobe = _ZERO, _ZERO, _ZERO, _ZERO
    scale = _QUARTER * masking
    for t in range(LANES):
        lx, ly, lz = light[t], light[t + LANES], light[t + 2 * LANES]
        lit, (sx, sy, sz), ns, inv_q, lh, nh2, u = _half_vector_terms(n, v, excess, a2, lx, ly, lz)
        c = _ONE - (lh if lh > _ZERO else _ZERO)
        c = c if c > _ZERO else _ZERO
        c4 = (c * c) * (c * c)
        fresnel = _F0 + _FRESNEL_RANGE * c4 * c
        fresnel_slope = _FRESNEL_SLOPE * c4 if lh >= _ZERO else _ZERO
        d = _PI * u * u
        inv_d = _ONE / (d if d > _MIN_D else _MIN_D)
        density = a2 * inv_d
        density_slope = -_TWO * _PI * u * density * inv_d if d > _MIN_D else _ZERO  # by u
        inv_a = _ONE / (lit * kc + k)
        shadowing = lit * inv_a
        radiance = grad[0] * light[t + 3 * LANES] + grad[1] * light[t + 4 * LANES] + grad[2] * light[t + 5 * LANES]
        b = scale * weights[t] * radiance if lit > _ZERO else _ZERO
        lobes[t] = scale * weights[t] * fresnel * shadowing * density
        by_fresnel = b * shadowing * density * fresnel_slope
        by_density = b * shadowing * fresnel
        by_nh2 = by_density * density_slope * (a2 - _ONE)
        by_ns = _TWO * by_nh2 * ns * inv_q
        by_shadowing = b * fresnel * density * inv_a * inv_a
        by_nl = by_shadowing * k
        by_ls = by_fresnel * np.sqrt(inv_q)
        by_s = -(by_fresnel * lh + _TWO * by_nh2 * nh2) * inv_q
        n0 += by_nl * lx + by_ns * sx
        n1 += by_nl * ly + by_ns * sy
        n2 += by_nl * lz + by_ns * sz
        v0 += by_ls * lx + by_s * sx
        v1 += by_ls * ly + by_s * sy
        v2 += by_ls * lz + by_s * sz
        sum_ns += by_ns
        sum_a2 += by_density * (inv_d + density_slope * nh2)
        sum_k += by_shadowing * lit * (lit - _ONE)
        sum_lobe += by_density * density
    facing = nv if nv > _ZERO else _ZERO
    by_nv = -sum_lobe * kc * masking if nv > _ZERO else _ZERO
    by_k = sum_k - sum_lobe * (_ONE - facing) * masking
    along_n = sum_ns + by_nv
    n0, n1, n2 = n0 + by_nv * v[0], n1 + by_nv * v[1], n2 + by_nv * v[2]
    return n0, n1, n2, v0 + along_n * n[0], v1 + along_n * n[1], v2 + along_n * n[2], sum_a2, by_k


@jit
def _envmap_gradient(light, weights, lobes, n, grad_e, grad_s, grad_envmap):
    """Add a point's share to a block's gradient, still without the solid angles."""
    for t in range(LANES):
        nl = n[0] * light[t] + n[1] * light[t + LANES] + n[2] * light[t + 2 * LANES]
        lit = weights[t] * (nl if nl > _ZERO else _ZERO)
        grad_envmap[t] += grad_e[0] * lit + grad_s[0] * lobes[t]
        grad_envmap[t + LANES] += grad_e[1] * lit + grad_s[1] * lobes[t]
        grad_envmap[t + 2 * LANES] += grad_e[2] * lit + grad_s[2] * lobes[t]


@parallel_jit(
    "(f4[:,::1], Tuple((f4[:,::1], f4[:,::1], f4[::1])), Tuple((i4[:,::1], i4[:,::1], i8[::1], f4[:,::1])), b1, "
    "f4[:,::1], f4[:,::1])"
)
def forward_kernel(light, points, mesh, specular, irradiance, reflection):
    normal, view, roughness = points
    words, faces, face_id, barycentric = mesh
    blocks = light.shape[0]
    bounds = chunk_bounds(normal.shape[0], CHUNKS)
    for chunk in prange(CHUNKS):
        weights = np.ones((blocks, LANES), np.float32)
        for p in range(bounds[chunk], bounds[chunk + 1]):
            if words.shape[0] > 0:
                _visibility_weights(words, faces[face_id[p]], barycentric[p], weights.reshape(blocks * LANES))
            n, v = normal[p], view[p]
            terms = _point_terms(n, v, roughness[p])
            e0, e1, e2, s0, s1, s2 = _ZERO, _ZERO, _ZERO, _ZERO, _ZERO, _ZERO
            for block in range(blocks):
                r, g, b = _irradiance(light[block], weights[block], n)
                e0 += r
                e1 += g
                e2 += b
                if specular:
                    r, g, b = _reflection(light[block], weights[block], n, v, terms)
                    s0 += r
                    s1 += g
                    s2 += b
            irradiance[p, 0], irradiance[p, 1], irradiance[p, 2] = e0 * _INV_PI, e1 * _INV_PI, e2 * _INV_PI
            reflection[p, 0], reflection[p, 1], reflection[p, 2] = s0, s1, s2


@parallel_jit(
    "(f4[:,::1], Tuple((f4[:,::1], f4[:,::1], f4[::1])), Tuple((i4[:,::1], i4[:,::1], i8[::1], f4[:,::1])), b1, "
    "Tuple((f4[:,::1], f4[:,::1])), Tuple((f4[:,::1], f4[:,::1], f4[::1])), f4[:,:,::1])"
)
def backward_kernel(light, points, mesh, specular, grads, grad_points, grad_envmap):
    normal, view, roughness = points
    words, faces, face_id, barycentric = mesh
    grad_irradiance, grad_reflection = grads
    grad_normal, grad_view, grad_roughness = grad_points
    blocks = light.shape[0]
    bounds = chunk_bounds(normal.shape[0], CHUNKS)
    for chunk in prange(CHUNKS):
        weights = np.ones((blocks, LANES), np.float32)
        lobes = np.zeros(LANES, np.float32)
        for p in range(bounds[chunk], bounds[chunk + 1]):
            if words.shape[0] > 0:
                _visibility_weights(words, faces[face_id[p]], barycentric[p], weights.reshape(blocks * LANES))
            n, v, r = normal[p], view[p], roughness[p]
            grad_e, grad_s = grad_irradiance[p], grad_reflection[p]
            terms = _point_terms(n, v, r)
            n0, n1, n2, v0, v1, v2 = _ZERO, _ZERO, _ZERO, _ZERO, _ZERO, _ZERO
            sum_a2, sum_k = _ZERO, _ZERO
            for block in range(blocks):
                d0, d1, d2 = _irradiance_gradient(light[block], weights[block], n, grad_e)
                n0 += d0
                n1 += d1
                n2 += d2
                if specular:
                    d0, d1, d2, d3, d4, d5, d6, d7 = _reflection_gradient(
                        light[block], weights[block], n, v, terms, grad_s, lobes
                    )
                    n0 += d0
                    n1 += d1
                    n2 += d2
                    v0 += d3
                    v1 += d4
                    v2 += d5
                    sum_a2 += d6
                    sum_k += d7
                if grad_envmap.shape[0] > 0:
                    _envmap_gradient(light[block], weights[block], lobes, n, grad_e, grad_s, grad_envmap[chunk, block])
            grad_normal[p, 0], grad_normal[p, 1], grad_normal[p, 2] = n0, n1, n2
            grad_view[p, 0], grad_view[p, 1], grad_view[p, 2] = v0, v1, v2
            grad_roughness[p] = np.float32(4) * r * r * r * sum_a2 + _QUARTER * (_ONE + r) * sum_k
