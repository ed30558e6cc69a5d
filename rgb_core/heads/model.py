"""The head model: a template, its linear deformations, and linear blend skinning."""

import dataclasses
from dataclasses import dataclass, field
from typing import NamedTuple

import torch
from torch import Tensor

from ..errors import InputError, did_you_mean
from ..rotations import axis_angle_to_matrix
from ..tensors import ON_HOST, to_device
from .pose import Pose


class PosedHead(NamedTuple):
    """A posed head; for a batch of poses every tensor has a leading B."""

    vertices: Tensor
    """[V, 3] in metres, translation included."""
    transforms: Tensor
    """[J, 4, 4] rigid motion of each joint from rest to pose, translation included."""


@dataclass(frozen=True, eq=False)
class HeadModel:
    """A head as `head.npz` describes it: V vertices, F triangles, E expressions, S identities, J joints.

    Lengths are metres; x points to the head's left, y up, z out of the face.
    """

    name: str
    vertices: Tensor
    """[V, 3] template: neutral expression, zero pose."""
    faces: Tensor
    """[F, 3] int64, counter-clockwise seen from outside."""
    shape_basis: Tensor
    """[S, V, 3] identity offsets per unit coefficient."""
    expression_basis: Tensor
    """[E, V, 3] expression offsets per unit coefficient."""
    expression_names: tuple[str, ...]
    pose_basis: Tensor
    """[9(J-1), V, 3] correctives on R - I of every joint but the root, row-major; the first axis may be 0."""
    joint_positions: Tensor
    """[J, 3] rest joints of the template."""
    joint_parents: Tensor = field(metadata=ON_HOST)
    """[J] int64, -1 for the root; always on the CPU, where the order of the chain is decided."""
    joint_names: tuple[str, ...]
    skin_weights: Tensor
    """[V, J], rows sum to 1."""
    region: Tensor
    """[V] uint8 codes of docs/formats.md."""
    joint_regressor: Tensor | None = None
    """[J, V]; where present, the joints follow the unposed vertices, as FLAME's do, and win over `joint_positions`."""
    uv: Tensor | None = None
    """[T, 2], v up, one unit square."""
    uv_faces: Tensor | None = None
    """[F, 3] int64 into `uv`, corner by corner with `faces`."""
    landmarks68: Tensor | None = None
    """[68] int64 vertex of each iBUG-68 landmark."""
    meta: str = ""
    """JSON: source, licence."""

    @property
    def vertex_count(self) -> int:
        """V, the number of vertices."""
        return self.vertices.shape[0]

    @property
    def joint_count(self) -> int:
        """J, the number of joints."""
        return self.joint_parents.shape[0]

    def expression_index(self, name: str) -> int:
        """Position of the expression called `name`.

        Raises:
            InputError: when the model has no such expression.
        """
        try:
            return self.expression_names.index(name)
        except ValueError:
            nearest = did_you_mean(name, self.expression_names)
            raise InputError(
                f"head model '{self.name}' has no expression '{name}'{nearest}; see its expression_names"
            ) from None

    def to(self, device: torch.device | str) -> "HeadModel":
        """The same model with every tensor but `joint_parents` on `device`."""
        return to_device(self, device)

    def parts(self) -> dict[str, object]:
        """All that the model is, without where it came from: what a fingerprint takes."""
        return {name: value for name, value in vars(self).items() if name != "meta"}

    def with_identity(self, shape: Tensor) -> "HeadModel":
        """The model of one person: `shape` [S] is added to the template and no identity shapes are left.

        The joints follow. An empty `shape` stands for the template's own person. Differentiable in `shape`.

        Raises:
            InputError: when `shape` has another length than the model's identity.
        """
        if not shape.numel():
            return dataclasses.replace(self, shape_basis=self.shape_basis[:0])
        if shape.shape != self.shape_basis.shape[:1]:
            raise self._misfit("shape", shape, tuple(self.shape_basis.shape[:1]))
        vertices = self.vertices + torch.einsum("s,svc->vc", shape, self.shape_basis.to(shape.dtype))
        joints = self.joint_positions if self.joint_regressor is None else self.joint_regressor @ vertices
        return dataclasses.replace(self, vertices=vertices, joint_positions=joints, shape_basis=self.shape_basis[:0])

    def with_fixed_joints(self) -> "HeadModel":
        """The same model with its joints where the template puts them: they no longer follow the vertices."""
        if self.joint_regressor is None:
            return self
        return dataclasses.replace(self, joint_positions=self.joint_regressor @ self.vertices, joint_regressor=None)

    def pose(self, pose: Pose) -> PosedHead:
        """Vertices and joint motions of a pose or a batch, differentiable in the pose and in the model's tensors.

        Template + expression + pose correctives, then linear blend skinning, then translation; joints are regressed
        before the pose correctives, as FLAME does.

        Raises:
            InputError: when a coefficient vector does not have the model's length.
        """
        if pose.expression.ndim == 1:
            vertices, transforms = self.pose(Pose(*(tensor[None] for tensor in pose.tensors)))
            return PosedHead(vertices[0], transforms[0])
        self._check_pose(pose)
        expression, joints, translation = pose.tensors
        batch, neutral = len(expression), self.vertices
        unposed = torch.addmm(neutral.flatten(), expression, self.expression_basis.flatten(1)).view(batch, -1, 3)

        rotations = axis_angle_to_matrix(joints)
        centers = self._rest_joints(unposed)
        if self.pose_basis.shape[0]:
            identity = torch.eye(3, dtype=rotations.dtype, device=rotations.device)
            feature = (rotations[:, 1:] - identity).flatten(1)
            unposed = unposed + (feature @ self.pose_basis.flatten(1)).view_as(unposed)

        transforms = self._joint_transforms(rotations, centers, translation)
        blended = self.skin_weights @ transforms[:, :, :3].flatten(2)
        linear, offset = blended.unflatten(-1, (3, 4)).split([3, 1], dim=-1)
        x, y, z = unposed.split(1, dim=-1)
        vertices = linear[..., 0] * x + linear[..., 1] * y + linear[..., 2] * z + offset.squeeze(-1)
        return PosedHead(vertices, transforms)

    def _rest_joints(self, unposed: Tensor) -> Tensor:
        """[B, J, 3] joints before rotation."""
        if self.joint_regressor is None:
            return self.joint_positions.expand(unposed.shape[0], -1, -1)
        return self.joint_regressor @ unposed

    def _joint_transforms(self, rotations: Tensor, centers: Tensor, translation: Tensor) -> Tensor:
        """[B, J, 4, 4] motion of each joint from rest, chained along the parents, with `translation` last."""
        pivots = centers - (rotations @ centers[..., None]).squeeze(-1)  # x -> R (x - c) + c
        bottom = torch.eye(4, dtype=rotations.dtype, device=rotations.device)[3:]
        bottom = bottom.expand(*rotations.shape[:2], 1, 4)
        local = torch.cat([torch.cat([rotations, pivots[..., None]], dim=-1), bottom], dim=-2)
        chained: dict[int, Tensor] = {}
        for joint in self._chain_order():
            parent = int(self.joint_parents[joint])
            chained[joint] = local[:, joint] if parent < 0 else chained[parent] @ local[:, joint]
        moved = torch.stack([chained[joint] for joint in range(self.joint_count)], dim=1)
        shift = torch.nn.functional.pad(translation[:, None, :, None], (3, 0, 0, 1))
        return moved + shift

    def _chain_order(self) -> list[int]:
        """Joints ordered so that every parent comes before its children."""
        parents = self.joint_parents.tolist()

        def depth(joint: int) -> int:
            return 0 if parents[joint] < 0 else 1 + depth(parents[joint])

        return sorted(range(len(parents)), key=depth)

    def _check_pose(self, pose: Pose) -> None:
        batch = len(pose.expression)
        expressions = self.expression_basis.shape[0]
        shapes = {"expression": (batch, expressions), "joints": (batch, self.joint_count, 3), "translation": (batch, 3)}
        for (what, wanted), tensor in zip(shapes.items(), pose.tensors, strict=True):
            if tuple(tensor.shape) != wanted:
                raise self._misfit(what, tensor, wanted)

    def _misfit(self, what: str, tensor: Tensor, wanted: tuple[int, ...]) -> InputError:
        return InputError(
            f"head model '{self.name}' takes {what} of shape {list(wanted)}, not {list(tensor.shape)}; "
            "use the head.npz that the coefficients were made for"
        )
