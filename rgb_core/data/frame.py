"""One frame of a dataset, and the checks that its record in dataset.json must pass."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..heads import HeadModel, Pose
from ..images import check_png
from ..scene import Camera
from .records import Defects, Record

_KEYS = frozenset({"id", "image", "semantic", "K", "w2c", "expression", "joints", "translation"})
_ROTATION_TOLERANCE = 1e-3  # largest error of R R^T: files carry matrices with four digits or more
_SINGULAR = 1e-6  # determinant below which a w2c has no inverse
_FOCAL_LENGTHS = 0.05, 1000.0  # of the longer side: wider than any lens, and nearly parallel rays
_LARGEST_COEFFICIENT = 1e3  # FLAME's stay below 10, blendshapes below 2
_LARGEST_ANGLE = 100.0  # radians: some turns more than a head makes
_NEAREST_HEAD = 0.02  # metres from the camera to the root of the head
_REACH = 1.0  # metres around the root within which every part of a head lies, however it is turned
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
    pose: Pose
    extra: dict[str, Any] = field(default_factory=dict)
    """Keys of the record that this version does not know."""


def check_id(record: Record, key: str) -> str:
    """An id that is safe as a file name."""
    name = record.text(key)
    if name.startswith(".") or not name.isprintable() or any(letter in name for letter in '/\\\0:*?"<>|'):
        record.fail(key, f"{name!r} cannot be a file name")
    return name


@dataclass(frozen=True)
class FrameContext:
    """What every record of `frames` is checked against."""

    folder: Path
    size: tuple[int, int]
    """(width, height) of the images."""
    head: HeadModel
    pictures: bool = True
    """Whether picture files have to be there and are checked."""


def parse_frame(record: Record, context: FrameContext, defects: Defects) -> Frame | None:
    """Check one record of `frames` against the head model and the headers of its image files, key by key.

    Returns:
        The frame; None where `defects` kept what is wrong with it, each with the file, the frame and the key.

    Raises:
        InputError: at the first defect, where `defects` keeps none.
    """
    known = len(defects.found)
    values: dict[str, Any] = {}
    for key, check in _CHECKS.items():
        with defects.checked():
            values[key] = check(record, context)
    if "w2c" in values and "translation" in values:
        with defects.checked():
            _check_in_view(record, values["w2c"], values["translation"], values.get("K"), context.size, context.head)
    if len(defects.found) > known:
        return None
    return Frame(
        id=values["id"],
        image=values["image"],
        semantic=values["semantic"],
        camera=Camera(values["K"], _float32(values["w2c"]), *context.size),
        pose=Pose(*(_float32(values[key]) for key in ("expression", "joints", "translation"))),
        extra=record.unknown(_KEYS),
    )


def _intrinsics(record: Record, context: FrameContext) -> tuple[float, ...]:
    fx, fy, cx, cy = record.array("K", (4,)).tolist()
    if fx <= 0 or fy <= 0:
        record.fail("K", "is [fx, fy, cx, cy] in pixels with positive focal lengths")
    width, height = context.size
    shortest, longest = (factor * max(context.size) for factor in _FOCAL_LENGTHS)
    if not (shortest <= min(fx, fy) and max(fx, fy) <= longest):
        record.fail("K", f"has focal lengths of {fx:.4g}, {fy:.4g} pixels, not {shortest:.4g} to {longest:.4g}")
    # A picture cut out of a larger one has its principal point beside it, but within the larger one's view.
    if abs(cx - width / 2) > max(1.5 * width, fx) or abs(cy - height / 2) > max(1.5 * height, fy):
        record.fail("K", f"has its principal point at {cx:.4g}, {cy:.4g}, far off the {width} x {height} picture")
    return fx, fy, cx, cy


def _world_to_camera(record: Record, _: FrameContext) -> np.ndarray:
    matrix = record.array("w2c", (3, 4))
    _check_rigid(record, matrix)
    return matrix


def _semantic(record: Record, context: FrameContext) -> Path | None:
    if record.values.get("semantic") is None:
        return None
    return _image_file(record, "semantic", 1, context)


_CHECKS: dict[str, Callable[[Record, FrameContext], Any]] = {
    "id": lambda record, _: check_id(record, "id"),
    "K": _intrinsics,
    "w2c": _world_to_camera,
    "translation": lambda record, _: _bounded(record, "translation", (3,), _FARTHEST_CAMERA, "metres"),
    "image": lambda record, context: _image_file(record, "image", 4, context),
    "semantic": _semantic,
    "expression": lambda record, context: _bounded(
        record, "expression", (context.head.expression_basis.shape[0],), _LARGEST_COEFFICIENT, "coefficients"
    ),
    "joints": lambda record, context: _bounded(
        record, "joints", (context.head.joint_count, 3), _LARGEST_ANGLE, "radians"
    ),
}


def _bounded(record: Record, key: str, shape: tuple[int, ...], largest: float, unit: str) -> np.ndarray:
    """Numbers of `shape` that a head can have: larger ones are of another unit, or leave no digits for the rest."""
    array = record.array(key, shape)
    worst = float(np.abs(array).max(initial=0))
    if worst > largest:
        record.fail(key, f"has the value {worst:.4g}: {unit} up to {largest:.4g} are meant")
    return array


def _float32(array: np.ndarray) -> Tensor:
    return torch.from_numpy(array.astype(np.float32))


def _image_file(record: Record, key: str, channels: int, context: FrameContext) -> Path:
    if not context.pictures:
        return record.name(key, context.folder)
    path = record.file(key, context.folder)
    check_png(path, channels, context.size)
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


def _check_in_view(
    record: Record, world_to_camera: np.ndarray, translation: np.ndarray, intrinsics: tuple[float, ...] | None,
    size: tuple[int, int], head: HeadModel,
) -> None:  # fmt: skip
    """A head behind the camera means axes that look along -z; one beside the picture leaves nothing to fit."""
    root = head.joint_positions[0].numpy() + translation
    x, y, depth = world_to_camera[:, :3] @ root + world_to_camera[:, 3]
    if depth <= 0:
        record.fail("w2c", "puts the head behind the camera: OpenCV looks along +z with y down (negate two rows)")
    if depth < _NEAREST_HEAD:
        record.fail("w2c", f"puts the camera into the head, {depth:.4g} m from its root")
    if intrinsics is None:
        return
    fx, fy, cx, cy = intrinsics
    for place, length, focal in ((x * fx / depth + cx, size[0], fx), (y * fy / depth + cy, size[1], fy)):
        reach = _REACH * focal / depth
        if not -reach <= place <= length + reach:
            record.fail("w2c", "puts the head beside the picture: no part of it can be seen")
