"""How much a tracked quantity jitters from frame to frame, and a smooth start for one that jitters a lot."""

from math import comb

import torch
from torch import Tensor

_NORMAL = 1.4826  # standard deviation of a normal distribution over its median absolute value
_ORDER = 4  # of the differences that show jitter: motion that is smooth over five frames has next to none
_REMARKABLE = 1.5  # times the expected error; less is what an estimate from a short clip may be off by


def jitter(tracked: Tensor, times: Tensor, expected: float) -> Tensor:
    """[...,1] standard error of tracked [N,...,A] over its last axis; `expected` where the clip shows little more.

    Args:
        times: [N] places of the frames in the clip.
    """
    differences = _differences(times, _ORDER)
    if not len(differences):
        return torch.full_like(tracked[0, ..., :1], expected)
    gain = comb(2 * _ORDER, _ORDER) ** 0.5  # independent errors make these differences so many times larger
    spread = _NORMAL / gain * torch.einsum("tn,n...->t...", differences, tracked).abs().median(0).values
    found = spread.square().mean(-1, keepdim=True).sqrt()
    return torch.where(found > _REMARKABLE * expected, found, expected)


def smoothed(tracked: Tensor, times: Tensor, sigma: Tensor, expected: float, natural: float) -> Tensor:
    """Corrections [N,...] that make the most likely smooth sequence of tracked [N,...]; zero where its standard error
    `sigma` [...,1] is the `expected` one. Their mean over the frames is zero.

    Args:
        times: as for `jitter`.
        natural: second difference (one standard deviation) that the true quantity has at least.
    """
    differences = _differences(times, 2).double()
    corrections = torch.zeros_like(tracked)
    for place in torch.nonzero(sigma[..., 0] > expected).tolist():
        index, error = (slice(None), *place), float(sigma[tuple(place)])
        values = tracked[index].double()
        bent = (differences @ values).square().mean() - comb(4, 2) * error**2
        motion = max(float(bent.clamp_min(0)) ** 0.5, natural)
        system = torch.eye(len(values)).double() + (error / motion) ** 2 * differences.T @ differences
        corrections[index] = (torch.linalg.solve(system, values) - values).to(tracked.dtype)
    return corrections - corrections.mean(0)


def _differences(times: Tensor, order: int) -> Tensor:
    """[T,N] differences of an order between consecutive frames; none across gaps in `times` [N]."""
    first = torch.nonzero(times[order:] - times[: max(len(times) - order, 0)] == order).flatten()
    matrix = torch.zeros(len(first), len(times))
    for offset in range(order + 1):
        matrix[torch.arange(len(first)), first + offset] = float((-1) ** offset * comb(order, offset))
    return matrix
