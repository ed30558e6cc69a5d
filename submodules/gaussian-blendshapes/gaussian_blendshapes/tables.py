"""What is packed before posing: the tables of a head and of its Gaussians, and what the mesh does to the latter."""

from dataclasses import dataclass
from typing import NamedTuple

import torch
from kernel_runtime import check_tensor

# What a row of `neutral` and of `deltas` holds, and how many numbers of each. `turn` is the change of the identity
# quaternion that the mesh under the Gaussian makes; it turns the Gaussian's own rotation.
CHANNELS = {
    "position": 3, "turn": 4, "rotation": 4, "log_scale": 3, "opacity": 1, "albedo": 3, "roughness": 1, "specular": 1,
}  # fmt: skip
WIDTH = sum(CHANNELS.values())

# The parameters that are learned, and how many numbers of each.
LEARNED = {name: width for name, width in CHANNELS.items() if name != "turn"}
LEARNED_WIDTH = sum(LEARNED.values())
MOVED = {name: CHANNELS[name] for name in ("position", "turn", "log_scale")}  # what the mesh changes


@dataclass(frozen=True)
class FaceRings:
    """The F faces of a mesh and which of them surround each of its V vertices."""

    faces: torch.Tensor  # [F, 3] int32
    offsets: torch.Tensor  # [V + 1] int32
    around: torch.Tensor  # [3 F] int32: the faces around vertex v from offsets[v] on, in the order of their numbers

    @classmethod
    def of(cls, faces: torch.Tensor, vertex_count: int) -> "FaceRings":
        """The rings of faces [F, 3], on their device."""
        corners = faces.reshape(-1).long()
        counts = torch.bincount(corners, minlength=vertex_count)
        return cls(
            faces=faces.to(torch.int32).contiguous(),
            offsets=torch.nn.functional.pad(counts.cumsum(0), (1, 0)).to(torch.int32),
            around=(torch.argsort(corners, stable=True) // 3).to(torch.int32),
        )


@dataclass(frozen=True)
class HeadTable:
    """V vertices, E expressions, K pose correctives (0, or 9 for every joint but the root), J joints."""

    rest: torch.Tensor  # [V, 3]
    basis: torch.Tensor  # [E + K, V, 4] float32: offsets x, y, z and a 0 that aligns them
    skin_weights: torch.Tensor  # [V, J]
    joint_rest: torch.Tensor  # [J, 3]
    joint_basis: torch.Tensor | None  # [E, J, 3] how expressions move the joints; None: they do not
    parents: torch.Tensor  # [J] int32, -1 for the root
    order: torch.Tensor  # [J] int32, parents before children
    rings: FaceRings
    expressions: int  # E

    @property
    def correctives(self) -> int:
        """K."""
        return len(self.basis) - self.expressions


class Anchors(NamedTuple):
    """The mesh points that P Gaussians are attached to."""

    corners: torch.Tensor  # [P, 3] int32 vertices of the triangle of each
    barycentric: torch.Tensor  # [P, 3]


@dataclass(frozen=True)
class GaussianTable:
    """P Gaussians, N pairs (Gaussian, expression), K pose correctives, J joints."""

    neutral: torch.Tensor  # [P, WIDTH] raw parameters in the order of CHANNELS; those of `turn` are 0
    offsets: torch.Tensor  # [P + 1] int32: pairs offsets[p] .. offsets[p + 1] belong to Gaussian p
    expression: torch.Tensor  # [N] int16
    deltas: torch.Tensor  # [N, WIDTH] float16, per unit coefficient
    corrective: torch.Tensor  # [K, P, 4] float16: moves x, y, z and a 0
    skin_weights: torch.Tensor  # [P, J]
    corners: torch.Tensor  # [P, 3] int32, see Anchors
    barycentric: torch.Tensor  # [P, 3]
    normal_offset: torch.Tensor  # [P, 3] added to the mesh's unit normal, in the axes of the Gaussian
    least_roughness: float  # roughness = least + (1 - least) * sigmoid(raw)

    @property
    def anchors(self) -> Anchors:
        """Where the Gaussians are attached."""
        return Anchors(self.corners, self.barycentric)


@dataclass(frozen=True)
class Carrier:
    """How the posed mesh carries every Gaussian."""

    moved: torch.Tensor  # [P, 10] what expressions do to place, the identity quaternion under the Gaussian, log scales
    corrective: torch.Tensor | None  # [P, 3] what pose correctives do to the place
    skin_weights: torch.Tensor  # [P, J]
    transforms: torch.Tensor  # [J, 12] rows of [R | t]

    @property
    def moves(self) -> bool:
        """Whether the pose behind it asks for a gradient."""
        motion = (self.moved, self.corrective, self.transforms)
        return torch.is_grad_enabled() and any(tensor is not None and tensor.requires_grad for tensor in motion)

    def checked(self, points: int) -> "Carrier":
        """The same, contiguous, or ArgumentError where a shape or dtype does not fit."""
        corrective = self.corrective
        if corrective is not None:
            corrective = check_tensor("corrective", corrective, (points, 3))
        skin_weights = check_tensor("skin_weights", self.skin_weights, (points, None))
        transforms = check_tensor("transforms", self.transforms, (skin_weights.shape[1], 12))
        return Carrier(
            check_tensor("moved", self.moved, (points, sum(MOVED.values()))), corrective, skin_weights, transforms
        )
