"""The flame_params.json of IMavatar, PointAvatar, FLARE and MonoGaussianAvatar, and MonoFaceCompute's variant of it.

FLAME is four times its size there, cameras look along -z with y up, and intrinsics are fractions of the picture with a
negative horizontal focal length. The head's motion is FLAME's global rotation; the camera stands still.
"""

from pathlib import Path

import numpy as np
import torch

from ...errors import InputError
from ...progress import Progress
from ...scene import Camera
from ..records import Record, read_json
from .flame import JOINTS, UPSTREAM_SCALE, CoefficientReader, axis_angles, load_flame
from .folder import PICTURE_SUFFIXES, SourceFolder
from .pictures import picture_header
from .source import (
    Layout,
    Source,
    SourceFrame,
    frame_id,
    intrinsics,
    natural_key,
    numbers,
    split_by_time,
    world_to_camera,
)

OPENGL_TO_OPENCV = np.diag([1.0, -1.0, -1.0])
_OLD_SIZE = 512  # files whose principal point is in pixels were tracked on pictures of this size
_POSE = 3 * JOINTS
_LABELS = "semantic"


def _clip(folder: SourceFolder, name: str) -> Path | None:
    """The JSON file in the folder or in the one clip below it.

    Raises:
        InputError: when there are several clips below it.
    """
    if folder.has(name):
        return folder.file(name)
    found = sorted(folder.path.glob(f"*/{name}"))
    if len(found) > 1:
        clips = ", ".join(path.parent.name for path in found)
        raise InputError(f"{folder.path} holds several clips ({clips}); import one of them: each has its own light")
    return folder.file(str(found[0].relative_to(folder.path))) if found else None


def _read(name: str, layout: str, folder: SourceFolder, head_file: Path | None, progress: Progress) -> Source:
    path = _clip(folder, name)
    if path is None:
        raise InputError(f"{folder.path} has no {name}")
    coefficients = CoefficientReader(load_flame(head_file, "flame2020", layout))
    clip = SourceFolder(path.parent) if path.parent != folder.path else folder
    record = Record(read_json(path), str(path))
    records = _frame_records(record, path)
    masks, labels = clip.masks(), clip.files(_LABELS)
    images = [clip.named(frame, "file_path", ("", *PICTURE_SUFFIXES)) for frame in records]
    header = picture_header(images[0])
    size = header.width, header.height
    pixels = _intrinsics(record, size)
    frames = []
    progress.start("reading frames", len(records))
    for frame, image, split in zip(records, images, split_by_time(len(records)), strict=True):
        pose = numbers(frame, "pose")
        if len(pose) not in (_POSE, _POSE + 3):
            frame.fail("pose", f"has {len(pose)} numbers, expected {_POSE} or, with a translation, {_POSE + 3}")
        shift = np.pad(pose[_POSE:], (0, _POSE + 3 - len(pose))) / UPSTREAM_SCALE
        read = SourceFrame(
            id=frame_id(image.stem),
            image=image,
            camera=Camera(pixels, _extrinsics(frame), *size),
            expression=coefficients.expression(frame, "expression"),
            joints=axis_angles(pose[:_POSE]),
            translation=torch.from_numpy(shift),
            mask=masks.get(image.stem),
            semantic=labels.get(image.stem),
            split=split,
        )
        frames.append(read)
        progress.advance()
    shape = coefficients.shape(record, "shape_params")
    return Source(layout, size, coefficients.head, shape, tuple(frames), True, notes=tuple(coefficients.notes))


def _frame_records(record: Record, path: Path) -> list[Record]:
    """The records of all frames in the order of their pictures.

    Raises:
        InputError: when there are none.
    """
    frames = [Record(value, f"{path}, frame {index}") for index, value in enumerate(record.items("frames"))]
    if not frames:
        record.fail("frames", "is empty")
    return sorted(frames, key=lambda frame: natural_key(frame.text("file_path")))


def _intrinsics(record: Record, size: tuple[int, int]) -> tuple[float, float, float, float]:
    fx, fy, cx, cy = numbers(record, "intrinsics", 4).tolist()
    declared = (_OLD_SIZE, _OLD_SIZE) if cy > 1 else (1, 1)
    return intrinsics(record, "intrinsics", (abs(fx), fy, cx, cy), declared, size)


def _extrinsics(frame: Record) -> torch.Tensor:
    matrix = numbers(frame, "world_mat")
    if len(matrix) not in (12, 16):
        frame.fail("world_mat", "is no matrix of 3 x 4 or 4 x 4 numbers")
    rigid = OPENGL_TO_OPENCV @ matrix[:12].reshape(3, 4)
    rigid[:, 3] /= UPSTREAM_SCALE
    return world_to_camera(frame, "world_mat", rigid)


def _layout(name: str, file: str) -> Layout:
    def read(folder: SourceFolder, head_file: Path | None, progress: Progress) -> Source:
        return _read(file, name, folder, head_file, progress)

    return Layout(name, file, lambda folder: _clip(folder, file) is not None, read)


MONOFACECOMPUTE = _layout("monofacecompute", "flame_params_optimized.json")
IMAVATAR = _layout("imavatar", "flame_params.json")
