"""Distances between the fitted and the true surface, and the overlap of their silhouettes with the matte."""

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torchoptixext_visibility import MeshBvh

from ..heads.regions import Region
from ..scene import Camera
from ..scene.labels import BARE_SKIN, Label, has_label
from .metrics import MATTE_THRESHOLD

_MILLIMETRES = 1000.0  # per metre
_SURFACE_CLEARANCE = 1e-4  # metres that a ray must leave a vertex before a hit hides it: its own triangles do not


class Surface(NamedTuple):
    """A triangle mesh in world metres."""

    vertices: Tensor
    """[V, 3]."""
    faces: Tensor
    """[F, 3]."""


class MeshDistances:
    """Distances pooled over the vertices of all frames with a true mesh, and the mean overlap of the silhouettes."""

    def __init__(self) -> None:
        self._to_fit: list[Tensor] = []
        self._labelled: list[tuple[Tensor, Tensor]] = []
        self._face_to_truth: list[Tensor] = []
        self._overlap: list[float] = []

    def add(
        self, fitted: Surface, region: Tensor, true: Surface, camera: Camera, matte: Tensor, labels: Tensor | None
    ) -> None:
        """Take in one frame.

        Args:
            fitted: the avatar's posed mesh.
            region: [V] head region of the fitted vertices.
            true: the true posed surface.
            camera: of `labels` and `matte`, whose pixels say what a true vertex shows.
            matte: uint8 [H, W] true alpha.
            labels: uint8 [H, W], where the frame has them.
        """
        true_bvh = MeshBvh(true.vertices, true.faces)
        distance = surface_distance(true.vertices, MeshBvh(fitted.vertices, fitted.faces))
        self._to_fit.append(distance)
        if labels is not None:
            self._labelled.append((distance, visible_labels(true.vertices, true_bvh, camera, labels)))
        self._face_to_truth.append(surface_distance(fitted.vertices[region == Region.SKIN], true_bvh))
        self._overlap.append(silhouette_iou(fitted, camera, matte))

    def scores(self) -> dict[str, float | None]:
        """The `mesh` record of metrics.json, distances in millimetres; None for a part without vertices."""
        to_fit = _pool(self._to_fit).numpy()
        return {
            "mean_mm": _mean_mm(self._to_fit),
            "p95_mm": float(np.percentile(to_fit, 95)) * _MILLIMETRES if len(to_fit) else None,
            "skin_mean_mm": self.part_mean_mm(BARE_SKIN),
            "hair_mean_mm": self.part_mean_mm((Label.HAIR,)),
            "face_to_truth_mm": _mean_mm(self._face_to_truth),
            "silhouette_iou": sum(self._overlap) / len(self._overlap) if self._overlap else None,
        }

    def part_mean_mm(self, wanted: tuple[Label, ...]) -> float | None:
        """Mean distance in mm of the true vertices seen on pixels with one of the labels `wanted`; None if none was."""
        return _mean_mm([distance[has_label(seen, wanted)] for distance, seen in self._labelled])


def surface_distance(points: Tensor, bvh: MeshBvh) -> Tensor:
    """[N] float64 metres from points [N, 3] to the surface that `bvh` was built on."""
    return bvh.closest_point(points).squared_distance.double().sqrt()


def visible_labels(vertices: Tensor, bvh: MeshBvh, camera: Camera, labels: Tensor) -> Tensor:
    """uint8 [V] label of the pixel that each vertex is seen in; 0 for one out of the picture or hidden by its mesh."""
    pixel, depth = camera.project(vertices)
    column, row = pixel.floor().long().unbind(-1)
    in_picture = (depth > 0) & (column >= 0) & (column < camera.width) & (row >= 0) & (row < camera.height)
    to_camera = camera.center - vertices
    distance = to_camera.norm(dim=1)
    hidden = bvh.occluded(vertices, to_camera / distance[:, None], t_min=_SURFACE_CLEARANCE)
    shown = labels[row.clamp(0, camera.height - 1), column.clamp(0, camera.width - 1)]
    return torch.where(in_picture & ~hidden, shown, 0)


def silhouette_iou(surface: Surface, camera: Camera, matte: Tensor) -> float:
    """Intersection over union of the pixels whose centre the mesh covers and those of the matte uint8 [H, W]."""
    drawn = camera.see_mesh(surface.vertices, surface.faces).mask
    true = matte > MATTE_THRESHOLD
    union = int((drawn | true).sum())
    return int((drawn & true).sum()) / union if union else 1.0


def _pool(parts: list[Tensor]) -> Tensor:
    """All values, float64; empty where there are no parts."""
    return torch.cat([torch.zeros(0, dtype=torch.float64), *parts])


def _mean_mm(parts: list[Tensor]) -> float | None:
    """Mean of metres in millimetres."""
    values = _pool(parts)
    return values.mean().item() * _MILLIMETRES if len(values) else None
