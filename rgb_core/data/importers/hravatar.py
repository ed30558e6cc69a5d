"""HRAvatar's tracked_params.json: FLAME four times its size after skinning and translation, one record per picture.

Version 2 of the file keeps FLAME's own size. Pictures carry a matte or lie beside a mask folder.
"""

from pathlib import Path

import numpy as np
import torch

from ...errors import InputError
from ...progress import Progress
from ...scene import Camera
from ..records import Record, read_json
from .flame import JOINTS, UPSTREAM_SCALE, CoefficientReader, axis_angles, load_flame
from .folder import SourceFolder
from .imavatar import OPENGL_TO_OPENCV
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

NAME = "hravatar"
_SCALES = {"tracked_params_v2.json": 1.0, "tracked_params.json": UPSTREAM_SCALE}
"""Size of the posed head in metres' stead by file, the file that wins first."""
_PICTURES = ("image", "images")


def _file(folder: SourceFolder) -> str | None:
    return next((name for name in _SCALES if folder.has(name)), None)


def _read(folder: SourceFolder, head_file: Path | None, progress: Progress) -> Source:
    file = _file(folder)
    if file is None:
        raise InputError(f"{folder.path} has no {' or '.join(_SCALES)}")
    coefficients = CoefficientReader(load_flame(head_file, "flame2020", NAME))
    path = folder.file(file)
    record = Record(read_json(path), str(path))
    pictures = next((name for name in _PICTURES if folder.has(name)), _PICTURES[0])
    images, masks, labels = folder.files(pictures), folder.masks(), folder.files("semantic")
    tracked = _tracked(record, path, images)
    if not tracked:
        raise InputError(f"{path} tracks none of the pictures in {folder.path / pictures}")
    header = picture_header(images[next(iter(tracked))])
    size = header.width, header.height
    pixels = intrinsics(record, "intrinsics", numbers(record, "intrinsics", 4).tolist(), size, size)
    frames = []
    progress.start("reading frames", len(tracked))
    for (stem, frame), split in zip(tracked.items(), split_by_time(len(tracked)), strict=True):
        shift = numbers(frame, "translation", 3) if "translation" in frame.values else np.zeros(3)
        read = SourceFrame(
            id=frame_id(stem),
            image=images[stem],
            camera=Camera(pixels, _extrinsics(frame, _SCALES[file]), *size),
            expression=coefficients.expression(frame, "expcode"),
            joints=axis_angles(numbers(frame, "fullposecode", 3 * JOINTS)),
            translation=torch.from_numpy(shift),
            mask=masks.get(stem),
            semantic=labels.get(stem),
            split=split,
        )
        frames.append(read)
        progress.advance()
    shape = coefficients.shape(record, "shapecode")
    return Source(NAME, size, coefficients.head, shape, tuple(frames), True, notes=tuple(coefficients.notes))


def _tracked(record: Record, path: Path, images: dict[str, Path]) -> dict[str, Record]:
    """The records of frames by the stem of their picture, in natural order.

    Raises:
        InputError: for a tracked frame without a picture.
    """
    stems = {image.name: stem for stem, image in images.items()} | {stem: stem for stem in images}
    found = {}
    for key in sorted(record.values, key=natural_key):
        value = record.values[key]
        if not isinstance(value, dict) or "fullposecode" not in value:
            continue  # the intrinsics, the identity and other keys of the whole clip
        if key not in stems:
            record.fail(key, f"has no picture in the folder {' or '.join(_PICTURES)}")
        found[stems[key]] = Record(value, f"{path}, frame {key}")
    return found


def _extrinsics(frame: Record, scale: float) -> torch.Tensor:
    rigid = OPENGL_TO_OPENCV @ numbers(frame, "world_mat", 16).reshape(4, 4)[:3]
    rigid[:, 3] /= scale
    return world_to_camera(frame, "world_mat", rigid)


LAYOUT = Layout(NAME, "tracked_params.json", lambda folder: _file(folder) is not None, _read)
