"""The problem of one joint fit of all frames: evidence, priors, smoothness, and their normal equations."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from .deviations import Deviations
from .evidence import Evidence
from .rig import Rig
from .state import State

_CHUNK = 64  # frames linearised at a time


@dataclass(frozen=True)
class Equations:
    """Gauss-Newton's quadratic: gradient and Hessian by frame [N, P, ...], shared [G, ...], temporal weights [T, P]."""

    local_gradient: Tensor
    local: Tensor
    mixed: Tensor
    shared_gradient: Tensor
    shared: Tensor
    temporal: Tensor


class Problem:
    """N frames of one camera.

    Attributes:
        evidence: what the frames show; may change between solutions.
        triples: [T] first of three frames one step apart. lower, upper: [P] bounds of the local unknowns.
    """

    def __init__(
        self,
        rig: Rig,
        evidence: Sequence[Evidence],
        focal: float,
        times: Tensor,
        fps: float,
        deviations: Deviations,
    ):
        """
        Args:
            focal: guess of the focal length in pixels.
            times: [N] int64 numbers of the frames, ascending. fps: of those numbers.
        """
        self.evidence, self._focal, self._count = evidence, focal, len(times)
        self.triples = consecutive(times)
        step = int((times[1:] - times[:-1]).min()) if len(times) > 1 else 1
        pace = (25.0 * step / fps) ** 2  # accelerations grow with the square of the time between frames
        joints = 3 * len(rig.free_joints)
        self.lower, self.upper = _bounds(rig, joints)
        bends = ((3, deviations.bend_rotation), (3, deviations.bend_position), (joints, deviations.bend_joint))
        pose = torch.cat([torch.full((count,), bend, dtype=torch.float64) for count, bend in bends])
        expressions = torch.where(rig.quick, deviations.bend_lids, deviations.bend_expression).double()
        self._bend = pace * torch.cat([pose, expressions])
        self._linear, self._precision = torch.zeros(2, len(self.lower), dtype=torch.float64)
        first = 6 + joints
        self._precision[6:first] = deviations.joint**-2
        self._linear[first:] = torch.where(rig.bounded, deviations.sparsity, 0.0)
        self._precision[first:] = torch.where(rig.bounded, deviations.expression**-2, deviations.signed_expression**-2)
        self._shared_precision = torch.full((rig.shape_count + 1,), deviations.shape**-2, dtype=torch.float64)
        self._shared_precision[-1] = deviations.log_focal**-2
        self._shared_precision *= max(1.0, len(times) / deviations.frames)

    def cost(self, state: State) -> float:
        """What is minimised."""
        local, shared = state.local(), state.shared()
        total = (self._linear * local + 0.5 * self._precision * local.square()).sum()
        total = total + 0.5 * (self._shared_precision * self._shared_error(shared).square()).sum()
        total = total + ((1 + self.bends(local).square()).sqrt() - 1).sum()
        for rows in _chunks(self._count):
            for shown in self.evidence:
                total = total + shown.cost(state, rows)
        return float(total)

    def bends(self, local: Tensor) -> Tensor:
        """[T, P] second differences over consecutive frames in expected deviations."""
        first = self.triples
        return (local[first] - 2 * local[first + 1] + local[first + 2]) / self._bend

    def linearise(self, state: State) -> Equations:
        """The normal equations at a state, weights of the robust norms included."""
        local, shared = state.local(), state.shared()
        count, width = local.shape
        hessian = torch.diag(self._precision).expand(count, -1, -1).clone()
        mixed = local.new_zeros(count, width, len(shared))
        gradient = self._linear + self._precision * local
        shared_hessian = torch.diag(self._shared_precision)
        shared_gradient = self._shared_precision * self._shared_error(shared)
        for rows in _chunks(count):
            for shown in self.evidence:
                jacobian, residual, weight = shown.linearise(state, rows)
                weighted = jacobian * weight
                product = (weighted.mT @ jacobian).double()
                pull = (weighted.mT @ residual)[..., 0].double()
                hessian[rows] += product[:, :width, :width]
                mixed[rows] += product[:, :width, width:]
                gradient[rows] += pull[:, :width]
                shared_hessian += product[:, width:, width:].sum(0)
                shared_gradient += pull[:, width:].sum(0)
        bends = self.bends(local)
        temporal = 1 / (1 + bends.square()).sqrt()
        slope = temporal * bends / self._bend
        for shift, factor in ((0, 1.0), (1, -2.0), (2, 1.0)):
            gradient.index_add_(0, self.triples + shift, factor * slope)
        return Equations(gradient, hessian, mixed, shared_gradient, shared_hessian, temporal / self._bend.square())

    def _shared_error(self, shared: Tensor) -> Tensor:
        """[G] identity, and the log focal length about its guess."""
        return torch.cat([shared[:-1], shared[-1:] - math.log(self._focal)])


def _bounds(rig: Rig, joints: int) -> tuple[Tensor, Tensor]:
    """[P] each: 0 to 1 for ARKit expressions, 0 for what is never seen, none otherwise."""
    upper = torch.full((6 + joints + rig.expression_count,), torch.inf, dtype=torch.float64)
    lower = -upper
    expressions = slice(6 + joints, None)
    lower[expressions][rig.bounded], upper[expressions][rig.bounded] = 0.0, 1.0
    lower[expressions][~rig.movable] = upper[expressions][~rig.movable] = 0.0
    return lower, upper


def _chunks(count: int) -> list[slice]:
    return [slice(first, min(first + _CHUNK, count)) for first in range(0, count, _CHUNK)]


def consecutive(times: Tensor) -> Tensor:
    """[T] places of the first of three frames one step apart; the step is the smallest between frames."""
    if len(times) < 3:
        return torch.zeros(0, dtype=torch.int64)
    step = int((times[1:] - times[:-1]).min())
    return ((times[2:] - times[1:-1] == step) & (times[1:-1] - times[:-2] == step)).nonzero()[:, 0]
