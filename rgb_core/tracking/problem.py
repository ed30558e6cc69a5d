"""The landmark problem: residuals, robust weights, priors and the normal equations of one joint fit of all frames."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from ..heads import axis_angle_to_matrix
from . import landmarks
from .rig import LandmarkRig

_CHUNK = 64  # frames linearised at a time


@dataclass(frozen=True)
class Deviations:
    """Expected errors and habits, one standard deviation each; differences are those of a clip at 25 frames a second."""

    landmark: float = 0.010
    """Error of a landmark as a share of the face's size in the picture."""
    robust: float = 3.0
    """Errors from which on a landmark counts less than squared, in units of `landmark`."""
    correlation: float = 0.1
    """Share of independent evidence in a landmark: neighbours err together."""
    relation: float = 0.004
    """Error of a difference of `landmarks.relations`, as a share of the face's size."""
    relation_evidence: float = 0.4
    """Share of independent evidence in such a difference."""
    frames: float = 30.0
    """A clip says as much about what all its frames share as so many independent frames."""
    shape: float = 1.0
    """Identity coefficients."""
    sparsity: float = 0.6
    """Cost of a whole ARKit expression."""
    expression: float = 0.7
    """ARKit expressions about 0, in addition to the sparsity."""
    signed_expression: float = 1.0
    """Other expressions."""
    joint: float = math.radians(20)
    """Free joints (jaw, eyes)."""
    log_focal: float = 0.08
    """Logarithm of the focal length about its guess."""
    bend_rotation: float = math.radians(0.4)
    """Second difference between frames of the head's rotation."""
    bend_position: float = 0.0008
    """The same of its position, metres."""
    bend_joint: float = math.radians(1.5)
    """The same of jaw and eyes."""
    bend_expression: float = 0.06
    """The same of expression coefficients."""
    bend_lids: float = 0.6
    """The same of blinks and gaze, which are the fastest movements of a face."""


@dataclass
class State:
    """All unknowns: a rotation vector [N, 3] after `base` [3, 3], position [N, 3] in camera space, free joints
    [N, F, 3], expression [N, E], identity [S], log focal length []."""

    base: Tensor
    rotation: Tensor
    position: Tensor
    joints: Tensor
    expression: Tensor
    shape: Tensor
    log_focal: Tensor

    def rotations(self) -> Tensor:
        """[N, 3, 3] from the head to the camera."""
        return axis_angle_to_matrix(self.rotation) @ self.base

    def local(self) -> Tensor:
        """[N, P]: rotation, position, joints, expression of every frame in one row."""
        return torch.cat([self.rotation, self.position, self.joints.flatten(1), self.expression], 1)

    def shared(self) -> Tensor:
        """[G]: identity and log focal length."""
        return torch.cat([self.shape, self.log_focal[None]])

    def replaced(self, local: Tensor, shared: Tensor) -> "State":
        """The state with other values of `local` and `shared`."""
        joints = self.joints[0].numel()
        rotation, position, turned, expression = local.split([3, 3, joints, local.shape[1] - 6 - joints], 1)
        return State(
            self.base, rotation, position, turned.reshape(self.joints.shape), expression, shared[:-1], shared[-1]
        )


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
    """N frames of landmarks seen by one camera.

    Args:
        rig: the head's landmarks.
        observed: [N, L, 2] pixels. visibility: [N, L] 0 to 1; 0 where a landmark is unknown.
        center: principal point in pixels; focal: guess of the focal length in pixels.
        times: [N] int64 numbers of the frames, ascending. fps: of those numbers.
        size: of the face in pixels, typical of the clip.
    """

    def __init__(
        self,
        rig: LandmarkRig,
        observed: Tensor,
        visibility: Tensor,
        center: tuple[float, float],
        focal: float,
        times: Tensor,
        fps: float,
        size: float,
        deviations: Deviations,
    ):
        self.rig, self.deviations = rig, deviations
        self.observed, self.visibility = observed.double(), visibility.double()
        self.center, self.focal = torch.tensor(center, dtype=torch.float64), focal
        self.stray = torch.zeros(*observed.shape[:2], 3, dtype=torch.float64)
        """[N, L, 3] metres in the head's frame by which what is observed lies beside the model's landmarks."""
        self.pixels = deviations.landmark * size
        """One expected error of a landmark."""
        self.triples = _consecutive(times)
        pace = (25.0 / fps) ** 2 if fps else 1.0
        free = 3 * len(rig.free_joints)
        bends = ((3, deviations.bend_rotation), (3, deviations.bend_position), (free, deviations.bend_joint))
        pose = torch.cat([torch.full((count,), bend, dtype=torch.float64) for count, bend in bends])
        expressions = torch.where(rig.quick, deviations.bend_lids, deviations.bend_expression).double()
        self._bend = pace * torch.cat([pose, expressions])
        self.lower, self.upper = self._bounds(free)
        linear, precision = torch.zeros(2, 6 + free + rig.expression_count, dtype=torch.float64)
        precision[6 : 6 + free] = deviations.joint**-2
        bounded = rig.bounded
        linear[6 + free :] = torch.where(bounded, deviations.sparsity, 0.0)
        precision[6 + free :] = torch.where(bounded, deviations.expression**-2, deviations.signed_expression**-2)
        self._linear, self._precision = linear, precision
        self._basis = rig.basis.float()
        self._shared_precision = torch.full((rig.shape_count + 1,), deviations.shape**-2, dtype=torch.float64)
        self._shared_precision[-1] = deviations.log_focal**-2
        self._shared_precision *= max(1.0, len(times) / deviations.frames)
        self._relations = landmarks.relations()
        self._related = (self._relations != 0).double()
        self._related /= self._related.sum(1, keepdim=True)
        self._landmark_evidence = deviations.correlation * landmarks.weights()
        self._relation_scale = deviations.landmark / deviations.relation

    def _bounds(self, free: int) -> tuple[Tensor, Tensor]:
        rig = self.rig
        lower = torch.full((6 + free + rig.expression_count,), -torch.inf, dtype=torch.float64)
        upper = -lower
        lower[6 + free :][rig.bounded], upper[6 + free :][rig.bounded] = 0.0, 1.0
        lower[6 + free :][~rig.movable] = upper[6 + free :][~rig.movable] = 0.0
        return lower, upper

    def project(self, state: State, rows: slice = slice(None)) -> tuple[Tensor, Tensor]:
        """Pixels [B, L, 2] and camera points [B, L, 3] of some frames."""
        points = self.rig.points(state.expression[rows], state.joints[rows], state.shape) + self.stray[rows]
        camera = points @ state.rotations()[rows].mT + state.position[rows, None]
        return state.log_focal.exp() * camera[..., :2] / camera[..., 2:] + self.center, camera

    def cost(self, state: State) -> float:
        """What is minimised."""
        total = torch.zeros((), dtype=torch.float64)
        for rows in _chunks(len(self.observed)):
            seen, camera = self.project(state, rows)
            if bool((camera[..., 2] <= 0).any()):
                return math.inf
            residual = self._extended((seen - self.observed[rows]) / self.pixels)
            total = total + (self._evidence(rows) * self._robust(residual.square().sum(-1))[0]).sum()
        local, shared = state.local(), state.shared()
        total = total + (self._linear * local + 0.5 * self._precision * local.square()).sum()
        total = total + 0.5 * (self._shared_precision * (shared - self._shared_mean(shared)).square()).sum()
        bends = self.bends(local)
        return float(total + ((1 + bends.square()).sqrt() - 1).sum())

    def bends(self, local: Tensor) -> Tensor:
        """[T, P] second differences over consecutive frames in expected deviations."""
        first = self.triples
        return (local[first] - 2 * local[first + 1] + local[first + 2]) / self._bend

    def linearise(self, state: State) -> Equations:
        """The normal equations at a state, weights of the robust norms included."""
        local, shared = state.local(), state.shared()
        count, width = local.shape
        globals_ = len(shared)
        hessian = local.new_zeros(count, width, width)
        mixed = local.new_zeros(count, width, globals_)
        gradient = local.new_zeros(count, width)
        shared_hessian = torch.diag(self._shared_precision)
        shared_gradient = self._shared_precision * (shared - self._shared_mean(shared))
        for rows in _chunks(count):
            jacobian, residual, weight = self._jacobian(state, rows)
            weighted = jacobian * weight
            product = (weighted.mT @ jacobian).double()
            pull = (weighted.mT @ residual)[..., 0].double()
            hessian[rows], mixed[rows] = product[:, :width, :width], product[:, :width, width:]
            gradient[rows] = pull[:, :width]
            shared_hessian = shared_hessian + product[:, width:, width:].sum(0)
            shared_gradient = shared_gradient + pull[:, width:].sum(0)
        gradient = gradient + self._linear + self._precision * local
        hessian = hessian + torch.diag(self._precision)
        bends = self.bends(local)
        temporal = 1 / (1 + bends.square()).sqrt()
        first, slope = self.triples, temporal * bends / self._bend
        for shift, factor in ((0, 1.0), (1, -2.0), (2, 1.0)):
            gradient = gradient.index_add(0, first + shift, factor * slope)
        return Equations(gradient, hessian, mixed, shared_gradient, shared_hessian, temporal / self._bend.square())

    def _jacobian(self, state: State, rows: slice) -> tuple[Tensor, Tensor, Tensor]:
        """Jacobian [B, 2R, P + G], residual [B, 2R, 1] and weight [B, 2R, 1] of some frames, float32: enough for a step."""
        rig = self.rig
        found = rig.derivatives(state.expression[rows], state.joints[rows], state.shape)
        rotation = state.rotations()[rows]
        turned = (found.points + self.stray[rows]) @ rotation.mT
        camera = turned + state.position[rows, None]
        focal = state.log_focal.exp()
        depth = camera[..., 2:]
        seen = focal * camera[..., :2] / depth
        residual = (seen + self.center - self.observed[rows]) / self.pixels
        residual = self._extended(residual)
        weight = self._evidence(rows) * self._robust(residual.square().sum(-1))[1]
        flat = torch.eye(2, dtype=torch.float64).expand(*camera.shape[:2], 2, 2) * (focal / depth)[..., None]
        projection = torch.cat([flat, (-seen / depth)[..., None]], -1) / self.pixels  # [B, L, 2, 3]
        inward = projection @ rotation[:, None]
        by_rotation = projection @ (-_cross(turned) @ _left_jacobian(state.rotation[rows])[:, None])
        by_focal = (seen / self.pixels)[..., None]
        # one product per landmark for all frames, not one per landmark and frame
        by_basis = ((inward @ found.linear).float().permute(1, 0, 2, 3).flatten(1, 2) @ self._basis).unflatten(
            1, (-1, 2)
        )
        parts = [by_rotation, projection, inward @ found.joints]
        ahead = torch.cat(parts, -1).float()
        jacobian = torch.cat([ahead, by_basis.permute(1, 0, 2, 3), by_focal.float()], -1)
        jacobian = self._extended(jacobian.flatten(2)).unflatten(2, (2, -1))
        residual, weight = residual.flatten(1)[..., None].float(), weight.repeat_interleave(2, 1)[..., None].float()
        return jacobian.flatten(1, 2), residual, weight

    def _extended(self, values: Tensor) -> Tensor:
        """[B, L + K, C] of values [B, L, C] of the landmarks: with their relations below, in the same unit."""
        return torch.cat([values, self._relation_scale * (self._relations.to(values) @ values)], 1)

    def _evidence(self, rows: slice) -> Tensor:
        """[B, L + K]."""
        visible = self.visibility[rows]
        related = self.deviations.relation_evidence * (visible @ self._related.T)
        return torch.cat([self._landmark_evidence * visible, related], 1)

    def _robust(self, squared: Tensor) -> tuple[Tensor, Tensor]:
        """Half the Charbonnier norm of squared errors, and the weight it gives them."""
        scale = self.deviations.robust**2
        root = (1 + squared / scale).sqrt()
        return scale * (root - 1), 1 / root

    def _shared_mean(self, shared: Tensor) -> Tensor:
        mean = torch.zeros_like(shared)
        mean[-1] = math.log(self.focal)
        return mean


def _chunks(count: int) -> list[slice]:
    return [slice(first, min(first + _CHUNK, count)) for first in range(0, count, _CHUNK)]


def _consecutive(times: Tensor) -> Tensor:
    """[T] places of the first of three frames one step apart; the step is the smallest between frames."""
    if len(times) < 3:
        return torch.zeros(0, dtype=torch.int64)
    step = int((times[1:] - times[:-1]).min())
    return ((times[2:] - times[1:-1] == step) & (times[1:-1] - times[:-2] == step)).nonzero()[:, 0]


def _cross(vectors: Tensor) -> Tensor:
    """[..., 3, 3] matrices of the cross product with vectors [..., 3]."""
    x, y, z = vectors.unbind(-1)
    zero = torch.zeros_like(x)
    return torch.stack([zero, -z, y, z, zero, -x, -y, x, zero], -1).unflatten(-1, (3, 3))


def _left_jacobian(rotation: Tensor) -> Tensor:
    """[..., 3, 3] left Jacobian of SO(3): exp(a + d) = exp(J d) exp(a) to first order (Chirikjian)."""
    angle = rotation.norm(dim=-1)[..., None, None].clamp_min(1e-6)
    cross = _cross(rotation)
    eye = torch.eye(3, dtype=rotation.dtype)
    return eye + (1 - angle.cos()) / angle**2 * cross + (angle - angle.sin()) / angle**3 * (cross @ cross)
