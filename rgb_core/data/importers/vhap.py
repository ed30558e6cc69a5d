"""VHAP exports for GaussianAvatars: transforms.json with a FLAME 2023 parameter file for every timestep.

Cameras are camera-to-world in OpenGL axes. The head moves by FLAME's rotation and translation; several calibrated
cameras may see it.
"""

from pathlib import Path

import numpy as np
import torch

from ...numpy_files import read_npz
from ...progress import Progress
from ...scene import Camera
from ..records import Record
from .flame import CoefficientReader, axis_angles, load_flame, personalised
from .folder import PICTURE_SUFFIXES, SourceFolder
from .pictures import picture_header
from .source import Layout, Source, SourceFrame, frame_id, intrinsics, inverse, numbers, world_to_camera
from .transforms import is_transforms, one_camera, read_transforms

NAME = "vhap"
OPENGL_CAMERA_TO_OPENCV = np.diag([1.0, -1.0, -1.0, 1.0])
_POSE = (("rotation", 3), ("neck_pose", 3), ("jaw_pose", 3), ("eyes_pose", 6))
_STATIC, _DYNAMIC = "static_offset", "dynamic_offset"
_KEYS = (*(key for key, _ in _POSE), "translation", "expr", "shape", _STATIC, _DYNAMIC)
_LOST = "dynamic_offset is left out: the native format has no vertex offsets per frame"


def _matches(folder: SourceFolder) -> bool:
    return is_transforms(folder) and (folder.has("canonical_flame_param.npz") or folder.has("flame_param"))


def _read(folder: SourceFolder, head_file: Path | None, progress: Progress) -> Source:
    head = load_flame(head_file, "flame2023", NAME)
    records = read_transforms(folder)
    first = _parameters(folder, records[0][0])
    if _STATIC in first.values:
        head = personalised(head, first, _STATIC, numbers(first, _STATIC).reshape(-1, 3))
    coefficients = CoefficientReader(head)
    header = picture_header(_image(folder, records[0][0]))
    size = header.width, header.height
    masks, labels = folder.masks(), folder.files("semantic")
    frames, lost = [], False
    progress.start("reading frames", len(records))
    for record, split in records:
        image = _image(folder, record)
        named = "fg_mask_path" in record.values
        mask = folder.named(record, "fg_mask_path", beside=True) if named else masks.get(image.stem)
        flame = _parameters(folder, record)
        lost |= _DYNAMIC in flame.values and bool(numbers(flame, _DYNAMIC).any())
        frame = SourceFrame(
            id=_id(folder, image),
            image=image,
            camera=transforms_camera(record, size, OPENGL_CAMERA_TO_OPENCV),
            expression=coefficients.expression(flame, "expr"),
            joints=axis_angles(np.concatenate([numbers(flame, key, count) for key, count in _POSE])),
            translation=torch.from_numpy(numbers(flame, "translation", 3)),
            mask=mask,
            semantic=labels.get(image.stem),
            split=split,
        )
        frames.append(frame)
        progress.advance()
    single = one_camera([record for record, _ in records])
    notes = (*coefficients.notes, *([_LOST] if lost else []))
    return Source(NAME, size, head, coefficients.shape(first, "shape"), tuple(frames), single, notes=notes)


def _image(folder: SourceFolder, record: Record) -> Path:
    """The picture of a frame; a union of sequences names those in the folders beside its own."""
    return folder.named(record, "file_path", ("", *PICTURE_SUFFIXES), beside=True)


def _id(folder: SourceFolder, image: Path) -> str:
    """The number of a picture, with the name of its sequence where that lies beside the folder."""
    inside = image.relative_to(folder.path).parts
    return f"{inside[1]}_{frame_id(image.stem)}" if inside[0] == ".." else frame_id(image.stem)


def transforms_camera(record: Record, size: tuple[int, int], axes: np.ndarray) -> Camera:
    """The camera of a transforms.json record for pictures of `size`; `axes` [4, 4] turns its axes to OpenCV's."""
    pixels = [record.number(key) for key in ("fl_x", "fl_y", "cx", "cy")]
    declared = record.number("w"), record.number("h")
    to_world = numbers(record, "transform_matrix", 16).reshape(4, 4) @ axes
    matrix = world_to_camera(record, "transform_matrix", inverse(to_world))
    return Camera(intrinsics(record, "fl_x", pixels, declared, size), matrix, *size)


def _parameters(folder: SourceFolder, frame: Record) -> Record:
    """The FLAME arrays of a frame.

    Raises:
        InputError: when the file is damaged or holds pickled objects.
    """
    path = folder.named(frame, "flame_param_path", beside=True)
    return Record(read_npz(path, _KEYS), str(path))


LAYOUT = Layout(NAME, "canonical_flame_param.npz or flame_param", _matches, _read)
