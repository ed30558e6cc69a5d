"""The built-in subject: a random identity and a hair cap, on a surface that the avatar system never sees."""

import dataclasses
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ..heads import HeadModel, builtin_head, subdivide, vertex_normals
from .noise import NoiseVolume, smoothstep

SCALP, NECK, EAR, EYEBALL, EYE_SOCKET, MOUTH, TEETH, LIPS = 1, 2, 3, 4, 5, 6, 7, 8
"""Region codes of docs/formats.md."""

HAIR_THICKNESS = 0.010  # metres
_GIVEN_SHARE = 0.3  # of the identity modes, in the head model that the avatar system gets
_IDENTITY_SIGMA = 0.6
_HAIRLINE_ROUNDS = 3
_LIP_ROUNDS = 1


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


def make_subject(rng: np.random.Generator) -> Subject:
    """Draw an identity and grow hair on it."""
    head = builtin_head()
    modes = head.shape_basis.shape[0]
    identity = torch.from_numpy(rng.normal(0, _IDENTITY_SIGMA, modes).clip(-1, 1).astype(np.float32))
    known = torch.arange(modes) < round(_GIVEN_SHARE * modes)
    given = _with_identity(head, identity * known)
    bare = subdivide(_with_identity(head, identity))
    hair = _spread(bare, SCALP, _HAIRLINE_ROUNDS)
    surface = dataclasses.replace(bare, vertices=_with_hair(bare, hair, NoiseVolume(rng)))
    return Subject(identity, given, surface, bare.vertices, hair, _spread(bare, LIPS, _LIP_ROUNDS))


def _with_identity(head: HeadModel, identity: Tensor) -> HeadModel:
    """`head` with the identity baked into its template, joints included; no identity modes remain."""
    vertices = head.vertices + torch.einsum("s,svc->vc", identity, head.shape_basis)
    return dataclasses.replace(head, vertices=vertices, shape_basis=head.shape_basis[:0])


def _spread(head: HeadModel, region: int, rounds: int) -> Tensor:
    """Membership [V] of a region, blurred over `rounds` rings of neighbours."""
    a, b = head.faces[:, [0, 1, 2]].reshape(-1), head.faces[:, [1, 2, 0]].reshape(-1)
    weight = (head.region == region).float()
    degree = torch.ones_like(weight).index_add_(0, a, torch.ones(len(a))).index_add_(0, b, torch.ones(len(a)))
    for _ in range(rounds):
        weight = weight.index_add(0, a, weight[b]).index_add(0, b, weight[a]) / degree
    return weight


def _with_hair(head: HeadModel, hair: Tensor, noise: NoiseVolume) -> Tensor:
    """Vertices [V,3] with the scalp raised by locks of hair."""
    locks = noise.layered(head.vertices * torch.tensor([1.0, 0.6, 0.6]), (0.024, 0.011))[:, 0]
    height = HAIR_THICKNESS * smoothstep(0.3, 1.0, hair) * (0.4 + 1.2 * locks)
    return head.vertices + height[:, None] * vertex_normals(head.vertices, head.faces)
