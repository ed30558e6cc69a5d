"""The personalised surface: neutral offsets, hair height, expression corrections, and their regularisers."""

import dataclasses

import numpy as np
import torch
from scipy.spatial import cKDTree
from torch import Tensor

from ..devices import CPU
from ..heads import HeadModel, vertex_normals
from ..heads.regions import Region
from ..units import MILLIMETRE
from .config import GeometryConfig
from .optimiser import Parameter
from .parts import extension, is_rigid, is_surface, offset_cost
from .smoothing import Smoother, SparseMap
from .topology import cotangent_laplacian, face_normals, neighbouring_faces

_BENDING_LENGTH = 0.01  # metres: the Laplacian of an offset times this length is without a unit
_HAIRLINE = 0.006  # metres over which hair may rise from the skin
_LEAST_DISPLACEMENT = 1e-5  # metres below which an expression counts as not moving a vertex


class Surface:
    """A head model plus what is fitted to it, on a device."""

    def __init__(self, head: HeadModel, config: GeometryConfig, device: torch.device = CPU):
        """`head` is on the CPU, where everything that is derived once is made."""
        self.base = head.to(device)
        self._config = config
        self._device = device
        self._normals = vertex_normals(self.base.vertices, self.base.faces)
        self._extend = extension(head, device)
        outer = is_surface(head)
        self._outer = outer.float()[:, None].to(device)
        self._cost = offset_cost(head)[:, None].to(device)
        self.laplacian = cotangent_laplacian(head.vertices, head.faces)
        self._whole_area = float(self.laplacian.mass.sum())
        area = torch.from_numpy(self.laplacian.mass).float()[:, None] * outer[:, None]
        self._area = (area / area.sum()).to(device)
        inverse_mass = 1 / self.laplacian.mass[:, None]
        self._bend = SparseMap(self.laplacian.stiffness.multiply(inverse_mass).tocsr(), device)
        self._stiffness = SparseMap(self.laplacian.stiffness, device)
        outer_faces = head.faces[outer[head.faces].all(1)]
        self._faces, self._pairs = outer_faces.to(device), neighbouring_faces(outer_faces).to(device)
        self._base_angles = self._angles(self.base.vertices)
        self.hair_freedom = torch.zeros_like(self._outer)
        self.set_hair((self.base.region == Region.SCALP).float())
        rates = config.rates
        self.parameters = {
            "offset": Parameter(torch.zeros_like(self.base.vertices), rates.offset * MILLIMETRE, uniform=True),
            "hair": Parameter(torch.zeros_like(self._outer), rates.hair * MILLIMETRE, uniform=True),
        }
        if config.expression_corrections:
            spread, chosen = _handles(head, outer, config.handles)
            self._spread = spread.to(device)
            size = self.base.expression_basis.norm(dim=-1)
            soft = (~is_rigid(head)).to(device)
            self._strength = soft * size / size.amax(1, keepdim=True).clamp_min(_LEAST_DISPLACEMENT)
            still = torch.zeros(len(head.expression_names), chosen, 3, device=device)
            self.parameters["handles"] = Parameter(still, rates.expression_offset * MILLIMETRE, floor=1.0)

    def smoother(self, length: float) -> Smoother:
        """Smoothing of values over the surface by `length` metres."""
        return Smoother(self.laplacian, length, self._device)

    def set_hair(self, membership: Tensor) -> None:
        """Say where hair may rise: membership [V] in 0 to 1, blurred here to a hairline without a step."""
        blurred = self.smoother(_HAIRLINE).values(membership[:, None])
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
            "offset_size": (self._area * self._cost * (offset / MILLIMETRE).square()).sum(),
            "hair_slope": (hair * self._stiffness(hair)).sum() / self._whole_area,
        }
        if "handles" in leaves:
            terms["expression_size"] = (leaves["handles"] / MILLIMETRE).square().sum(-1).mean()
        return terms

    def _angles(self, vertices: Tensor) -> Tensor:
        """[N,3] difference of the unit normals of neighbouring faces."""
        normals = face_normals(vertices, self._faces)
        return normals[self._pairs[:, 0]] - normals[self._pairs[:, 1]]

    def step(self, leaves: dict[str, Tensor], share: float, smoother: Smoother) -> None:
        """Descend along smoothed gradients with `share` of the rates."""
        gradients = [gradient for name in ("offset", "hair") if (gradient := leaves[name].grad) is not None]
        smooth = smoother.gradient(torch.cat(gradients, dim=1))
        self.parameters["offset"].step(self._outer * smooth[:, :3], share)
        self.parameters["hair"].step(self.hair_freedom * smooth[:, 3:], share)
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
