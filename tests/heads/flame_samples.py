"""Synthetic FLAME files of the true structure: chumpy arrays, sparse regressor, Python 2's names. No licensed data."""

import pickle
import sys
import types
from pathlib import Path

import numpy as np
import scipy.sparse
import torch

VERTICES, FACES, JOINTS = 5023, 9976, 5
EYEBALL = 546
"""Vertices of each of FLAME's two eyeballs, which come last."""


def chumpy_class(name: str) -> type:
    """A class that pickles as chumpy's does: a state with the array under `x`."""
    module, _, attribute = name.rpartition(".")
    if module in sys.modules and hasattr(sys.modules[module], attribute):
        return getattr(sys.modules[module], attribute)
    cls = type(attribute, (), {"__module__": module, "__qualname__": attribute})
    for part in ("chumpy", module):
        sys.modules.setdefault(part, types.ModuleType(part))
    setattr(sys.modules[module], attribute, cls)
    return cls


def chumpy_array(values: np.ndarray) -> object:
    """As `chumpy.ch.Ch` is pickled: its other attributes stay beside the array."""
    array = chumpy_class("chumpy.ch.Ch")()
    array.__dict__ = {"x": values, "_dirty_vars": {"x"}, "_itr": None, "_depends_on_deps": {}, "name": "sample"}
    return array


def forget_chumpy() -> None:
    """Take the fake package away, so that reading cannot use it."""
    for name in [name for name in sys.modules if name.split(".")[0] == "chumpy"]:
        del sys.modules[name]


def flame_arrays(seed: int = 0, vertices: int = VERTICES, left_eye_first: bool = True) -> dict[str, np.ndarray]:
    """A head-sized blob with FLAME's keys, shapes and types; every array is random where it may be."""
    draw = np.random.default_rng(seed)
    direction = draw.normal(size=(vertices, 3))
    template = direction / np.linalg.norm(direction, axis=1, keepdims=True) * [0.08, 0.13, 0.1]
    weights = draw.dirichlet(np.ones(3), vertices) @ np.eye(3, JOINTS)
    side = 1 if left_eye_first else -1
    for joint, start in ((3, VERTICES - 2 * EYEBALL), (4, VERTICES - EYEBALL)):
        ball = slice(start, start + EYEBALL)
        template[ball] = 0.012 * direction[ball] / np.linalg.norm(direction[ball], axis=1, keepdims=True)
        template[ball] += [side * 0.032 * (1 if joint == 3 else -1), 0.03, 0.07]
        weights[ball] = np.eye(JOINTS)[joint]
    regressor = np.zeros((JOINTS, vertices))
    for joint in range(JOINTS):
        regressor[joint, draw.choice(vertices, 30, replace=False)] = draw.dirichlet(np.ones(30))
    faces = np.sort(
        draw.permuted(np.tile(np.arange(vertices), (FACES // vertices + 1) * 3))[: FACES * 3].reshape(-1, 3)
    )
    return {
        "v_template": template,
        "f": faces.astype(np.uint32),
        "shapedirs": draw.normal(scale=1e-3, size=(vertices, 3, 400)),
        "posedirs": draw.normal(scale=1e-3, size=(vertices, 3, 36)),
        "J_regressor": regressor,
        "weights": weights,
        "kintree_table": np.array([[2**32 - 1, 0, 1, 1, 1], [0, 1, 2, 3, 4]], dtype=np.uint32),
    }


def write_flame(path: Path, arrays: dict[str, np.ndarray], protocol: int = 2, chumpy: bool = True) -> Path:
    """Write `arrays` as FLAME's makers do: chumpy arrays and a sparse regressor, or plain arrays."""
    values: dict[str, object] = dict(arrays)
    values["J_regressor"] = scipy.sparse.csc_matrix(arrays["J_regressor"])
    values |= {"bs_style": "lbs", "bs_type": "lrotmin", "J": np.zeros((JOINTS, 3))}
    if chumpy:
        for key in ("v_template", "shapedirs", "posedirs", "weights"):
            values[key] = chumpy_array(arrays[key])
        formula = chumpy_class("chumpy.ch.MatVecMult")()
        formula.__dict__ = {"mtx": values["J_regressor"], "vec": values["v_template"]}
        values["J"] = formula
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(pickle.dumps(values, protocol))
    forget_chumpy()
    return path


def write_eyelids(folder: Path, seed: int = 1) -> np.ndarray:
    """Write both eyelid files; returns [2, 5023, 3]."""
    offsets = np.random.default_rng(seed).normal(scale=1e-3, size=(2, VERTICES, 3))
    for name, values in zip("lr", offsets, strict=True):
        np.save(folder / f"{name}_eyelid.npy", values)
    return offsets


def write_landmarks(path: Path, full: bool, seed: int = 2) -> tuple[np.ndarray, np.ndarray]:
    """Write a landmark embedding, torch tensors included; returns the 68 triangles and barycentrics that are meant."""
    draw = np.random.default_rng(seed)
    faces = draw.integers(0, FACES, 68)
    shares = draw.dirichlet(np.ones(3), 68)
    table: dict[str, object] = {
        "static_lmk_faces_idx": faces[17:],
        "static_lmk_bary_coords": shares[17:],
        "dynamic_lmk_faces_idx": torch.from_numpy(np.r_[faces[None, :17], draw.integers(0, FACES, (78, 17))]),
        "dynamic_lmk_bary_coords": torch.from_numpy(np.r_[shares[None, :17], draw.dirichlet(np.ones(3), (78, 17))]),
    }
    if full:
        table |= {"full_lmk_faces_idx": faces[None], "full_lmk_bary_coords": shares[None]}
    np.save(path, np.array(table, dtype=object))
    return faces, shares


def write_masks(path: Path) -> dict[str, np.ndarray]:
    """Write FLAME_masks.pkl with parts that are consecutive vertices."""
    parts = (
        "face",
        "scalp",
        "neck",
        "boundary",
        "left_ear",
        "right_ear",
        "lips",
        "left_eyeball",
        "right_eyeball",
        "nose",
    )
    masks = {part: np.arange(100 * index, 100 * index + 90) for index, part in enumerate(parts)}
    path.write_bytes(pickle.dumps(masks, 2))
    return masks
