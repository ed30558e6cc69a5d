"""numba: blending of the sorted splats into pixels, tile by tile, and its backward pass.

A tile row is one vector of TILE_WIDTH lanes. Its state lives in one scratch array, each quantity at a constant offset
from the row's start, so that the loops over lanes have constant length and LLVM turns them into straight vector code.
"""

import math

import numba
import numpy as np
from kernel_runtime import jit, parallel_jit

from .cpu_splat import (
    CURVE,
    HALF_HEIGHT,
    LOG_MIN_ALPHA,
    LOG_OPACITY,
    SLOPE_X,
    SLOPE_Y,
    TILE_HEIGHT,
    TILE_WIDTH,
    X,
    Y,
)
from .splatting import MAX_ALPHA, MIN_TRANSMITTANCE

LANES = TILE_WIDTH
FIRST_BLOCK, LATER_BLOCK = 4, 8  # channels handled together
f32 = np.float32
ONE, ZERO = f32(1), f32(0)
LOG_MIN = f32(LOG_MIN_ALPHA)
CAP = f32(MAX_ALPHA)
END = f32(MIN_TRANSMITTANCE)

# exp(x) = (exp(x / 8))^8 with a polynomial for exp(x / 8): relative error 6e-7 over the log alphas that count.
_EXP = np.polynomial.Chebyshev.interpolate(lambda x: np.exp(x / 8), 5, domain=[LOG_MIN_ALPHA, 0.0])
_E0, _E1, _E2, _E3, _E4, _E5 = (f32(c) for c in _EXP.convert(kind=np.polynomial.Polynomial).coef)

# Offsets from the start of a row's state, forward.
_T = 0  # transmittance before the next splat, 0 once the pixel is finished
_FINAL_T = LANES  # of the finished pixel; this and the one above start at 1, all others at 0
_LAST = 2 * LANES  # 1 + position of the last contributor in the tile's list (float32: exact below 2^24)
_WEIGHT = 3 * LANES  # of the current splat
_CHANNELS = 4 * LANES
_RECHECK = 16  # splats between two searches for finished rows


@jit
def exp(x):
    eighth = _E0 + x * (_E1 + x * (_E2 + x * (_E3 + x * (_E4 + x * _E5))))
    square = eighth * eighth
    fourth = square * square
    return fourth * fourth


@jit
def row_misses(edge, slope, rest):
    """Whether a tile row holds no pixel of visible alpha.

    In lane x, log alpha - log MIN_ALPHA = rest - (edge - slope x)^2.
    """
    far = edge - slope * f32(LANES - 1)
    return rest < ZERO or (edge < ZERO and edge * edge > rest) or (far > ZERO and far * far > rest)


@jit
def _blend_row(row, edge, slope, top, feature, position):
    """Blend one splat into one tile row, with the first block of its features."""
    f0, f1, f2, f3 = feature[0], feature[1], feature[2], feature[3]
    for x in range(LANES):
        across = edge - slope * f32(x)
        log_alpha = top - across * across
        alpha = min(CAP, exp(max(log_alpha, LOG_MIN)))
        alpha = alpha if log_alpha >= LOG_MIN else ZERO
        transmittance = row[_T + x]
        weight = alpha * transmittance
        after = transmittance - weight
        open_pixel = after >= END
        weight = weight if open_pixel else ZERO
        row[_T + x] = after if open_pixel else ZERO
        row[_FINAL_T + x] = after if open_pixel else row[_FINAL_T + x]
        row[_LAST + x] = position if weight > ZERO else row[_LAST + x]
        row[_WEIGHT + x] = weight
        row[_CHANNELS + x] += f0 * weight
        row[_CHANNELS + LANES + x] += f1 * weight
        row[_CHANNELS + 2 * LANES + x] += f2 * weight
        row[_CHANNELS + 3 * LANES + x] += f3 * weight


@jit
def _accumulate(row, channel, feature):
    """Add a later block of weighted features."""
    f0, f1, f2, f3, f4, f5, f6, f7 = (
        feature[0],
        feature[1],
        feature[2],
        feature[3],
        feature[4],
        feature[5],
        feature[6],
        feature[7],
    )
    for x in range(LANES):
        weight = row[_WEIGHT + x]
        channel[x] += f0 * weight
        channel[LANES + x] += f1 * weight
        channel[2 * LANES + x] += f2 * weight
        channel[3 * LANES + x] += f3 * weight
        channel[4 * LANES + x] += f4 * weight
        channel[5 * LANES + x] += f5 * weight
        channel[6 * LANES + x] += f6 * weight
        channel[7 * LANES + x] += f7 * weight


@jit
def row_range(splat, y0):
    half = splat[HALF_HEIGHT]
    first = max(math.ceil(splat[Y] - half - y0), 0)
    last = min(math.floor(splat[Y] + half - y0), TILE_HEIGHT - 1)
    return first, last


@jit
def _find_open(state, row_open):
    """Update which rows still have an unfinished pixel; True if any has."""
    any_open = False
    for r in range(TILE_HEIGHT):
        highest = ZERO
        for x in range(LANES):
            highest = max(highest, state[r, _T + x])
        row_open[r] = highest > ZERO
        any_open |= row_open[r]
    return any_open


@jit
def _blend_tile(y0, x0, owners, splats, features, state, row_open):
    """Blend the splats `owners`, nearest first, into the state of the tile whose first pixel is (y0, x0)."""
    for r in range(TILE_HEIGHT):
        row_open[r] = True
        for i in range(state.shape[1]):
            state[r, i] = ONE if i < _LAST else ZERO
    for k in range(owners.shape[0]):
        splat = splats[owners[k]]
        feature = features[owners[k]]
        first, last = row_range(splat, y0)
        slope = splat[SLOPE_X]
        for r in range(first, last + 1):
            dy = splat[Y] - f32(y0 + r)
            edge = slope * (splat[X] - f32(x0)) + splat[SLOPE_Y] * dy
            top = splat[LOG_OPACITY] - splat[CURVE] * dy * dy
            if not row_open[r] or row_misses(edge, slope, top - LOG_MIN):
                continue
            row = state[r]
            _blend_row(row, edge, slope, top, feature, f32(k + 1))
            for c in range(FIRST_BLOCK, feature.shape[0], LATER_BLOCK):
                _accumulate(row, row[_CHANNELS + c * LANES :], feature[c:])
        if k % _RECHECK == _RECHECK - 1 and not _find_open(state, row_open):
            break


@jit
def _store_tile(y0, x0, state, image, alpha, final_transmittance, last_contributor):
    height, width, channels = image.shape
    for r in range(min(TILE_HEIGHT, height - y0)):
        for x in range(min(LANES, width - x0)):
            final_transmittance[y0 + r, x0 + x] = state[r, _FINAL_T + x]
            last_contributor[y0 + r, x0 + x] = np.int32(state[r, _LAST + x])
            alpha[y0 + r, x0 + x] = state[r, _CHANNELS + x]
            for c in range(channels):
                image[y0 + r, x0 + x, c] = state[r, _CHANNELS + (1 + c) * LANES + x]


@parallel_jit("(i8[::1], i8[::1], i4[::1], f4[:,::1], f4[:,::1], f4[:,:,::1], f4[:,::1], f4[:,::1], i4[:,::1])")
def blend_forward(
    tile_bounds, tile_starts, owners, splats, features, image, alpha, final_transmittance, last_contributor
):  # fmt: skip
    """Blend every tile's list into image [H,W,C], alpha [H,W], and what the backward pass needs [H,W] x 2."""
    columns = (alpha.shape[1] + TILE_WIDTH - 1) // TILE_WIDTH
    for part in numba.prange(tile_bounds.shape[0] - 1):
        state = np.empty((TILE_HEIGHT, _CHANNELS + features.shape[1] * LANES), np.float32)
        row_open = np.empty(TILE_HEIGHT, np.bool_)
        for tile in range(tile_bounds[part], tile_bounds[part + 1]):
            y0, x0 = tile // columns * TILE_HEIGHT, tile % columns * TILE_WIDTH
            own = owners[tile_starts[tile] : tile_starts[tile + 1]]
            _blend_tile(y0, x0, own, splats, features, state, row_open)
            _store_tile(y0, x0, state, image, alpha, final_transmittance, last_contributor)
