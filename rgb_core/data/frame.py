"""One frame of a dataset, and the checks that its record in dataset.json must pass."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..heads import HeadModel
from ..images import check_png
from .camera import Camera
from .records import Record

_KEYS = frozenset({"id", "image", "semantic", "K", "w2c", "expression", "joints", "translation"})
_ROTATION_TOLERANCE = 1e-3  # largest error of R R^T: files carry matrices with four digits or more
_SINGULAR = 1e-6  # determinant below which a w2c has no inverse
_FARTHEST_CAMERA = 50.0  # metres; beyond it a translation is in another unit


@dataclass(frozen=True, eq=False)
class Frame:
    """A frame: where its files lie, its camera, and its coefficients of the dataset's head model."""

    id: str
    image: Path
    """RGBA file, straight alpha."""
    semantic: Path | None
    """Label file, where there is one."""
    camera: Camera
    expression: Tensor
    """[E]."""
    joints: Tensor
    """[J, 3] axis-angle, radians, joint 0 the root."""
    translation: Tensor
    """[3] metres, added after skinning."""
    extra: dict[str, Any] = field(default_factory=dict)
    """Keys of the record that this version does not know."""


def check_id(record: Record, key: str) -> str:
    """An id that is safe as a file name."""
    name = record.text(key)
    if name.startswith(".") or any(letter in name for letter in '/\\\0:*?"<>|'):
        record.fail(key, f"{name!r} cannot be a file name")
    return name


def parse_frame(record: Record, folder: Path, size: tuple[int, int], head: HeadModel) -> Frame:
    """Check one record of `frames` against the head model and the headers of its image files.

    Raises:
        InputError: naming the file, the frame and the key.
    """
    name = check_id(record, "id")
    fx, fy, cx, cy = record.array("K", (4,)).tolist()
    if fx <= 0 or fy <= 0:
        record.fail("K", "is [fx, fy, cx, cy] in pixels with positive focal lengths")
    world_to_camera = record.array("w2c", (3, 4))
    _check_rigid(record, world_to_camera)
    translation = record.array("translation", (3,))
    _check_in_view(record, world_to_camera, translation, head)
    image = _image_file(record, "image", folder, 4, size)
    has_labels = record.values.get("semantic") is not None
    return Frame(
        id=name,
        image=image,
        semantic=_image_file(record, "semantic", folder, 1, size) if has_labels else None,
        camera=Camera((fx, fy, cx, cy), _float32(world_to_camera), *size),
        expression=_float32(record.array("expression", (head.expression_basis.shape[0],))),
        joints=_float32(record.array("joints", (head.joint_count, 3))),
        translation=_float32(translation),
        extra=record.unknown(_KEYS),
    )


def _float32(array: np.ndarray) -> Tensor:
    return torch.from_numpy(array.astype(np.float32))


def _image_file(record: Record, key: str, folder: Path, channels: int, size: tuple[int, int]) -> Path:
    path = folder / record.text(key)
    if not path.is_file():
        record.fail(key, f"names {path}, which does not exist")
    check_png(path, channels, size)
    return path


def _check_rigid(record: Record, world_to_camera: np.ndarray) -> None:
    """Refuse what is not a rotation and a translation in metres, and say which mistake it looks like."""
    rotation, translation = world_to_camera[:, :3], world_to_camera[:, 3]
    determinant = np.linalg.det(rotation)
    if abs(determinant) < _SINGULAR:
        record.fail("w2c", "is not invertible")
    scale = np.cbrt(abs(determinant))
    if np.abs(rotation @ rotation.T / scale**2 - np.eye(3)).max() > _ROTATION_TOLERANCE:
        record.fail("w2c", "does not start with a rotation: its rows are not orthonormal")
    if abs(scale - 1) > _ROTATION_TOLERANCE:
        record.fail("w2c", f"scales by {scale:.4g}: a camera is rigid, so bring the scene to metres instead")
    if determinant < 0:
        record.fail("w2c", "mirrors an axis (determinant -1): OpenCV's are x right, y down, z forward")
    if np.linalg.norm(translation) > _FARTHEST_CAMERA:
        distance = np.linalg.norm(translation)
        record.fail("w2c", f"puts the camera {distance:.4g} m away: translations are metres, not another unit")


def _check_in_view(record: Record, world_to_camera: np.ndarray, translation: np.ndarray, head: HeadModel) -> None:
    """A head behind the camera means axes that look along -z."""
    root = head.joint_positions[0].numpy() + translation
    if world_to_camera[2, :3] @ root + world_to_camera[2, 3] <= 0:
        record.fail("w2c", "puts the head behind the camera: OpenCV looks along +z with y down (negate two rows)")
