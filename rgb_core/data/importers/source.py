"""What every foreign layout is read into: checked frames in their own cameras and the paths of their pixels."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from ...heads import HeadModel
from ...progress import Progress
from ...scene import Camera
from ..records import Record
from .folder import SourceFolder

TEST_FRAMES = 350  # the INSTA, GaussianBlendshapes and HRAvatar protocol: the last frames of a clip
TEST_SHARE = 0.15  # HRAvatar's share of clips that are too short for it
_ROTATION_TOLERANCE = 1e-3  # largest error of R R^T: files carry matrices with four digits or more


@dataclass(frozen=True, eq=False)
class SourceFrame:
    """A tracked frame; tensors are float64, so that an import loses nothing before the files are written."""

    id: str
    image: Path
    camera: Camera
    """In pixels of `image`; metres."""
    expression: Tensor
    """[E]."""
    joints: Tensor
    """[J, 3] axis-angle, radians."""
    translation: Tensor
    """[3] metres."""
    mask: Path | None = None
    """Matte of an image without one of its own."""
    semantic: Path | None = None
    split: str = "train"


@dataclass(frozen=True, eq=False)
class Source:
    """A clip as its layout describes it, in metres and OpenCV cameras."""

    layout: str
    size: tuple[int, int]
    """Width and height of all images."""
    head: HeadModel
    shape: Tensor
    """[S] float64 identity, or [0]."""
    frames: tuple[SourceFrame, ...]
    camera_holds_motion: bool
    """True where one real camera stood still, so that any motion of the recorded ones is the head's."""
    light_frame: str = "world"
    fps: float = 25.0
    """No foreign layout records it; 25 is what their trackers extract."""
    notes: tuple[str, ...] = ()
    """What the user should know about what was left out."""


@dataclass(frozen=True)
class Layout:
    """One foreign layout: how to recognise it and how to read it."""

    name: str
    marker: str
    """What a folder of this layout holds, for error messages."""
    matches: Callable[[SourceFolder], bool]
    read: Callable[[SourceFolder, Path | None, Progress], Source]
    """Takes the folder and the head model's file, if one was given."""


def world_to_camera(record: Record, key: str, matrix: np.ndarray) -> Tensor:
    """[3, 4] float64 from a rigid matrix [3 or 4, 4] of OpenCV axes, its rotation made exactly orthonormal.

    Raises:
        InputError: when it scales, shears or mirrors.
    """
    rotation = matrix[:3, :3]
    if np.abs(rotation @ rotation.T - np.eye(3)).max() > _ROTATION_TOLERANCE:
        record.fail(key, "does not start with a rotation: its rows are not orthonormal")
    if np.linalg.det(rotation) < 0:
        record.fail(key, "mirrors an axis: its determinant is -1")
    left, _, right = np.linalg.svd(rotation)
    return torch.from_numpy(np.concatenate([left @ right, matrix[:3, 3:]], 1))


def inverse(matrix: np.ndarray) -> np.ndarray:
    """The inverse of a camera-to-world matrix [4, 4]; a singular one is returned as zeros, which is no rotation."""
    try:
        return np.linalg.inv(matrix)
    except np.linalg.LinAlgError:
        return np.zeros((4, 4))


def intrinsics(
    record: Record, key: str, values: Sequence[float], declared: tuple[float, float], size: tuple[int, int]
) -> tuple[float, float, float, float]:
    """fx, fy, cx, cy of images of `size` from values in pixels of the `declared` (width, height).

    Raises:
        InputError: for a focal length or a size that is not positive.
    """
    fx, fy, cx, cy = (float(value) for value in values)
    if fx <= 0 or fy <= 0 or min(declared) <= 0:
        record.fail(key, "has a focal length or image size that is not positive")
    across, down = size[0] / declared[0], size[1] / declared[1]
    return fx * across, fy * down, cx * across, cy * down


def numbers(record: Record, key: str, count: int | None = None) -> np.ndarray:
    """The finite numbers of an array or nested list, as one float64 row; exactly `count` of them where given.

    Raises:
        InputError: naming the record and the key.
    """
    value = record.get(key)
    try:
        array = np.asarray(value)
    except ValueError:
        array = np.array(None)  # ragged lists
    if array.size and array.dtype.kind not in "iuf":
        record.fail(key, "must be numbers")
    row = array.astype(np.float64).reshape(-1)
    if count is not None and len(row) != count:
        record.fail(key, f"has {len(row)} numbers, expected {count}")
    if not (np.abs(row) <= np.finfo(np.float32).max).all():
        record.fail(key, "has a number that is not finite or beyond 3.4e38")
    return row


def split_by_time(count: int) -> list[str]:
    """Splits of `count` frames in order: the last 350 are the test, of short clips the last 15 percent."""
    test = TEST_FRAMES if count >= 2 * TEST_FRAMES else round(TEST_SHARE * count)
    return ["train"] * (count - test) + ["test"] * test


def natural_key(name: str) -> list[tuple[int, int, str]]:
    """Sorts 'frame10' after 'frame9'."""
    parts = re.findall(r"[0-9]+|[^0-9]+", name)
    return [(0, int(part), "") if part[0] in "0123456789" else (1, 0, part) for part in parts]


def frame_id(stem: str) -> str:
    """The id of a picture called `stem`: plain numbers get five digits, so that files sort by time."""
    return stem.zfill(5) if re.fullmatch("[0-9]+", stem) else stem
