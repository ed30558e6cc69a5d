"""The avatar: neutral Gaussians with materials, sparse expression deltas, and how a pose moves them."""

from dataclasses import dataclass, field, replace

import torch
from gaussian_blendshapes import Carrier, skin_gaussians, weighted_segment_sum

from ..heads import HeadModel, Pose
from ..heads.regions import UNCHANGING, in_regions
from ..rotations import axis_angle_to_matrix
from ..scene import Light
from ..tensors import ON_HOST, to_device
from .attachment import Attachment
from .deformation import ExpressionField, SparseExpressions, sparse_expressions
from .materials import MIN_ROUGHNESS
from .portrait import Portrait
from .trained_range import TrainedRange

# Raw parameters of a Gaussian and their widths, in the order in which deltas are packed.
CHANNELS = {"position": 3, "rotation": 4, "log_scale": 3, "opacity": 1, "albedo": 3, "roughness": 1, "specular": 1}
# All that a Gaussian has on the neutral head: those, and what expressions leave alone. Its normal's offset from the
# mesh's lies in its own axes.
NEUTRAL = {**CHANNELS, "normal_offset": 3}
DELTA_WIDTH = sum(CHANNELS.values())


@dataclass(frozen=True)
class PosedGaussians:
    """P Gaussians in world space with their materials, ready to be lit and splatted."""

    means: torch.Tensor
    """[P, 3] metres."""
    rotations: torch.Tensor
    """[P, 4] unit quaternions (w, x, y, z)."""
    scales: torch.Tensor
    """[P, 3] metres."""
    opacities: torch.Tensor
    """[P, 1] in (0, 1)."""
    albedo: torch.Tensor
    """[P, 3] linear."""
    roughness: torch.Tensor
    """[P, 1]."""
    specular_albedo: torch.Tensor
    """[P, 3]."""


@dataclass(frozen=True)
class Blend:
    """What the expressions of one frame do to P Gaussians."""

    moved: torch.Tensor
    """[P, 10] as the mesh does it: change of position, of the identity quaternion, and of log scales."""
    learned: torch.Tensor
    """[P, DELTA_WIDTH] in units of `delta_scale`."""
    weights: torch.Tensor
    """[N] how much each pair counts in `learned`."""


@dataclass
class Avatar:
    """Gaussians attached to a personalised head mesh.

    `neutral` holds raw tensors by the names of NEUTRAL; `deltas` [N, DELTA_WIDTH] are the learned changes of the
    pairs of `expressions` in units of `delta_scale`, so that one learning rate fits all channels.
    """

    name: str
    head: HeadModel
    attachment: Attachment
    neutral: dict[str, torch.Tensor]
    expressions: SparseExpressions
    deltas: torch.Tensor
    """[N, DELTA_WIDTH]."""
    delta_scale: torch.Tensor
    """[DELTA_WIDTH]."""
    light: Light
    """What the avatar was seen under."""
    portrait: Portrait = field(metadata=ON_HOST)
    antialias: bool = False
    """Whether it was fitted with Gaussians that cover as much at any size of picture."""
    one_bounce: bool = True
    traced_bounce: bool = False
    """Whether light that the head blocks is replaced by that of the very part that blocks it."""
    visibility: bool = True
    focal_scale: float = 1.0
    """What the focal lengths of the dataset are to be multiplied by."""
    trained: TrainedRange | None = field(default=None, metadata=ON_HOST)
    """What it saw of every expression and joint; None where it does not say."""

    @property
    def count(self) -> int:
        """P, the number of Gaussians."""
        return len(self.neutral["position"])

    def to(self, device: torch.device | str) -> "Avatar":
        """The same avatar with every tensor but its portrait's on `device`."""
        return to_device(self, device)

    def region(self) -> torch.Tensor:
        """Head region code [P] of every Gaussian, that of its triangle's first vertex."""
        return self.head.region[self.head.faces[self.attachment.face_id, 0]]

    def portrait_pose(self, **expressions: float) -> Pose:
        """The pose of the avatar's portrait, facing its camera, with the named expressions; all others are at 0.

        `avatar.portrait_pose(jawOpen=0.5, mouthSmileLeft=1.0)`; the names are those of `head.expression_names`.

        Raises:
            InputError: for a name that the head model does not have.
        """
        pose = self.portrait.pose(len(self.head.expression_names))
        for name, strength in expressions.items():
            pose.expression[self.head.expression_index(name)] = strength
        return pose

    def blend(self, expression: torch.Tensor) -> Blend:
        """What expressions do, by their coefficients [E]; differentiable in these and in `deltas`."""
        pairs = self.expressions
        weights = expression[pairs.expression]
        of_deltas = weights * pairs.consistency
        return Blend(
            moved=weighted_segment_sum(pairs.initial, weights, pairs.offsets),
            learned=weighted_segment_sum(self.deltas, of_deltas, pairs.offsets),
            weights=of_deltas,
        )

    def pose(self, expression: torch.Tensor, joints: torch.Tensor, transforms: torch.Tensor) -> PosedGaussians:
        """The Gaussians of one frame, differentiable in `neutral` and `deltas`.

        Args:
            expression: [E] coefficients.
            joints: [J, 3] axis-angle.
            transforms: [J, 4, 4] of the head posed by the same coefficients.
        """
        return self.pose_blended(self.blend(expression), joints, transforms)

    def pose_blended(self, blend: Blend, joints: torch.Tensor, transforms: torch.Tensor) -> PosedGaussians:
        """`pose` behind `blend`, differentiable in `neutral` and in what was blended."""
        carrier = Carrier(
            moved=blend.moved,
            corrective=self._pose_corrective(joints),
            skin_weights=self.attachment.interpolate(self.head.skin_weights, self.head.faces),
            transforms=transforms[:, :3].flatten(1),
        )
        posed = skin_gaussians(self.neutral, blend.learned, self.delta_scale, carrier, MIN_ROUGHNESS)
        fields = posed._asdict()
        specular = fields.pop("specular").expand(-1, 3)
        return PosedGaussians(specular_albedo=specular, **fields)

    def _pose_corrective(self, joints: torch.Tensor) -> torch.Tensor | None:
        """Offsets [P, 3] of the head model's pose correctives at the attached points; None where it has none."""
        basis = self.head.pose_basis
        if basis.shape[0] == 0:
            return None
        feature = (axis_angle_to_matrix(joints[1:]) - torch.eye(3, device=joints.device)).flatten()
        offset = torch.einsum("k,kvc->vc", feature, basis.float())
        return self.attachment.interpolate(offset, self.head.faces)

    def select(self, index: torch.Tensor) -> "Avatar":
        """The avatar of the Gaussians `index` [Q] (repeats allowed), with their learned deltas."""
        pairs = self.expressions
        counts = pairs.offsets.diff()[index]
        offsets = torch.nn.functional.pad(counts.cumsum(0), (1, 0))
        start = (pairs.offsets[:-1][index] - offsets[:-1]).repeat_interleave(counts)
        rows = start + torch.arange(len(start), device=start.device)
        expressions = SparseExpressions(
            offsets, *(values[rows] for values in (pairs.expression, pairs.consistency, pairs.initial))
        )
        return replace(
            self,
            attachment=self.attachment.select(index),
            neutral={name: value[index] for name, value in self.neutral.items()},
            expressions=expressions,
            deltas=self.deltas[rows],
        )


def learns_expressions(head: HeadModel, attachment: Attachment) -> torch.Tensor:
    """[P] bool: False on rigid parts (eyeballs, teeth, mouth interior), whose appearance no expression may change."""
    region = head.region[head.faces[attachment.face_id, 0]]
    return ~in_regions(region, UNCHANGING)


def bind_expressions(
    head: HeadModel, field: ExpressionField, attachment: Attachment, position: torch.Tensor, rotation: torch.Tensor
) -> SparseExpressions:
    """The sparse expression pairs of Gaussians with neutral centres `position` [P, 3] and quaternions [P, 4]."""
    learn = learns_expressions(head, attachment)
    return sparse_expressions(head, field, attachment, position.detach(), rotation.detach(), learn)
