"""Points of a head model as functions of identity, expression and joints, with their derivatives, in float64."""

import dataclasses
from typing import NamedTuple

import torch
from torch import Tensor

from ...heads import HeadModel, Pose, PosedHead, vertex_normals
from ...heads.arkit import arkit_parts
from ..detect.correspondence import Correspondence

_STEP = 1e-4  # radians of the central differences over joint angles
_JOINT_EXPRESSIONS = {"jaw": "jawOpen", "left_eye": "eyeLookInLeft", "right_eye": "eyeLookInRight"}
"""What moves with each joint, where the model has an expression for it as well."""
_UNSEEN = ("tongueOut",)  # no landmark shows it


class Derivatives(NamedTuple):
    """Landmarks in the head's frame, and how they move."""

    points: Tensor
    """[B, L, 3]."""
    linear: Tensor
    """[B, L, 3, 3] that skinning turns the rig's `basis` by."""
    joints: Tensor
    """[B, L, 3, 3 F] by angles of the F free joints."""


class Rig:
    """L points on the surface of a head.

    A movement is fitted once: where the model has an expression for what a joint does (jawOpen, eyeLook*), the
    expression is free and the joint stays at rest; the neck always does, the root carries the head.

    Attributes:
        free_joints: indices of the joints that are fitted, the root apart.
        bounded: [E] bool, expressions of 0 to 1 with ARKit's names; the others are signed with unit deviation.
        quick: [E] bool, movements of lids and eyeballs.
        movable: [E] bool, expressions that landmarks show at all.
        center: [3] the point of the head's frame about which poses are expressed.
        basis: [L, 3, E + S] offsets per unit of expression and identity, before skinning; float32.
    """

    def __init__(self, head: HeadModel, correspondence: Correspondence, center: Tensor | None = None):
        """`center` is the middle of the points where it is not given."""
        used, corners = correspondence.corners.unique(return_inverse=True)
        self._weights = correspondence.barycentric.double()
        self._corners = corners
        self._model = _reduced(head, used)
        bases = [self._model.expression_basis, self._model.shape_basis]
        self.expression_count, self.shape_count = (len(basis) for basis in bases)
        self.basis = torch.cat([self._at_points(basis) for basis in bases]).permute(1, 2, 0).contiguous().float()
        self._skin = torch.einsum("lc,lcj->lj", self._weights, self._model.skin_weights[corners])
        names = head.joint_names
        self.free_joints = [
            index
            for index, name in enumerate(names)
            if name in _JOINT_EXPRESSIONS
            and not any(arkit_parts(_JOINT_EXPRESSIONS[name]) <= arkit_parts(other) for other in head.expression_names)
        ]
        self.bounded = torch.tensor([bool(arkit_parts(name)) for name in head.expression_names], dtype=torch.bool)
        self.quick = torch.tensor([name.startswith("eye") for name in head.expression_names], dtype=torch.bool)
        hidden = torch.tensor([name in _UNSEEN for name in head.expression_names], dtype=torch.bool)
        self.movable = (self.basis[..., : self.expression_count].abs().amax((0, 1)) > 0) & ~hidden
        self.center = self._at_points(self._model.vertices).mean(0) if center is None else center
        normals = correspondence.points(vertex_normals(head.vertices, head.faces))
        self.normals = torch.nn.functional.normalize(normals, dim=-1).double()
        """[L, 3] of the neutral head."""

    @property
    def joint_count(self) -> int:
        """J."""
        return self._model.joint_count

    def points(self, expression: Tensor, joints: Tensor, shape: Tensor) -> Tensor:
        """[B, L, 3] about `center`, of expression [B, E], free joints [B, F, 3] and identity [S]; the root at rest."""
        posed = self._posed(expression, joints, shape)
        return self._at_points(posed.vertices) - self.center

    def derivatives(self, expression: Tensor, joints: Tensor, shape: Tensor) -> Derivatives:
        """The points and their first derivatives; joint angles by central differences."""
        posed = self._posed(expression, joints, shape)
        points = self._at_points(posed.vertices) - self.center
        linear = torch.einsum("lj,bjik->blik", self._skin, posed.transforms[:, :, :3, :3])
        columns = []
        for joint in range(len(self.free_joints)):
            for axis in range(3):
                step = torch.zeros_like(joints)
                step[:, joint, axis] = _STEP
                ahead, behind = (self.points(expression, joints + sign * step, shape) for sign in (1, -1))
                columns.append((ahead - behind) / (2 * _STEP))
        by_joint = torch.stack(columns, -1) if columns else points.new_zeros(*points.shape, 0)
        return Derivatives(points, linear, by_joint)

    def _posed(self, expression: Tensor, joints: Tensor, shape: Tensor) -> PosedHead:
        """The reduced model with the root and the translation at rest."""
        still = torch.zeros(len(expression), 3).double()
        return self._model.with_identity(shape).pose(Pose(expression, self.all_joints(joints), still))

    def all_joints(self, joints: Tensor) -> Tensor:
        """[B, J, 3] with the free joints [B, F, 3] in their places and the others at rest."""
        every = joints.new_zeros(len(joints), self.joint_count, 3)
        every[:, self.free_joints] = joints
        return every

    def root_rest(self, expression: Tensor, shape: Tensor) -> Tensor:
        """[B, 3] where the root joint rests, which identity and expression may move."""
        unposed = self._posed(expression, expression.new_zeros(len(expression), len(self.free_joints), 3), shape)
        roots = int((self._model.joint_parents < 0).nonzero()[0])
        return unposed.vertices[:, len(self._model.vertices) - self.joint_count + roots]

    def _at_points(self, vertices: Tensor) -> Tensor:
        """[..., L, 3] of reduced vertices [..., V', 3]."""
        return (vertices[..., self._corners, :] * self._weights[..., None]).sum(-2)


def _reduced(head: HeadModel, used: Tensor) -> HeadModel:
    """The vertices `used` of a head in float64; its joints are appended as vertices, so that they move as regressed."""
    regressor = head.joint_regressor
    count = head.joint_count
    chosen = torch.zeros(count, len(used) + count, dtype=torch.float64)
    chosen[:, len(used) :] = torch.eye(count)
    carried = torch.zeros(1, count, count)
    carried[..., int((head.joint_parents < 0).nonzero()[0])] = 1

    def extended(values: Tensor, joints: Tensor) -> Tensor:
        return torch.cat([values[..., used, :].double(), joints.double()], -2)

    def regressed(basis: Tensor) -> Tensor:
        moved = basis.new_zeros(len(basis), count, 3)
        return moved if regressor is None else torch.einsum("jv,bvc->bjc", regressor, basis)

    rest = head.joint_positions if regressor is None else regressor @ head.vertices
    return dataclasses.replace(
        head,
        vertices=extended(head.vertices, rest),
        shape_basis=extended(head.shape_basis, regressed(head.shape_basis)),
        expression_basis=extended(head.expression_basis, regressed(head.expression_basis)),
        pose_basis=extended(head.pose_basis, head.pose_basis.new_zeros(len(head.pose_basis), count, 3)),
        skin_weights=extended(head.skin_weights[None], carried)[0],
        joint_positions=rest.double(),
        joint_regressor=chosen,
        region=head.region[used],
        landmarks68=None,
        uv=None,
        uv_faces=None,
    )
