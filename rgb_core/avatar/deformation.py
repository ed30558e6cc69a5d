"""What the head model's expressions do to the Gaussians before anything is learned.

Every expression maps a triangle of the neutral mesh onto its deformed place by an affine map (Sumner and Popovic
2004). A Gaussian takes that map of the triangle it is attached to: the displacement of its centre, the rotation of
its axes and how much they are stretched are its initial deltas. The stretch helps the few Gaussians of a
folded lid to cover the eye. How far the triangle moves says how much the avatar may learn on top: the
consistency factor.
"""

from dataclasses import dataclass, replace

import torch

from ..heads import HeadModel
from ..heads.regions import Region
from ..rotations import matrix_to_quaternion, nearest_rotation, polar_rotation, quaternion_to_matrix
from ..units import MILLIMETRE
from .attachment import Attachment

# A displacement below this does not show at any resolution: half the tracking noise of a good capture is ten times
# more.
STILL_MM = 0.02
_MAX_STRETCH = 4.0


@dataclass(frozen=True)
class ExpressionField:
    """Where and how strongly the expressions of a head move its surface, without the motion of the skull."""

    displacement: torch.Tensor
    """[E, V] metres per unit coefficient."""
    lower: float
    """Metres: no learned change below."""
    upper: float
    """Metres: full learned change above."""

    def consistency(self, amount: torch.Tensor) -> torch.Tensor:
        """The factor in [0, 1] of a learned delta where the surface moves by `amount` metres."""
        return ((amount - self.lower) / (self.upper - self.lower)).clamp(0, 1)

    def everywhere(self) -> "ExpressionField":
        """The field whose factor is 1 wherever an expression moves anything at all."""
        return replace(self, lower=-1.0, upper=0.0)


def expression_field(head: HeadModel) -> ExpressionField:
    """Measure the head's expressions.

    The factor is 0 below a tenth of the smallest expression's largest displacement and 1 from the 99th percentile of
    all displacements that are not still.
    """
    basis = head.expression_basis.float()
    skull = head.vertices[head.region == Region.SCALP]
    if len(skull) >= 3:
        basis = basis - _rigid_part(head.vertices, skull, basis[:, head.region == Region.SCALP])
    displacement = basis.norm(dim=2)
    moving = displacement[displacement > MILLIMETRE * STILL_MM]
    if len(moving) == 0:
        return ExpressionField(displacement, 0.0, 1.0)
    largest = displacement.amax(dim=1)
    lower = 0.1 * float(largest[largest > MILLIMETRE * STILL_MM].min())
    upper = float(moving.quantile(0.99))
    return ExpressionField(displacement, lower, max(upper, 2 * lower))


def _rigid_part(vertices: torch.Tensor, anchor: torch.Tensor, motion: torch.Tensor) -> torch.Tensor:
    """The rigid motion [E, V, 3] of the whole head that best explains the `motion` [E, A, 3] of `anchor` [A, 3]."""
    centre = anchor.mean(0)
    source = anchor - centre
    target = source + motion
    shift = target.mean(1, keepdim=True)
    rotation = nearest_rotation(torch.einsum("eai,aj->eij", target - shift, source))
    return torch.einsum("eij,vj->evi", rotation, vertices - centre) + shift - (vertices - centre)


def largest_growth(head: HeadModel) -> torch.Tensor:
    """How many times larger than on the neutral head the expressions make every face [F], from 1 to _MAX_STRETCH."""
    neutral = _areas(head.vertices[head.faces])
    largest = neutral
    for offsets in head.expression_basis.float():
        largest = torch.maximum(largest, _areas((head.vertices + offsets)[head.faces]))
    return (largest / neutral.clamp_min(1e-12)).clamp(1, _MAX_STRETCH)


def _areas(triangle: torch.Tensor) -> torch.Tensor:
    """Areas [F] of triangles [F, 3, 3]."""
    return 0.5 * torch.linalg.cross(triangle[:, 1] - triangle[:, 0], triangle[:, 2] - triangle[:, 0]).norm(dim=1)


@dataclass
class SparseExpressions:
    """Pairs (Gaussian, expression) where the surface moves, grouped by Gaussian."""

    offsets: torch.Tensor
    """[P + 1] int64."""
    expression: torch.Tensor
    """[N] int64."""
    consistency: torch.Tensor
    """[N] factor of the learned delta."""
    initial: torch.Tensor
    """[N, 10] change of position, quaternion and log scales per unit coefficient."""

    @property
    def gaussian(self) -> torch.Tensor:
        """The Gaussian [N] of every pair."""
        return torch.repeat_interleave(self.offsets.diff())


def sparse_expressions(
    head: HeadModel,
    field: ExpressionField,
    attachment: Attachment,
    position: torch.Tensor,
    rotation: torch.Tensor,
    learn: torch.Tensor,
) -> SparseExpressions:
    """The pairs of Gaussians attached at `attachment` with neutral centres `position` [P, 3].

    Args:
        rotation: [P, 4] neutral quaternions.
        learn: [P] bool; where False the consistency factor is 0 (mouth interior, eyeballs: rigid parts of the head).
    """
    corners = head.faces[attachment.face_id]
    amount = field.displacement[:, corners].mean(2)
    moving = amount > MILLIMETRE * STILL_MM
    gaussian, expression = moving.T.nonzero(as_tuple=True)
    offsets = torch.nn.functional.pad(moving.sum(0).cumsum(0), (1, 0))
    consistency = field.consistency(amount[expression, gaussian]) * learn[gaussian]
    triangle = head.vertices[corners[gaussian]]
    moved = triangle + head.expression_basis.float()[expression[:, None], corners[gaussian]]
    initial = _affine_delta(triangle, moved, position[gaussian])
    stretch = _log_stretch(triangle, moved, quaternion_to_matrix(rotation)[gaussian])
    return SparseExpressions(offsets, expression, consistency, torch.cat([initial, stretch], dim=1))


def _affine_delta(rest: torch.Tensor, moved: torch.Tensor, position: torch.Tensor) -> torch.Tensor:
    """Change of position and of the identity quaternion [N, 7] as triangles `rest` become `moved` [N, 3, 3]."""
    _, inverse, valid = _frame(rest)
    target, _, _ = _frame(moved)
    gradient = target.mT @ inverse.mT
    stretch = gradient.flatten(1).norm(dim=1)
    valid = valid & (stretch < _MAX_STRETCH * 3**0.5) & (torch.linalg.det(gradient) > 0.05)
    identity = torch.eye(3, device=gradient.device).expand_as(gradient)
    gradient = torch.where(valid[:, None, None], gradient, identity)
    shift = moved[:, 0] + torch.einsum("nij,nj->ni", gradient, position - rest[:, 0]) - position
    rotation = matrix_to_quaternion(polar_rotation(gradient))
    rotation[:, 0] -= 1.0
    return torch.cat([shift, rotation], dim=1)


def _log_stretch(rest: torch.Tensor, moved: torch.Tensor, axes: torch.Tensor) -> torch.Tensor:
    """Log [N, 3] of how much longer the columns of `axes` [N, 3, 3] become as triangles `rest` become `moved`.

    Along the normal nothing changes; no axis changes by more than a factor of _MAX_STRETCH.
    """
    rows, inverse, valid = _frame(rest)
    target, _, _ = _frame(moved)
    # The third rows are normals of length sqrt(2 area): this turns the map into one that keeps unit normals.
    normal = torch.nn.functional.normalize(rows[:, 2], dim=1)
    thicker = target[:, 2].norm(dim=1) / rows[:, 2].norm(dim=1).clamp_min(1e-12)
    gradient = target.mT @ inverse.mT
    onto = torch.nn.functional.normalize(target[:, 2], dim=1) * (1 - thicker)[:, None]
    gradient = gradient + onto[:, :, None] * normal[:, None, :]
    longer = (gradient @ axes).norm(dim=1).clamp(1 / _MAX_STRETCH, _MAX_STRETCH).log()
    return torch.where(valid[:, None], longer, 0.0)


def _frame(triangle: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Rows e1, e2, n / sqrt|n| of triangles [N, 3, 3], that matrix's inverse, and whether it is well conditioned."""
    e1, e2 = triangle[:, 1] - triangle[:, 0], triangle[:, 2] - triangle[:, 0]
    normal = torch.linalg.cross(e1, e2)
    doubled_area = normal.norm(dim=1, keepdim=True)
    unit = normal / doubled_area.clamp_min(1e-20).sqrt()
    valid = doubled_area[:, 0] > 1e-4 * torch.maximum(e1.square().sum(1), e2.square().sum(1))
    rows = torch.stack([e1, e2, unit], dim=1)
    cofactor = torch.stack([torch.linalg.cross(rows[:, (i + 1) % 3], rows[:, (i + 2) % 3]) for i in range(3)], dim=2)
    determinant = (rows[:, 0] * cofactor[:, :, 0]).sum(1)
    determinant = torch.where(valid, determinant, torch.ones_like(determinant))
    return rows, cofactor / determinant[:, None, None], valid
