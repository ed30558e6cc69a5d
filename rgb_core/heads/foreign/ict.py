"""ICT-FaceKit as a head model: a folder of OBJ files with a neutral mesh, identities and expressions."""

import json
import re
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ...errors import InputError
from ..arkit import ARKIT_NAMES, SPLIT_BY_SIDE
from ..builtin import rig, topology
from ..model import HeadModel
from .obj import ObjMesh, read_obj, read_obj_vertices

NEUTRAL = "generic_neutral_mesh.obj"
MODEL_FOLDER = "FaceXModel"
"""Where the download keeps the OBJ files."""
METRES_PER_UNIT = 0.01
HEAD_VERTICES = 24591
"""Vertices [0, 24591) are skin, mouth, sockets, gums, teeth and eyeballs; tears, lashes and eye shadows follow."""
EYEBALLS = {"Left": slice(21451, 23021), "Right": slice(23021, 24591)}
OUTER_EYEBALL = 770
"""The first vertices of an eyeball are its visible ball, the others the iris behind it."""
UNUSED_ARKIT_NAMES = frozenset({"tongueOut"})
MOTIONS = frozenset({"jawLeft", "jawRight", "mouthLeft", "mouthRight"})
"""Here left and right are directions, not sides of the face."""
ROOT_JOINT = (0.0, -0.085, -0.015)
"""Metres: inside the neck; the head is rigid otherwise, its jaw and eyes move by expressions."""
ANATOMY = Path(__file__).with_name("ict_anatomy.npz")
"""Region code of every vertex and vertex of every iBUG-68 landmark; the topology is the same for every ICT head."""
DOWNLOAD = "download ICT-FaceKit from https://github.com/ICT-VGL/ICT-FaceKit and give its FaceXModel folder"
META = {
    "source": "ICT-FaceKit",
    "licence": "MIT, Copyright (c) 2020 USC Institute for Creative Technologies",
    "units": "ICT units x 0.01",
    "gaze": "ICT moves no eyeball; the eyeLook expressions carry here the chord of its turn",
}

Floats = NDArray[np.float64]


def ict_expression_names() -> tuple[str, ...]:
    """The 53 ARKit expressions by ICT's names: `browDown_L` for `browDownLeft`, and merged shapes split by side."""
    names = []
    for name in ARKIT_NAMES:
        if name in SPLIT_BY_SIDE:
            names += [f"{name}_L", f"{name}_R"]
        elif name not in UNUSED_ARKIT_NAMES:
            names.append(name if name in MOTIONS else re.sub("(Left|Right)$", lambda side: f"_{side[0][0]}", name))
    return tuple(names)


def ict_folder(path: Path | str) -> Path | None:
    """The folder at `path`, or inside it, that holds the OBJ files of ICT-FaceKit; None where there is none."""
    for folder in (Path(path), Path(path) / MODEL_FOLDER):
        if (folder / NEUTRAL).is_file():
            return folder
    return None


def load_ict(path: Path | str) -> HeadModel:
    """ICT-FaceKit in metres with all identities that are there, 53 expressions and one joint.

    Raises:
        InputError: when a file is missing, malformed or of another mesh.
    """
    folder = ict_folder(path)
    if folder is None:
        raise InputError(f"{path} holds no {NEUTRAL}; {DOWNLOAD}")
    names = ict_expression_names()
    expression_files = [folder / f"{name}.obj" for name in names]
    for file in expression_files:
        if not file.is_file():
            raise InputError(f"{file} is missing; {DOWNLOAD}")
    mesh = read_obj(folder / NEUTRAL)
    if len(mesh.vertices) < HEAD_VERTICES:
        raise InputError(f"{folder / NEUTRAL} has {len(mesh.vertices)} vertices, but ICT's has more; {DOWNLOAD}")
    neutral = mesh.vertices[:HEAD_VERTICES] * METRES_PER_UNIT
    expressions = _offsets(expression_files, mesh.vertices)
    _turn_eyeballs(expressions, names, neutral)
    faces, uv, uv_faces = _surface(mesh)
    anatomy = np.load(ANATOMY)
    return HeadModel(
        name="ict",
        vertices=_tensor(neutral),
        faces=torch.from_numpy(faces),
        shape_basis=_tensor(_offsets(sorted(folder.glob("identity[0-9][0-9][0-9].obj")), mesh.vertices)),
        expression_basis=_tensor(expressions),
        expression_names=names,
        pose_basis=torch.zeros(0, HEAD_VERTICES, 3),
        joint_positions=torch.tensor([ROOT_JOINT]),
        joint_parents=torch.tensor([-1]),
        joint_names=("root",),
        skin_weights=torch.ones(HEAD_VERTICES, 1),
        region=torch.from_numpy(anatomy["region"]),
        uv=None if uv is None else _tensor(uv),
        uv_faces=None if uv_faces is None else torch.from_numpy(uv_faces),
        landmarks68=torch.from_numpy(anatomy["landmarks68"].astype(np.int64)),
        meta=json.dumps(META),
    )


def _offsets(paths: list[Path], neutral: Floats) -> Floats:
    """[N, HEAD_VERTICES, 3] in metres."""
    offsets = np.empty((len(paths), HEAD_VERTICES, 3), dtype=np.float64)
    for index, path in enumerate(paths):
        vertices = read_obj_vertices(path)
        if vertices.shape != neutral.shape:
            raise InputError(f"{path} has {len(vertices)} vertices, but {NEUTRAL} has {len(neutral)}; {DOWNLOAD}")
        offsets[index] = ((vertices - neutral) * METRES_PER_UNIT)[:HEAD_VERTICES]
    return offsets


def _turn_eyeballs(expressions: Floats, names: tuple[str, ...], neutral: Floats) -> None:
    """ICT moves the lids with the gaze but not the eyeballs: let them turn as those of the built-in head do."""
    for side, eyeball in EYEBALLS.items():
        ball = neutral[eyeball][:OUTER_EYEBALL]
        center = rig.sphere_center(ball[ball[:, 2] <= np.median(ball[:, 2])])  # in front, the cornea bulges
        for direction in rig.GAZE_DEGREES:
            index = names.index(f"eyeLook{direction}_{side[0]}")
            expressions[index, eyeball] = rig.gaze_offsets(neutral[eyeball], center, direction, side)


def _surface(mesh: ObjMesh) -> tuple[NDArray[np.int64], Floats | None, NDArray[np.int64] | None]:
    """Triangles [F, 3] of the head, and its texture tiles side by side in the unit square."""
    kept = (mesh.polygons < HEAD_VERTICES).all(1)
    quads = mesh.polygons[kept]
    uv_quads = quads if mesh.uv_polygons is None else mesh.uv_polygons[kept]
    faces, uv_faces = topology.triangulate(mesh.vertices, quads, uv_quads)
    solid = (faces != np.roll(faces, 1, axis=1)).all(1)  # the second half of a triangle that was filled up to a quad
    faces, uv_faces = faces[solid], uv_faces[solid]
    if mesh.uv_polygons is None:
        return faces, None, None
    uv, uv_faces = _tiled(mesh.uv, uv_faces, np.repeat(mesh.material[kept], 2)[solid])
    return faces, uv, uv_faces


def _tiled(uv: Floats, uv_faces: NDArray[np.int64], material: NDArray[np.int64]) -> tuple[Floats, NDArray[np.int64]]:
    """Texture coordinates with every tile (unit square of one material) in a cell of its own."""
    tile = np.column_stack([material, np.floor(uv[uv_faces].mean(1)).astype(np.int64)])
    tiles, number = np.unique(tile, axis=0, return_inverse=True)
    number = number.reshape(-1)
    side = int(np.ceil(np.sqrt(len(tiles))))
    corners = np.column_stack([uv_faces.reshape(-1), np.repeat(number, 3)])
    texels, placed = np.unique(corners, axis=0, return_inverse=True)
    cell = np.column_stack([texels[:, 1] % side, texels[:, 1] // side])
    return (uv[texels[:, 0]] - tiles[texels[:, 1], 1:] + cell) / side, placed.reshape(-1, 3)


def _tensor(array: Floats) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(array, dtype=np.float32))
