"""Launches of the training kernels."""

import math
from collections.abc import Sequence

import numpy as np
import torch
from kernel_runtime import ArgumentError
from kernel_runtime.cuda import CudaModule
from torch import Tensor

from .tables import Correction, Neighbours, Ranges, SummedRows

SIMILARITY_RADIUS = 5  # as in similarity.cu
_AXES, _TERMS = 6, 6  # as in moving.cu and priors.cu
_TILE = 16  # pixels, as in similarity.cu
_THREADS = 256
_PER_THREAD = 4  # numbers, as in adam.cu

_PACKAGE = "training_kernels"
_ADAM = CudaModule(_PACKAGE, "adam.cu", ("adam.cuh",)).kernel("adam_step")
_ADAM_ROWS = CudaModule(_PACKAGE, "adam_rows.cu", ("adam.cuh", "sums.cuh")).kernel("adam_step_rows")
_MOVING = CudaModule(_PACKAGE, "moving.cu", ("sums.cuh",))
_MOVE, _MOVE_BACKWARD, _MOVE_GATHER = (_MOVING.kernel(f"move_{name}") for name in ("forward", "backward", "gather"))
_PRIOR_MODULE = CudaModule(_PACKAGE, "priors.cu", ("sums.cuh",))
_PRIORS, _PRIORS_BACKWARD = (_PRIOR_MODULE.kernel(f"priors_{name}") for name in ("forward", "backward"))
_UNEVENNESS, _UNEVENNESS_BACKWARD = (_PRIOR_MODULE.kernel(f"unevenness_{name}") for name in ("forward", "backward"))
_SIMILARITY_MODULE = CudaModule(_PACKAGE, "similarity.cu")
_SIMILARITY, _SIMILARITY_BACKWARD = (_SIMILARITY_MODULE.kernel(f"similarity{name}") for name in ("", "_backward"))


def adam_step(
    parameter: torch.Tensor,
    gradient: torch.Tensor,
    first_moment: torch.Tensor,
    second_moment: torch.Tensor,
    rate: torch.Tensor,
    step: torch.Tensor,
    beta1: float,
    beta2: float,
    eps: float,
) -> None:
    """See `adam.adam_step`."""
    total = parameter.numel()
    blocks = -(-total // (_THREADS * _PER_THREAD))
    _ADAM.launch(blocks, _THREADS, (
        parameter.detach(), gradient, first_moment, second_moment, rate, step, beta1, beta2, math.log(beta1),
        math.log(beta2), eps, np.int64(total),
    ))  # fmt: skip


def adam_step_rows(
    parameter: Tensor,
    gradient: SummedRows,
    first_moment: Tensor,
    second_moment: Tensor,
    rate: Tensor,
    step: Tensor,
    beta1: float,
    beta2: float,
    eps: float,
) -> Tensor:
    """[] the sum of squares; see `adam_rows.adam_step_rows`."""
    total, quads = parameter.numel() // _PER_THREAD, parameter.shape[1] // _PER_THREAD
    blocks = -(-total // _THREADS)
    squares = parameter.new_empty(blocks)
    _ADAM_ROWS.launch(blocks, _THREADS, (
        parameter, gradient.by_sums, gradient.owner, gradient.weights, first_moment, second_moment, rate, step,
        gradient.decay, beta1, beta2, math.log(beta1), math.log(beta2), eps, quads, np.int64(total), squares,
    ))  # fmt: skip
    return squares.sum()


def move(means: Tensor, rotations: Tensor, raw: Tensor, correction: Correction) -> tuple[Tensor, Tensor]:
    """See `moving.move_rigidly`."""
    outputs = torch.empty_like(means), torch.empty_like(rotations)
    arguments = _moving_arguments(means, rotations, raw, correction)
    _MOVE.launch(_blocks(len(means)), _THREADS, (*arguments, *outputs))
    return outputs


def move_backward(
    means: Tensor, rotations: Tensor, raw: Tensor, correction: Correction, by_moved: Tensor, by_turned: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """Gradients by means, rotations and `raw`."""
    blocks, frames = _blocks(len(means)), len(raw)
    by_means, by_rotations, by_raw = torch.empty_like(means), torch.empty_like(rotations), torch.empty_like(raw)
    partial = means.new_empty(blocks, _AXES)
    given = by_moved.contiguous(), by_turned.contiguous()
    arguments = _moving_arguments(means, rotations, raw, correction)
    _MOVE_BACKWARD.launch(blocks, _THREADS, (*arguments, *given, by_means, by_rotations, partial))
    frame, root, _, radians, metres = correction
    _MOVE_GATHER.launch(1, _THREADS, (partial, blocks, frames, frame, root, radians, metres, by_raw))
    return by_means, by_rotations, by_raw


def _moving_arguments(
    means: Tensor, rotations: Tensor, raw: Tensor, correction: Correction
) -> tuple[Tensor | int | float, ...]:
    return means, rotations, raw, len(raw), *correction, len(means)


def priors(gaussians: Sequence[Tensor], ranges: Ranges) -> Tensor:
    """[6]; see `priors.gaussian_priors`."""
    points = len(gaussians[0])
    blocks = _blocks(points)
    partial = gaussians[0].new_empty(blocks, _TERMS)
    _PRIORS.launch(blocks, _THREADS, (*gaussians, *ranges, points, partial))
    return partial.sum(0)


def priors_backward(gaussians: Sequence[Tensor], ranges: Ranges, gradient: Tensor) -> tuple[Tensor, ...]:
    """Gradients by the Gaussians."""
    outputs = tuple(torch.empty_like(tensor) for tensor in gaussians)
    points = len(gaussians[0])
    _PRIORS_BACKWARD.launch(_blocks(points), _THREADS, (*gaussians, *ranges, points, gradient.contiguous(), *outputs))
    return outputs


def unevenness(albedo: Tensor, pairs: Neighbours, black: float, robust: float) -> Tensor:
    """[]; see `priors.unevenness`."""
    points = len(albedo)
    partial = albedo.new_empty(_blocks(points))
    _UNEVENNESS.launch(len(partial), _THREADS, (
        albedo, pairs.second, pairs.first_offsets, black, robust, points, len(pairs.first), partial
    ))  # fmt: skip
    return partial.sum()


def unevenness_backward(albedo: Tensor, pairs: Neighbours, black: float, robust: float, gradient: Tensor) -> Tensor:
    """Gradient by the albedo."""
    out, points = torch.empty_like(albedo), len(albedo)
    first, second, offsets, by_second, second_offsets = pairs
    _UNEVENNESS_BACKWARD.launch(_blocks(points), _THREADS, (
        albedo, first, second, offsets, by_second, second_offsets, black, robust, points, len(first), gradient, out
    ))  # fmt: skip
    return out


def similarity(a: Tensor, b: Tensor, weights: tuple[float, ...], c1: float, c2: float) -> tuple[Tensor, ...]:
    """S and its slopes by the windowed means of a, ab and aa; see `similarity.similarity`."""
    if a.dtype != torch.float32:
        raise ArgumentError(f"similarity: expected {torch.float32} on a GPU, got {a.dtype}")
    if len(weights) != SIMILARITY_RADIUS + 1:
        raise ArgumentError(f"weights: expected {SIMILARITY_RADIUS + 1} on a GPU, got {len(weights)}")
    a, b = a.contiguous(), b.contiguous()
    outputs = tuple(torch.empty_like(a) for _ in range(4))
    _SIMILARITY.launch(_tiles(a), _THREADS, (a, b, *a.shape, *weights, c1, c2, *outputs))
    return outputs


def similarity_backward(
    a: Tensor, b: Tensor, slopes: Sequence[Tensor], gradient: Tensor, weights: tuple[float, ...]
) -> Tensor:
    """Gradient by a."""
    a, b = a.contiguous(), b.contiguous()
    out = torch.empty_like(a)
    _SIMILARITY_BACKWARD.launch(_tiles(a), _THREADS, (a, b, *a.shape, *weights, *slopes, gradient.contiguous(), out))
    return out


def _tiles(image: Tensor) -> tuple[int, int, int]:
    """The grid of a picture [H, W, C]."""
    height, width, channels = image.shape
    return -(-width // _TILE), -(-height // _TILE), channels


def _blocks(threads: int) -> int:
    return -(-threads // _THREADS)
