"""transforms.json with a mesh for every frame: INSTA (OpenCV cameras) and VHAP's mesh mode (OpenGL cameras).

No FLAME file is needed: the head model is built from the meshes.
"""

import os
from pathlib import Path

import numpy as np
import torch

from ...errors import InputError
from ...files import read_bytes
from ...progress import Progress
from ...units import MILLIMETRE
from ..records import Record
from .folder import PICTURE_SUFFIXES, SourceFolder
from .mesh_sequence import model_of_meshes
from .pictures import picture_header
from .source import Layout, Source, SourceFrame, frame_id
from .transforms import is_transforms, one_camera, read_transforms
from .vhap import OPENGL_CAMERA_TO_OPENCV, transforms_camera

INSTA, VHAP_MESH = "insta", "vhap-mesh"
_LARGEST_LIST = 1 << 20  # bytes of a text file of coefficients


def _matches(folder: SourceFolder, opengl: bool) -> bool:
    """VHAP's frames say their timestep."""
    if not is_transforms(folder):
        return False
    records = [record for record, _ in read_transforms(folder)]
    meshes = any("mesh_path" in record.values or "exp_path" in record.values for record in records)
    return meshes and opengl == any("timestep_index" in record.values for record in records)


def _read(folder: SourceFolder, name: str, progress: Progress) -> Source:
    records = read_transforms(folder)
    kept = [(record, split) for record, split in records if _has_mesh(folder, record)]
    if not kept:
        raise InputError(f"{folder.path} has no mesh of any frame; the {name} layout needs the folder meshes")
    images = [folder.named(record, "file_path", ("", *PICTURE_SUFFIXES)) for record, _ in kept]
    meshes = [folder.named(record, "mesh_path") for record, _ in kept]
    neutral = int(np.argmin([_activity(folder, record) for record, _ in kept]))
    head, motions, left = model_of_meshes(meshes, neutral, progress)
    header = picture_header(images[0])
    size = header.width, header.height
    axes = OPENGL_CAMERA_TO_OPENCV if name == VHAP_MESH else np.eye(4)
    masks, labels = folder.masks(), folder.files("semantic")
    frames = [
        SourceFrame(
            id=frame_id(image.stem),
            image=image,
            camera=transforms_camera(record, size, axes),
            expression=motion.expression,
            joints=motion.root[None],
            translation=motion.translation,
            mask=masks.get(image.stem),
            semantic=labels.get(image.stem),
            split=split,
        )
        for (record, split), image, motion in zip(kept, images, motions, strict=True)
    ]
    notes = [
        f"the head model is made of {len(head.expression_names)} components of the meshes, which leave "
        f"{left / MILLIMETRE:.2g} mm (RMS); jaw and eyes cannot be posed apart"
    ]
    if len(kept) < len(records):
        notes.append(f"{len(records) - len(kept)} frames without a mesh are left out")
    single = one_camera([record for record, _ in kept])
    return Source(name, size, head, torch.zeros(0, dtype=torch.float64), tuple(frames), single, notes=tuple(notes))


def _has_mesh(folder: SourceFolder, record: Record) -> bool:
    """INSTA's own script leaves holes where its tracker failed."""
    return "mesh_path" in record.values and os.path.isfile(folder.file(record.text("mesh_path")))


def _activity(folder: SourceFolder, record: Record) -> float:
    """Length of the frame's expression vector; 0 where none is given, so that the first mesh counts as neutral."""
    if "exp_path" not in record.values:
        return 0.0
    path = folder.named(record, "exp_path")
    try:
        values = np.array(read_bytes(path, _LARGEST_LIST).split()).astype(np.float64)
    except ValueError as error:
        raise InputError(f"{path} is not a list of numbers") from error
    if not np.isfinite(values).all():
        raise InputError(f"{path} has a number that is not finite")
    return float(np.linalg.norm(values))


def _layout(name: str) -> Layout:
    def matches(folder: SourceFolder) -> bool:
        return _matches(folder, name == VHAP_MESH)

    def read(folder: SourceFolder, head_file: Path | None, progress: Progress) -> Source:
        if head_file is not None:
            raise InputError(f"the {name} layout builds its head model from the meshes; leave --head out")
        return _read(folder, name, progress)

    return Layout(name, "transforms.json with mesh_path", matches, read)


VHAP_MESH_LAYOUT, INSTA_LAYOUT = _layout(VHAP_MESH), _layout(INSTA)
