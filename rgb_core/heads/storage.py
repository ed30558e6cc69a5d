"""Head models on disk: `head.npz` of docs/formats.md, checked when read, written whole or not at all."""

from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..errors import InputError
from ..files import atomic_path
from ..numpy_files import read_npz
from .model import HeadModel
from .regions import Region

FORMAT = "rgb-head"
VERSION = 1
LANDMARK_COUNT = 68
WEIGHT_SUM_TOLERANCE = 1e-3
"""How far a row of skin weights may be from 1: float16 weights of a few joints stay well inside."""

REQUIRED = (
    "format",
    "version",
    "name",
    "vertices",
    "faces",
    "shape_basis",
    "expression_basis",
    "expression_names",
    "pose_basis",
    "joint_parents",
    "joint_names",
    "skin_weights",
    "region",
)
OPTIONAL = ("joint_positions", "joint_regressor", "uv", "uv_faces", "landmarks68", "meta")


def load_head(path: Path | str) -> HeadModel:
    """Read and check a `head.npz`; half-precision bases become float32.

    Raises:
        InputError: names the file and the key of the first thing that is wrong.
    """
    path = Path(path)
    if not path.is_file():
        raise InputError(f"{path} is no file; give the head.npz of a dataset, geometry or avatar")
    return _Reader(path, read_npz(path, (*REQUIRED, *OPTIONAL))).head()


def save_head(head: HeadModel, path: Path | str) -> None:
    """Write `head` as `head.npz`; a basis that half precision holds exactly is stored in half precision.

    Raises:
        InputError: when the file cannot be written.
    """
    arrays: dict[str, Any] = {
        "format": np.array(FORMAT),
        "version": np.array(VERSION, dtype=np.int32),
        "name": np.array(head.name),
        "vertices": _float32(head.vertices),
        "faces": _int32(head.faces),
        "shape_basis": _smallest(head.shape_basis),
        "expression_basis": _smallest(head.expression_basis),
        "expression_names": np.array(head.expression_names, dtype=np.str_),
        "pose_basis": _float32(head.pose_basis),
        "joint_positions": _float32(head.joint_positions),
        "joint_parents": _int32(head.joint_parents),
        "joint_names": np.array(head.joint_names, dtype=np.str_),
        "skin_weights": _float32(head.skin_weights),
        "region": head.region.cpu().numpy().astype(np.uint8),
        "meta": np.array(head.meta),
    }
    if head.joint_regressor is not None:
        arrays["joint_regressor"] = _float32(head.joint_regressor)
    if head.uv is not None and head.uv_faces is not None:
        arrays |= {"uv": _float32(head.uv), "uv_faces": _int32(head.uv_faces)}
    if head.landmarks68 is not None:
        arrays["landmarks68"] = _int32(head.landmarks68)
    with atomic_path(Path(path)) as temporary, temporary.open("wb") as stream:
        np.savez_compressed(stream, **arrays)


def _float32(tensor: Tensor) -> np.ndarray:
    return tensor.detach().cpu().numpy().astype(np.float32)


def _int32(tensor: Tensor) -> np.ndarray:
    return tensor.cpu().numpy().astype(np.int32)


def _smallest(basis: Tensor) -> np.ndarray:
    full = _float32(basis)
    if np.abs(full).max(initial=0) > np.finfo(np.float16).max:
        return full
    half = full.astype(np.float16)
    return half if np.array_equal(half.astype(np.float32), full) else full


class _Reader:
    """Takes checked values out of the arrays of one file."""

    def __init__(self, path: Path, arrays: dict[str, np.ndarray]) -> None:
        self.path = path
        self.arrays = arrays

    def head(self) -> HeadModel:
        """The model; raises InputError at the first problem."""
        self.check_header()
        vertices = self.floats("vertices", (None, 3))
        vertex_count = len(vertices)
        faces = self.indices("faces", (None, 3), vertex_count)
        expression_names = self.names("expression_names")
        joint_names = self.names("joint_names")
        joint_count = len(joint_names)
        if not joint_count:
            raise self.error("joint_names", "is empty; a head has at least a root joint")
        regressor, positions = self.joints(vertices, joint_count)
        uv = self.floats("uv", (None, 2)) if "uv" in self.arrays else None
        if (uv is None) != ("uv_faces" not in self.arrays):
            raise self.error("uv", "and 'uv_faces' belong together, but only one of them is there")
        return HeadModel(
            name=self.text("name"),
            vertices=vertices,
            faces=faces,
            shape_basis=self.floats("shape_basis", (None, vertex_count, 3)),
            expression_basis=self.floats("expression_basis", (len(expression_names), vertex_count, 3)),
            expression_names=expression_names,
            pose_basis=self.pose_basis(vertex_count, joint_count),
            joint_positions=positions,
            joint_parents=self.parents(joint_count),
            joint_names=joint_names,
            skin_weights=self.skin_weights(vertex_count, joint_count),
            region=self.indices("region", (vertex_count,), len(Region)).to(torch.uint8),
            joint_regressor=regressor,
            uv=uv,
            uv_faces=None if uv is None else self.indices("uv_faces", (len(faces), 3), len(uv)),
            landmarks68=self.indices("landmarks68", (LANDMARK_COUNT,), vertex_count)
            if "landmarks68" in self.arrays
            else None,
            meta=self.text("meta") if "meta" in self.arrays else "",
        )

    def error(self, key: str, problem: str) -> InputError:
        """The sentence for one bad key."""
        return InputError(f"{self.path}: key '{key}' {problem}")

    def check_header(self) -> None:
        """Format, version and the keys that must be there."""
        for key in REQUIRED:
            if key not in self.arrays:
                raise self.error(key, "is missing; docs/formats.md lists what a head.npz holds")
        if (found := self.text("format")) != FORMAT:
            raise self.error("format", f"is {found!r}, not '{FORMAT}'; give a head.npz")
        version = self.arrays["version"]
        if version.ndim or version.dtype.kind not in "iu" or int(version) != VERSION:
            raise self.error("version", f"is {version}, but this program reads version {VERSION}")

    def text(self, key: str) -> str:
        """A 0-d string."""
        array = self.arrays[key]
        if array.ndim or array.dtype.kind != "U":
            raise self.error(key, f"must be one string, not {array.dtype} of shape {list(array.shape)}")
        return str(array)

    def names(self, key: str) -> tuple[str, ...]:
        """A list of different strings; an empty list may have any dtype."""
        array = self.arrays[key]
        if array.ndim != 1 or (array.size and array.dtype.kind != "U"):
            raise self.error(key, f"must be a list of strings, not {array.dtype} of shape {list(array.shape)}")
        names = tuple(str(name) for name in array)
        if len(set(names)) != len(names):
            raise self.error(key, "repeats a name; every name may stand once")
        return names

    def floats(self, key: str, shape: tuple[int | None, ...]) -> Tensor:
        """A finite float32 tensor; None in `shape` fits any length."""
        array = self.shaped(key, shape)
        if array.dtype.kind != "f":
            raise self.error(key, f"must hold floating-point numbers, not {array.dtype}")
        with np.errstate(over="ignore"):
            array = np.ascontiguousarray(array, dtype=np.float32)
        if not np.isfinite(array).all():
            raise self.error(key, "holds a number that is not finite")
        return torch.from_numpy(array)

    def indices(self, key: str, shape: tuple[int | None, ...], limit: int) -> Tensor:
        """An int64 tensor with values in [0, limit)."""
        array = self.shaped(key, shape)
        if array.dtype.kind not in "iu":
            raise self.error(key, f"must hold integers, not {array.dtype}")
        if array.size and (array.min() < 0 or array.max() >= limit):
            raise self.error(key, f"holds {array.min()} to {array.max()}, outside 0 to {limit - 1}")
        return torch.from_numpy(array.astype(np.int64))

    def shaped(self, key: str, shape: tuple[int | None, ...]) -> np.ndarray:
        """The array of `key`, whose shape must fit."""
        array = self.arrays[key]
        fits = array.ndim == len(shape) and all(b in (None, a) for a, b in zip(array.shape, shape, strict=True))
        if not fits:
            wanted = ", ".join("any" if length is None else str(length) for length in shape)
            raise self.error(key, f"has shape {list(array.shape)}, but must have [{wanted}]")
        return array

    def joints(self, vertices: Tensor, joint_count: int) -> tuple[Tensor | None, Tensor]:
        """The regressor, if any, and the template's rest joints."""
        if "joint_regressor" in self.arrays:
            regressor = self.floats("joint_regressor", (joint_count, len(vertices)))
            return regressor, regressor @ vertices
        if "joint_positions" not in self.arrays:
            raise self.error("joint_positions", "is missing, and there is no 'joint_regressor' either")
        return None, self.floats("joint_positions", (joint_count, 3))

    def pose_basis(self, vertex_count: int, joint_count: int) -> Tensor:
        """Nine correctives for every joint but the root, or none."""
        basis = self.floats("pose_basis", (None, vertex_count, 3))
        if len(basis) not in (0, 9 * (joint_count - 1)):
            raise self.error("pose_basis", f"has {len(basis)} modes, but must have 0 or {9 * (joint_count - 1)}")
        return basis

    def parents(self, joint_count: int) -> Tensor:
        """Parents that lead every joint to a root without a cycle."""
        parents = self.indices_or_root("joint_parents", joint_count)
        for start in range(joint_count):
            joint = start
            for _ in range(joint_count):
                joint = parents[joint] if joint >= 0 else joint
            if joint >= 0:
                raise self.error("joint_parents", f"runs in a circle from joint {start}; every chain must end at -1")
        return torch.tensor(parents, dtype=torch.int64)

    def indices_or_root(self, key: str, joint_count: int) -> list[int]:
        """Joint indices where -1 stands for none."""
        array = self.shaped(key, (joint_count,))
        if array.dtype.kind != "i":
            raise self.error(key, f"must hold signed integers, not {array.dtype}")
        if array.min() < -1 or array.max() >= joint_count:
            raise self.error(key, f"holds {array.min()} to {array.max()}, outside -1 to {joint_count - 1}")
        return [int(parent) for parent in array]

    def skin_weights(self, vertex_count: int, joint_count: int) -> Tensor:
        """Non-negative weights whose rows sum to 1."""
        weights = self.floats("skin_weights", (vertex_count, joint_count))
        if weights.numel() and weights.min() < -WEIGHT_SUM_TOLERANCE:
            raise self.error("skin_weights", "holds a negative weight")
        worst = (weights.sum(1) - 1).abs().max() if weights.numel() else torch.zeros(())
        if worst > WEIGHT_SUM_TOLERANCE:
            raise self.error("skin_weights", f"has a row that does not sum to 1 (it is off by {float(worst):.3g})")
        return weights
