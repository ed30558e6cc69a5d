"""Poisson-disk points on a mesh: where the Gaussians of a new avatar are born."""

import numpy as np
import torch
from kernel_runtime import jit
from scipy.spatial import cKDTree

# Picking among this many random candidates per point fills about half of the densest (hexagonal) packing, whose discs
# of diameter r hold sqrt(3) / 2 r^2 each (measured; random sequential packing ends at 60 %).
_COVERAGE = 0.51 / (np.sqrt(3.0) / 2.0)
_CANDIDATES_PER_POINT = 6


def sample_surface(
    vertices: torch.Tensor,  # [V, 3]
    faces: torch.Tensor,  # [F, 3]
    count: int,
    seed: int,
    face_weight: torch.Tensor | None = None,  # [F]
) -> tuple[torch.Tensor, torch.Tensor]:
    """About `count` points at least one radius apart on the mesh.

    Args:
        face_weight: relative density per face, 0 to leave a face empty; the local radius goes with its inverse
        square root.

    Returns:
        Face ids [P] int64 and barycentric coordinates [P, 3] of points in random order.
    """
    corners = vertices.detach().cpu().double().numpy()[faces.cpu().numpy()]
    weight = np.ones(len(corners)) if face_weight is None else face_weight.cpu().double().numpy()
    area = 0.5 * np.linalg.norm(np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]), axis=1)
    mass = area * weight
    random = np.random.default_rng(seed)
    face_id = random.choice(len(mass), count * _CANDIDATES_PER_POINT, p=mass / mass.sum())
    root, split = np.sqrt(random.random(len(face_id))), random.random(len(face_id))
    barycentric = np.stack([1 - root, root * (1 - split), root * split], axis=1)
    points = np.einsum("pk,pkc->pc", barycentric, corners[face_id])
    radius = np.sqrt(_COVERAGE * mass.sum() / count / weight[face_id])
    kept = _eliminate(points, radius)
    return torch.from_numpy(face_id[kept]), torch.from_numpy(barycentric[kept]).float()


def _eliminate(points: np.ndarray, radius: np.ndarray) -> np.ndarray:
    """Indices kept when every point, in order, removes later ones closer than its radius."""
    pairs = cKDTree(points).query_pairs(radius.max(), output_type="ndarray")
    distance = np.linalg.norm(points[pairs[:, 0]] - points[pairs[:, 1]], axis=1)
    close = pairs[distance < np.minimum(radius[pairs[:, 0]], radius[pairs[:, 1]])]
    close = close[np.lexsort((close[:, 1], close[:, 0]))]
    first = np.searchsorted(close[:, 0], np.arange(len(points) + 1))
    return np.flatnonzero(_greedy(first, close[:, 1]))


@jit
def _greedy(first, later):
    keep = np.ones(len(first) - 1, np.bool_)
    for point in range(len(keep)):
        if keep[point]:
            for index in range(first[point], first[point + 1]):
                keep[later[index]] = False
    return keep
