"""FLAME 2020 and 2023 as head models: `generic_model.pkl`, `flame2023*.pkl` and `.npz` files with the same arrays."""

import io
import json
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ...errors import InputError
from ...files import open_regular
from ...numpy_files import UNREADABLE
from ..model import HeadModel
from .flame_parts import FLAME_VERTICES, derived_regions, eyelid_shapes, landmark_vertices, mask_regions
from .flame_version import recognise_version
from .pickle_nodes import PickleError
from .pickles import load_restricted_pickle, read_limited
from .torch_files import ZIP_MAGIC, numpy_value

TEETH_VERTICES = 120
"""What GaussianAvatars and VHAP append to FLAME's vertices."""
VERTEX_COUNTS = (FLAME_VERTICES, FLAME_VERTICES + TEETH_VERTICES)
SHAPES, EXPRESSIONS, JOINTS = 300, 100, 5
MOST_NUMBERS = 2 * VERTEX_COUNTS[1] * 3 * (SHAPES + EXPRESSIONS)
"""Twice as many as the largest array of FLAME has."""
LARGEST_NUMBER = 2.0**32
"""The root's parent; metres and weights are far smaller."""
MAX_MEMBER_BYTES = 8 * MOST_NUMBERS
"""Of one array in double precision."""
REQUIRED = ("v_template", "f", "shapedirs", "posedirs", "J_regressor", "weights", "kintree_table")
WEIGHT_SUM_TOLERANCE = 1e-3
EYE_JOINTS = (3, 4)
REGISTER = "register at https://flame.is.tue.mpg.de, download FLAME 2020 or 2023, and give its .pkl file"
LICENCE = "FLAME, https://flame.is.tue.mpg.de, under the licence accepted there; not to be passed on"

Floats = NDArray[np.float64]


def load_flame(
    path: Path | str,
    eyelids: Path | str | None = None,
    masks: Path | str | None = None,
    landmarks: Path | str | None = None,
    version: str | None = None,
) -> HeadModel:
    """FLAME with 300 shapes, 100 expressions and the joints root, neck, jaw and two eyes, in the file's order.

    Args:
        path: the model, with 5023 vertices or 5143 where teeth were added.
        eyelids: folder with l_eyelid.npy and r_eyelid.npy, which become the expressions eyelidLeft and eyelidRight.
        masks: FLAME_masks.pkl for the regions; without it they come from the skin weights and the shape.
        landmarks: landmark_embedding.npy for the 68 landmarks, each moved to the nearest corner of its triangle.
        version: flame2020 or flame2023 where neither contents nor file name tell.

    Raises:
        InputError: names the file and what is missing or wrong in it.
    """
    path = Path(path)
    if not path.is_file():
        raise InputError(f"{path} is no file; {REGISTER}")
    source = _Arrays(path, _read(path))
    template = source.floats("v_template", (None, 3))
    count = len(template)
    if count not in VERTEX_COUNTS:
        raise InputError(
            f"{path} has {count} vertices, but FLAME has {FLAME_VERTICES}, or {VERTEX_COUNTS[1]} with teeth"
        )
    basis = source.floats("shapedirs", (count, 3, SHAPES + EXPRESSIONS)).transpose(2, 0, 1)
    weights = source.skin_weights(count)
    regressor = source.floats("J_regressor", (JOINTS, count))
    expressions, names = basis[SHAPES:], [f"expression{index:03d}" for index in range(EXPRESSIONS)]
    marked = None if landmarks is None else landmark_vertices(landmarks, source.faces(count))
    region = derived_regions(template, weights, marked) if masks is None else mask_regions(masks, count)
    found, reason = recognise_version(path, template, source.faces(count), expressions, region, version)
    if eyelids is not None:
        expressions = np.concatenate([expressions, eyelid_shapes(eyelids, count)])
        names += ["eyelidLeft", "eyelidRight"]
    return HeadModel(
        name=found,
        vertices=_tensor(template),
        faces=torch.from_numpy(source.faces(count)),
        shape_basis=_tensor(basis[:SHAPES]),
        expression_basis=_tensor(expressions),
        expression_names=tuple(names),
        pose_basis=_tensor(source.floats("posedirs", (count, 3, 9 * (JOINTS - 1))).transpose(2, 0, 1)),
        joint_positions=_tensor(regressor @ template),
        joint_parents=source.parents(),
        joint_names=_joint_names(path, template, weights),
        skin_weights=_tensor(weights),
        region=torch.from_numpy(region),
        joint_regressor=_tensor(regressor),
        landmarks68=None if marked is None else torch.from_numpy(marked),
        meta=json.dumps({"source": path.name, "licence": LICENCE, "version": f"{found} by {reason}"}),
    )


def _read(path: Path) -> dict[str, Any]:
    """The required arrays of a pickle or npz file."""
    with open_regular(path) as stream:
        zipped = stream.read(len(ZIP_MAGIC)) == ZIP_MAGIC
    values = _read_npz(path) if zipped else load_restricted_pickle(path)
    if not isinstance(values, dict) or not any(key in values for key in REQUIRED):
        raise InputError(f"{path} is no FLAME model; {REGISTER}")
    for key in REQUIRED:
        if not isinstance(values.get(key), np.ndarray):
            raise InputError(f"{path}: key '{key}' holds no array; {REGISTER}")
    return values


def _read_npz(path: Path) -> dict[str, Any]:
    """The required members of a `numpy.savez` file; a sparse matrix may be there as a pickled object."""
    values = {}
    try:
        with zipfile.ZipFile(io.BytesIO(read_limited(path))) as archive:
            for key in set(REQUIRED) & {name.removesuffix(".npy") for name in archive.namelist()}:
                values[key] = numpy_value(_member(archive, f"{key}.npy"))
    except PickleError as error:
        raise InputError(f"{path} {error}; {REGISTER}") from error
    except UNREADABLE as error:
        raise InputError(f"{path} is a damaged archive ({error}); {REGISTER}") from error
    return values


def _member(archive: zipfile.ZipFile, name: str) -> bytes:
    """A member of a size that a FLAME array can have."""
    if (size := archive.getinfo(name).file_size) > MAX_MEMBER_BYTES:
        raise PickleError(f"unpacks '{name}' to {size:,} bytes, far more than FLAME needs")
    return archive.read(name)


class _Arrays:
    """Checked arrays of one file."""

    def __init__(self, path: Path, values: dict[str, Any]):
        self._path = path
        self._values = values

    def floats(self, key: str, shape: tuple[int | None, ...]) -> Floats:
        """Finite numbers; None in `shape` fits any length."""
        array = self._values[key]
        if array.ndim != len(shape) or any(b not in (None, a) for a, b in zip(array.shape, shape, strict=True)):
            raise InputError(
                f"{self._path}: key '{key}' has shape {list(array.shape)}, not {_shown(shape)}; {REGISTER}"
            )
        if array.size > MOST_NUMBERS:
            raise InputError(f"{self._path}: key '{key}' has {array.size:,} numbers, far more than FLAME; {REGISTER}")
        if array.dtype.kind not in "fiu" or not (np.abs(array) <= LARGEST_NUMBER).all():
            raise InputError(f"{self._path}: key '{key}' holds something that is no number of a head; {REGISTER}")
        return array.astype(np.float64)

    def faces(self, count: int) -> NDArray[np.int64]:
        """[F, 3] triangles."""
        faces = self.floats("f", (None, 3)).astype(np.int64)
        if not faces.size:
            raise InputError(f"{self._path}: key 'f' holds no triangle; {REGISTER}")
        if not (faces.min() >= 0 and faces.max() < count):
            raise InputError(f"{self._path}: key 'f' holds a vertex outside 0 to {count - 1}; {REGISTER}")
        return faces

    def skin_weights(self, count: int) -> Floats:
        """[V, J] weights, rows summing to 1."""
        weights = self.floats("weights", (count, JOINTS))
        if weights.min() < -WEIGHT_SUM_TOLERANCE or np.abs(weights.sum(1) - 1).max() > WEIGHT_SUM_TOLERANCE:
            raise InputError(f"{self._path}: key 'weights' has a row that is no set of shares; {REGISTER}")
        return weights

    def parents(self) -> Tensor:
        """[J] parent of each joint; FLAME writes the root's as 2^32 - 1."""
        parents = self.floats("kintree_table", (2, JOINTS))[0].astype(np.int64)
        parents[0] = -1
        if not all(0 <= parent < joint for joint, parent in enumerate(parents[1:], 1)):
            raise InputError(f"{self._path}: key 'kintree_table' is no tree of joints; {REGISTER}")
        return torch.from_numpy(parents)


def _joint_names(path: Path, template: Floats, weights: Floats) -> tuple[str, ...]:
    """Which eye is the left one is read off the vertices that each eye joint moves: code that uses FLAME disagrees."""
    sides = []
    for joint in EYE_JOINTS:
        moved = weights[:, joint] > 0.5
        if not moved.any():
            raise InputError(f"{path}: key 'weights' moves no eyeball by joint {joint}; {REGISTER}")
        sides.append(template[moved, 0].mean())
    eyes = ("left_eye", "right_eye") if sides[0] > sides[1] else ("right_eye", "left_eye")
    return ("root", "neck", "jaw", *eyes)


def _shown(shape: tuple[int | None, ...]) -> str:
    return "[" + ", ".join("any" if length is None else str(length) for length in shape) + "]"


def _tensor(array: Floats) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(array, dtype=np.float32))
