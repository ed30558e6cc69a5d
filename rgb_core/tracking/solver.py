"""Levenberg-Marquardt with bounds on a problem of many frames: banded in time, bordered by what all frames share."""

import math

import numpy as np
import scipy.linalg
import torch
from torch import Tensor

from .problem import Equations, Problem, State

_START_DAMPING, _LEAST_DAMPING, _MOST_DAMPING = 1e-3, 1e-7, 1e6
_EASE, _BRAKE = 0.3, 6.0  # factors on the damping after a good and a bad step
_ENOUGH = 3e-4  # relative gain of a step below which the fit has converged


def solve(problem: Problem, state: State, steps: int, movable: Tensor | None = None, share: bool = True) -> State:
    """Descend up to `steps` times from `state`.

    Args:
        movable: [P] bool, local unknowns that may change; None is all.
        share: whether identity and focal length may change.
    """
    damping = _START_DAMPING
    cost = problem.cost(state)
    for _ in range(steps):
        equations = problem.linearise(state)
        free = _free(problem, state, equations)
        if movable is not None:
            free &= movable
        gained = 0.0
        while damping < _MOST_DAMPING:
            local, shared = _step(problem, equations, free, damping, share)
            tried = state.replaced(
                (state.local() + local).clamp(problem.lower, problem.upper), state.shared() + shared
            )
            reached = problem.cost(tried)
            if reached < cost:
                gained, cost, state = (cost - reached) / max(cost, 1e-12), reached, tried
                damping = max(_EASE * damping, _LEAST_DAMPING)
                break
            damping *= _BRAKE
        if gained < _ENOUGH:
            break
    return state


def _free(problem: Problem, state: State, equations: Equations) -> Tensor:
    """[N, P] bool: unknowns that are not held at a bound by their gradient."""
    local, slope = state.local(), equations.local_gradient
    held = ((local <= problem.lower) & (slope > 0)) | ((local >= problem.upper) & (slope < 0))
    return ~held & (problem.lower < problem.upper)


def _step(
    problem: Problem, equations: Equations, free: Tensor, damping: float, share: bool
) -> tuple[Tensor, Tensor]:
    """The damped Newton step [N, P] and [G]: Schur's complement of the banded frames."""
    count, width = free.shape
    mask = free.flatten().numpy()
    band = _band(equations, problem.triples, mask, damping)
    mixed = equations.mixed.flatten(0, 1).numpy() * mask[:, None]
    right = -equations.local_gradient.flatten().numpy() * mask
    if not share:
        local = scipy.linalg.solveh_banded(band, right, lower=True, overwrite_ab=True, check_finite=False)
        return torch.from_numpy(local).view(count, width), equations.shared_gradient * 0
    solved = scipy.linalg.solveh_banded(
        band, np.column_stack([right, mixed]), lower=True, overwrite_ab=True, check_finite=False
    )
    shared_hessian = equations.shared.numpy().copy()
    shared_hessian[np.diag_indices(len(shared_hessian))] *= 1 + damping
    complement = shared_hessian - mixed.T @ solved[:, 1:]
    shared = scipy.linalg.solve(
        complement, -equations.shared_gradient.numpy() - mixed.T @ solved[:, 0], assume_a="sym", check_finite=False
    )
    local = solved[:, 0] - solved[:, 1:] @ shared
    return torch.from_numpy(local).view(count, width), torch.from_numpy(shared)


def _band(equations: Equations, triples: Tensor, mask: np.ndarray, damping: float) -> np.ndarray:
    """[2P + 1, N P] lower band of the frames' Hessian with second differences; fixed unknowns become identity rows."""
    count, width, _ = equations.local.shape
    band = np.zeros((2 * width + 1, count * width))
    for below in range(width):
        view = band[below].reshape(count, width)
        view[:, : width - below] = equations.local.diagonal(-below, 1, 2).numpy()
    first, weight = triples.numpy(), equations.temporal.numpy()
    for row, start, factor in ((0, 0, 1.0), (0, 1, 4.0), (0, 2, 1.0), (1, 0, -2.0), (1, 1, -2.0), (2, 0, 1.0)):
        np.add.at(band[row * width].reshape(count, width), first + start, factor * weight)
    band[0] *= 1 + damping
    length = len(mask)
    for below in range(1, 2 * width + 1):
        if below < length:
            band[below, : length - below] *= mask[: length - below] & mask[below:]
    band[0] = np.where(mask, band[0], 1.0)
    band[0] += math.ulp(1.0)
    return band
