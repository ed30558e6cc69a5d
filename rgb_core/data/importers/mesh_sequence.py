"""A head model from the meshes of a clip: the neutral one as template, rigid motion, and principal components.

What is lost: the identity space, the skeleton (jaw and eyes are part of the expressions, so they cannot be posed
apart), the names of the expressions, and whatever the kept components do not span.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from ...errors import InputError
from ...heads import HeadModel
from ...heads.foreign.obj import read_obj, read_obj_vertices
from ...heads.regions import Region
from ...progress import Progress
from ...rotations import matrix_to_axis_angle

_MAX_COMPONENTS = 60  # of FLAME's 100 expressions, jaw and eyes, a clip uses fewer independent directions
_MAX_SAMPLES = 240  # meshes that the components are found from, evenly spaced in time: bounds memory
_SMALLEST_COMPONENT = 1e-6  # relative to the largest: below are rounding errors of the text files
_RIGID_ROUNDS = 3  # fits of the rigid motion, each to the half of the vertices that the last one explains best


@dataclass(frozen=True)
class MeshMotion:
    """One mesh in terms of the model."""

    expression: Tensor
    """[E]."""
    root: Tensor
    """[3] axis-angle."""
    translation: Tensor
    """[3]."""


def model_of_meshes(
    meshes: Sequence[Path], neutral: int, progress: Progress
) -> tuple[HeadModel, list[MeshMotion], float]:
    """The model of a mesh sequence, the motion of every mesh, and the RMS distance in metres that the model leaves.

    Args:
        meshes: .obj files with the same vertices and faces, in metres.
        neutral: index of the mesh that becomes the template.

    Raises:
        InputError: when a file is damaged or has another topology than the neutral one.
    """
    template, faces = _triangles(meshes[neutral])
    center = template.mean(0)
    chosen = np.unique(np.linspace(0, len(meshes) - 1, min(len(meshes), _MAX_SAMPLES)).round().astype(int))
    progress.start("finding expressions", len(chosen))
    deviations = np.empty((len(chosen), template.size))
    for row, index in enumerate(chosen):
        deviations[row] = _deviation(meshes[index], template)[0].ravel()
        progress.advance()
    components, sizes = _components(deviations)
    motions, squared = [], 0.0
    progress.start("reading meshes", len(meshes))
    for path in meshes:
        deviation, rotation, shift = _deviation(path, template)
        amounts = components @ deviation.ravel()
        squared += float(np.mean((deviation.ravel() - amounts @ components) ** 2)) * 3
        root = matrix_to_axis_angle(torch.from_numpy(rotation))
        offset = rotation @ center + shift - center  # the root joint is the template's centre
        motions.append(MeshMotion(torch.from_numpy(amounts / sizes), root, torch.from_numpy(offset)))
        progress.advance()
    basis = (components * sizes[:, None]).reshape(len(sizes), -1, 3)
    return _head(template, faces, center, basis), motions, float(np.sqrt(squared / len(meshes)))


def _triangles(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Vertices [V, 3] and triangles [F, 3] of the neutral mesh; quads are cut in two."""
    mesh = read_obj(path)
    first, second = mesh.polygons[:, :3], mesh.polygons[:, [0, 2, 3]]
    quads = second[:, 1] != second[:, 2]
    faces = np.concatenate([first, second[quads]])
    if not len(faces):
        raise InputError(f"{path} has no faces; export the meshes with them")
    return mesh.vertices, faces


def _deviation(path: Path, template: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Deviation [V, 3] of a mesh from the template in the template's frame, and the rigid motion R, t to the mesh."""
    vertices = read_obj_vertices(path)
    if vertices.shape != template.shape:
        raise InputError(f"{path} has {len(vertices)} vertices, the neutral mesh {len(template)}; export them alike")
    used = np.arange(len(template))
    for _ in range(_RIGID_ROUNDS):
        rotation, shift = rigid_motion(template[used], vertices[used])
        deviation = (vertices - shift) @ rotation - template
        distance = np.linalg.norm(deviation, axis=1)
        used = np.argsort(distance, kind="stable")[: max(3, len(template) // 2)]
    return deviation, rotation, shift


def rigid_motion(source: np.ndarray, target: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Rotation [3, 3] and shift [3] that take `source` [N, 3] closest to `target`, least squares (Kabsch 1976)."""
    from_center, to_center = source.mean(0), target.mean(0)
    left, _, right = np.linalg.svd((target - to_center).T @ (source - from_center))
    keep = np.diag([1.0, 1.0, np.sign(np.linalg.det(left @ right))])  # a rotation, not a reflection
    rotation = left @ keep @ right
    return rotation, to_center - rotation @ from_center


def _components(deviations: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Orthonormal directions [E, 3V] and their root mean square amounts [E], the largest first.

    The deviations are taken from the neutral mesh, not from their mean, so that zero coefficients are neutral.
    """
    values, vectors = np.linalg.eigh(deviations @ deviations.T)
    values, vectors = values[::-1], vectors[:, ::-1]
    kept = min(_MAX_COMPONENTS, int((values > values[0] * _SMALLEST_COMPONENT**2).sum())) if values[0] > 0 else 0
    singular = np.sqrt(values[:kept])
    components = (vectors[:, :kept] / singular).T @ deviations
    components, _ = np.linalg.qr(components.T)  # weak components of a Gram matrix are orthogonal only roughly
    components = components.T
    signs = np.sign(components[np.arange(kept), np.abs(components).argmax(1)]) if kept else np.ones(0)
    return components * signs[:, None], singular / np.sqrt(len(deviations))


def _head(template: np.ndarray, faces: np.ndarray, center: np.ndarray, basis: np.ndarray) -> HeadModel:
    """One joint, no identities; the stillest vertices of the upper back are called scalp, as the skull's anchor."""
    count = len(template)
    motion = np.sqrt((basis**2).sum((0, 2)))
    still = motion <= np.median(motion)
    scalp = still & (template[:, 1] > center[1]) & (template[:, 2] < center[2])
    return HeadModel(
        name="mesh-sequence",
        vertices=torch.from_numpy(template).float(),
        faces=torch.from_numpy(faces),
        shape_basis=torch.zeros(0, count, 3),
        expression_basis=torch.from_numpy(basis).float(),
        expression_names=tuple(f"component_{index:02d}" for index in range(len(basis))),
        pose_basis=torch.zeros(0, count, 3),
        joint_positions=torch.from_numpy(center[None]).float(),
        joint_parents=torch.tensor([-1]),
        joint_names=("root",),
        skin_weights=torch.ones(count, 1),
        region=torch.from_numpy(scalp.astype(np.uint8) * Region.SCALP),
    )
