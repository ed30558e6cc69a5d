"""The personalised surface: neutral offsets, hair height, expression corrections, and their regularisers."""

import dataclasses

import numpy as np
import torch
from scipy.spatial import cKDTree
from torch import Tensor

from ..heads import HeadModel, vertex_normals
from .config import GeometryConfig
from .optimiser import Parameter
from .parts import SCALP, extension, is_surface, offset_cost
from .smoothing import Smoother, SparseMap
from .topology import cotangent_laplacian, face_normals, neighbouring_faces

_MM = 1e-3
_BENDING_LENGTH = 0.01  # metres: the Laplacian of an offset times this length is without a unit
_HAIRLINE = 0.006  # metres over which hair may rise from the skin
_LEAST_DISPLACEMENT = 1e-5  # metres below which an expression counts as not moving a vertex


class Surface:
    """A head model plus what is fitted to it."""

    def __init__(self, head: HeadModel, config: GeometryConfig):
        self.base = head
        self._config = config
        self._normals = vertex_normals(head.vertices, head.faces)
        self._extend = extension(head)
        self._outer = is_surface(head).float()[:, None]
        self._cost = offset_cost(head)[:, None]
        self.laplacian = cotangent_laplacian(head.vertices, head.faces)
        self._area = torch.from_numpy(self.laplacian.mass).float()[:, None] * self._outer
        self._area = self._area / self._area.sum()
        inverse_mass = 1 / self.laplacian.mass[:, None]
        self._bend = SparseMap(self.laplacian.stiffness.multiply(inverse_mass).tocsr())
        self._stiffness = SparseMap(self.laplacian.stiffness)
        outer_faces = head.faces[self._outer[:, 0].bool()[head.faces].all(1)]
        self._faces, self._pairs = outer_faces, neighbouring_faces(outer_faces)
        self._base_angles = self._angles(head.vertices)
        self.hair_freedom = torch.zeros(head.vertex_count, 1)
        self.set_hair((head.region == SCALP).float())
        rates = config.rates
        self.parameters = {
            "offset": Parameter(torch.zeros_like(head.vertices), rates.offset * _MM, uniform=True),
            "hair": Parameter(torch.zeros(head.vertex_count, 1), rates.hair * _MM, uniform=True),
        }
        if config.expression_corrections:
            self._spread, chosen = _handles(head, self._outer[:, 0].bool(), config.handles)
            size = head.expression_basis.norm(dim=-1)
            self._strength = size / size.amax(1, keepdim=True).clamp_min(_LEAST_DISPLACEMENT)
            shape = (len(head.expression_names), chosen, 3)
            self.parameters["handles"] = Parameter(torch.zeros(shape), rates.expression_offset * _MM, floor=1.0)

    def set_hair(self, membership: Tensor) -> None:
        """Say where hair may rise: membership [V] in 0 to 1, blurred here to a hairline without a step."""
        blurred = Smoother(self.laplacian, _HAIRLINE).values(membership[:, None])
        self.hair_freedom = (2 * blurred - 0.5).clamp(0, 1) * self._outer

    def leaves(self, corrections: bool) -> dict[str, Tensor]:
        """Fresh leaves; those of the expression `corrections` only where these may change yet."""
        return {
            name: parameter.leaf() for name, parameter in self.parameters.items() if corrections or name != "handles"
        }

    def head(self, leaves: dict[str, Tensor]) -> HeadModel:
        """The head model with the fitted deformations baked in."""
        raised = leaves["offset"] + self.hair_freedom * leaves["hair"] * self._normals
        vertices = self.base.vertices + self._extend(raised * self._outer)
        basis = self.base.expression_basis
        if "handles" in leaves:
            basis = basis + self._corrections(leaves["handles"])
        return dataclasses.replace(self.base, vertices=vertices, expression_basis=basis)

    def _corrections(self, handles: Tensor) -> Tensor:
        """[E,V,3] moves of handles [E,H,3] spread over the surface, as strong as the expression moves it."""
        spread = torch.einsum("vh,ehc->evc", self._spread, handles)
        return self._strength[..., None] * spread

    def surface_regions(self) -> tuple[Tensor, Tensor]:
        """[V] bool each: outer skin, hair."""
        return self._outer[:, 0] > 0, self.hair_freedom[:, 0] > 0.5

    def penalties(self, leaves: dict[str, Tensor], vertices: Tensor) -> dict[str, Tensor]:
        """The regularisers of `GeometryWeights` that concern the mesh, for rest `vertices` [V,3] made from `leaves`."""
        offset, hair = leaves["offset"], leaves["hair"]
        bending = self._bend(offset) * _BENDING_LENGTH
        angles = self._angles(vertices) - self._base_angles
        terms = {
            "laplacian": (self._area * bending.square()).sum(),
            "normal_consistency": angles.square().sum(-1).mean(),
            "offset_size": (self._area * self._cost * (offset / _MM).square()).sum(),
            "hair_slope": (hair * self._stiffness(hair)).sum() / float(self.laplacian.mass.sum()),
        }
        if "handles" in leaves:
            terms["expression_size"] = (leaves["handles"] / _MM).square().sum(-1).mean()
        return terms

    def _angles(self, vertices: Tensor) -> Tensor:
        """[N,3] difference of the unit normals of neighbouring faces."""
        normals = face_normals(vertices, self._faces)
        return normals[self._pairs[:, 0]] - normals[self._pairs[:, 1]]

    def step(self, leaves: dict[str, Tensor], share: float, smoother: Smoother) -> None:
        """Descend along smoothed gradients with `share` of the rates."""
        for name, movable in (("offset", self._outer), ("hair", self.hair_freedom)):
            gradient = leaves[name].grad
            if gradient is not None:
                self.parameters[name].step(movable * smoother.gradient(gradient), share)
        if "handles" in leaves:
            self.parameters["handles"].step(leaves["handles"].grad, share)


def _handles(head: HeadModel, outer: Tensor, count: int) -> tuple[Tensor, int]:
    """Weights [V,H] of up to `count` handles spread evenly over the vertices `outer`; rows sum to 1."""
    points = head.vertices.double().numpy()
    candidates = np.flatnonzero(outer.numpy())
    count = min(count, len(candidates))
    chosen = [candidates[0]]
    distance = np.full(len(candidates), np.inf)
    for _ in range(count - 1):
        distance = np.minimum(distance, np.linalg.norm(points[candidates] - points[chosen[-1]], axis=1))
        chosen.append(candidates[int(distance.argmax())])
    tree = cKDTree(points[chosen])
    if count == 1:
        return torch.ones(len(points), 1), 1
    spacing = tree.query(points[chosen], k=2)[0][:, 1].mean()
    away = np.linalg.norm(points[:, None] - points[chosen][None], axis=2)
    weight = np.exp(-((away**2 - away.min(1, keepdims=True) ** 2) / (2 * spacing**2)))
    return torch.from_numpy(weight / weight.sum(1, keepdims=True)).float(), count
