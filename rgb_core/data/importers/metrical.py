"""metrical-tracker checkpoints: GaussianBlendshapes, RGBAvatar, SplattingAvatar and the relightable subjects.

`checkpoint/00000.frame` beside `images/00000.png`. The opencv block is the camera, at the resolution that was tracked;
all motion of the head is in it.
"""

from pathlib import Path

import numpy as np
import torch

from ...errors import InputError
from ...heads import load_frame_file
from ...progress import Progress
from ...scene import Camera
from ..records import Record
from .flame import CoefficientReader, load_flame, rotations_6d
from .folder import SourceFolder
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

NAME = "metrical"
_PICTURES = {"images.HQ": "semantic.HQ", "images": "semantic"}
"""Folders of pictures and of their labels, the larger pictures first."""


def _matches(folder: SourceFolder) -> bool:
    return any(folder.path.glob("checkpoint/*.frame"))


def _read(folder: SourceFolder, head_file: Path | None, progress: Progress) -> Source:
    checkpoints = folder.files("checkpoint", (".frame",))
    stems = sorted(checkpoints, key=natural_key)
    if not stems:
        raise InputError(f"{folder.path / 'checkpoint'} holds no .frame file")
    coefficients = CoefficientReader(load_flame(head_file, "flame2020", NAME))
    pictures = next((name for name in _PICTURES if folder.files(name)), "images")
    images, masks = folder.files(pictures), folder.masks()
    labels = folder.files(_PICTURES[pictures]) or folder.files("semantic")
    missing = [stem for stem in stems if stem not in images]
    if missing:
        raise InputError(f"{folder.path / pictures} has no picture of {checkpoints[missing[0]]}")
    header = picture_header(images[stems[0]])
    size = header.width, header.height
    shape = coefficients.shape(_flame(_checkpoint(checkpoints[stems[0]])), "shape")
    frames = []
    progress.start("reading checkpoints", len(stems))
    for stem, split in zip(stems, split_by_time(len(stems)), strict=True):
        checkpoint = _checkpoint(checkpoints[stem])
        flame = _flame(checkpoint)
        frame = SourceFrame(
            id=frame_id(stem),
            image=images[stem],
            camera=_camera(checkpoint, size),
            expression=coefficients.expression(flame, "exp"),
            joints=_joints(flame),
            translation=torch.zeros(3, dtype=torch.float64),
            mask=masks.get(stem),
            semantic=labels.get(stem),
            split=split,
        )
        frames.append(frame)
        progress.advance()
    return Source(NAME, size, coefficients.head, shape, tuple(frames), True, notes=tuple(coefficients.notes))


def _checkpoint(path: Path) -> Record:
    return Record(load_frame_file(path), str(path))


def _flame(checkpoint: Record) -> Record:
    return Record(checkpoint.get("flame"), f"{checkpoint.context}, flame")


def _joints(flame: Record) -> torch.Tensor:
    """[5, 3]: root and neck at rest, the jaw, and the eyes in the order of the array."""
    turned = rotations_6d(np.concatenate([numbers(flame, "jaw", 6), numbers(flame, "eyes", 12)]))
    return torch.cat([torch.zeros(2, 3, dtype=torch.float64), turned])


def _camera(checkpoint: Record, size: tuple[int, int]) -> Camera:
    """The tracked camera for pictures of `size`."""
    opencv = Record(checkpoint.get("opencv"), f"{checkpoint.context}, opencv")
    rigid = np.concatenate([numbers(opencv, "R", 9).reshape(3, 3), numbers(opencv, "t", 3)[:, None]], 1)
    height, width = numbers(checkpoint, "img_size", 2)
    calibration = numbers(opencv, "K", 9).reshape(3, 3)
    pixels = intrinsics(opencv, "K", calibration[[0, 1, 0, 1], [0, 1, 2, 2]].tolist(), (width, height), size)
    return Camera(pixels, world_to_camera(opencv, "R", rigid), *size)


LAYOUT = Layout(NAME, "checkpoint/*.frame", _matches, _read)
