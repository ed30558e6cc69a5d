"""The built-in subject: a random identity and a hair cap, on a surface that the avatar system never sees."""

import dataclasses
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ..heads import HeadModel, builtin_head, subdivide, vertex_normals
from ..heads.builtin import eyeball
from ..heads.regions import Region
from .noise import NoiseVolume, smoothstep

HAIR_THICKNESS = 0.010  # metres
_GIVEN_SHARE = 0.3  # of the identity modes, in the head model that the avatar system gets
_IDENTITY_SIGMA = 0.8
_SUBDIVISIONS = 2
_HAIRLINE_ROUNDS = 8
_LIP_ROUNDS = 3


@dataclass(frozen=True)
class Subject:
    """One person, in two versions.

    `given` is the head model of the dataset: part of the identity, no hair. `surface` is what the camera sees: all of
    the identity, finer triangles, and hair. Its rest surface without hair, `skin` [V,3], carries the paint.
    """

    identity: Tensor
    """[S] coefficients of the built-in head."""
    given: HeadModel
    surface: HeadModel
    skin: Tensor
    hair: Tensor
    """[V] 0 on bare skin to 1 deep in the hair, without a step at the hairline."""
    lips: Tensor
    """[V] 0 to 1 likewise."""
    eye_centres: Tensor
    """[2, 3] of the right and the left eye, like `skin` at rest."""


def make_subject(rng: np.random.Generator) -> Subject:
    """Draw an identity and grow hair on it."""
    head = builtin_head()
    modes = head.shape_basis.shape[0]
    identity = torch.from_numpy(rng.normal(0, _IDENTITY_SIGMA, modes).clip(-1, 1).astype(np.float32))
    known = torch.arange(modes) < round(_GIVEN_SHARE * modes)
    given = head.with_identity(identity * known)
    bare = _refined(head.with_identity(identity), _SUBDIVISIONS)
    eyes = bare.joint_positions[[bare.joint_names.index(name) for name in ("right_eye", "left_eye")]]
    bare = dataclasses.replace(bare, vertices=_with_round_eyes(bare, eyes))
    hair = _spread(bare, Region.SCALP, _HAIRLINE_ROUNDS)
    # Both versions turn about the same joints, so that coefficients mean the same motion for both.
    surface = dataclasses.replace(
        bare,
        vertices=_with_hair(bare, hair, NoiseVolume(rng)),
        joint_positions=given.joint_positions,
        joint_regressor=None,
    )
    return Subject(identity, given, surface, bare.vertices, hair, _spread(bare, Region.LIPS, _LIP_ROUNDS), eyes)


def _refined(head: HeadModel, times: int) -> HeadModel:
    """Loop subdivision of the template; deformations are interpolated along the edges.

    Loop's rule for regular vertices is midpoint subdivision and then three quarters of the mean of the neighbours. It
    shrinks coarse round parts, so eyeballs and teeth keep their place between lids and lips.
    """
    for _ in range(times):
        head = subdivide(head)
        share = 0.75 * ((head.region != Region.EYEBALL) & (head.region != Region.TEETH)).float()[:, None]
        vertices = torch.lerp(head.vertices, _neighbour_mean(head.vertices, head.faces), share)
        head = dataclasses.replace(head, vertices=vertices)
    return head


def _with_round_eyes(head: HeadModel, centres: Tensor) -> Tensor:
    """Vertices [V,3] with those of the eyes on the smooth surface between the corners of coarse triangles."""
    vertices = head.vertices.clone()
    for centre, is_side in zip(centres, (vertices[:, 0] < 0, vertices[:, 0] >= 0), strict=True):
        eye = (head.region == Region.EYEBALL) & is_side
        arm = vertices[eye] - centre
        angle = torch.atan2(arm[:, :2].norm(dim=1), arm[:, 2])
        radius = arm.norm(dim=1).amax() / eyeball.APEX
        distance = radius * torch.from_numpy(eyeball.profile(angle.double().numpy())).float()
        vertices[eye] = centre + torch.nn.functional.normalize(arm, dim=1) * distance[:, None]
    return vertices


def _spread(head: HeadModel, region: int, rounds: int) -> Tensor:
    """Membership [V] of a region, blurred over `rounds` rings of neighbours."""
    weight = (head.region == region).float()[:, None]
    for _ in range(rounds):
        weight = 0.5 * (weight + _neighbour_mean(weight, head.faces))
    return weight[:, 0]


def _neighbour_mean(values: Tensor, faces: Tensor) -> Tensor:
    """Mean [V,C] of `values` [V,C] over the vertices that share an edge with each vertex."""
    start, end = faces.reshape(-1), faces.roll(-1, 1).reshape(-1)
    total = torch.zeros_like(values).index_add_(0, start, values[end]).index_add_(0, end, values[start])
    count = torch.bincount(torch.cat([start, end]), minlength=len(values))
    return total / count[:, None]


def _with_hair(head: HeadModel, hair: Tensor, noise: NoiseVolume) -> Tensor:
    """Vertices [V,3] with the scalp raised by locks of hair."""
    locks = noise.layered(head.vertices * torch.tensor([1.0, 0.6, 0.6]), (0.020, 0.009, 0.005))[:, 0]
    height = HAIR_THICKNESS * smoothstep(0.3, 1.0, hair) * (0.4 + 1.2 * locks)
    return head.vertices + height[:, None] * vertex_normals(head.vertices, head.faces)
