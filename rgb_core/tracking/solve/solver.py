"""Levenberg-Marquardt with bounds on a problem of many frames, coupled over time and by what all frames share."""

import torch
from torch import Tensor

from .chain import Chain
from .problem import Equations, Problem
from .state import State

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
            tried = state.replaced((state.local() + local).clamp(problem.lower, problem.upper), state.shared() + shared)
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


def _step(problem: Problem, equations: Equations, free: Tensor, damping: float, share: bool) -> tuple[Tensor, Tensor]:
    """The damped Newton step [N, P] and [G]: Schur's complement of the frames."""
    mask = free.double()
    frames = _frames(equations, problem.triples, mask, damping)
    right = (-equations.local_gradient * mask)[..., None]
    if not share:
        return frames.solve(right)[..., 0], equations.shared_gradient * 0
    mixed = equations.mixed * mask[..., None]
    solved = frames.solve(torch.cat([right, mixed], -1))
    shared_hessian = equations.shared + damping * torch.diag(equations.shared.diagonal())
    complement = shared_hessian - torch.einsum("npg,nph->gh", mixed, solved[..., 1:])
    shared_right = -equations.shared_gradient - torch.einsum("npg,np->g", mixed, solved[..., 0])
    shared = torch.linalg.solve(complement, shared_right)
    return solved[..., 0] - solved[..., 1:] @ shared, shared


def _frames(equations: Equations, triples: Tensor, mask: Tensor, damping: float) -> Chain:
    """The frames' Hessian with second differences over time; unknowns outside `mask` [N, P] become identity rows."""
    weight = equations.temporal
    own = torch.zeros_like(mask)
    next_, second = torch.zeros_like(mask), torch.zeros_like(mask)
    for shift, factor in ((0, 1.0), (1, 4.0), (2, 1.0)):
        own.index_add_(0, triples + shift, factor * weight)
    next_.index_add_(0, triples, -2 * weight).index_add_(0, triples + 1, -2 * weight)
    second.index_add_(0, triples, weight)
    diagonal = equations.local * mask[:, :, None] * mask[:, None]
    diagonal.diagonal(dim1=1, dim2=2).add_(own * mask).mul_(1 + damping).add_(1 - mask)
    next_[:-1] *= mask[:-1] * mask[1:]
    second[:-2] *= mask[:-2] * mask[2:]
    return Chain(diagonal, next_[:-1], second[:-2])
