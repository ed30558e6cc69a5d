"""What goes with a FLAME model: eyelid shapes, regions and landmarks, from their files or from the model itself."""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...errors import InputError
from ..builtin.anatomy import HAIRLINE, NAPE_DEPTH
from ..regions import Region
from .pickles import load_restricted_pickle
from .torch_files import load_npy

FLAME_VERTICES = 5023
ROOT, JAW, EYES = 0, 2, (3, 4)
"""FLAME's joints."""
LANDMARKS, CONTOUR_LANDMARKS = 68, 17
OUTER_LIPS = slice(48, 60)
"""iBUG-68 landmarks around the red of the lips."""
LIP_MARGIN = 1.08
"""How far the lips reach beyond the polygon of their landmarks."""
LIP_DEPTH = 0.02
"""Metres behind the lips' landmarks that still belong to the lips."""
EAR_SHARE = 0.9
"""A vertex belongs to an ear when it lies at least this share of the head's half width to the side."""
MASK_REGIONS = {
    "scalp": Region.SCALP,
    "neck": Region.NECK,
    "boundary": Region.NECK,
    "left_ear": Region.EAR,
    "right_ear": Region.EAR,
    "left_eyeball": Region.EYEBALL,
    "right_eyeball": Region.EYEBALL,
    "lips": Region.LIPS,
}
"""Parts of FLAME_masks.pkl that are not plain skin; where two overlap, the later one counts."""

Floats = NDArray[np.float64]
Codes = NDArray[np.uint8]


def eyelid_shapes(folder: Path | str, vertex_count: int) -> Floats:
    """[2, V, 3] offsets of the left and the right lid; vertices beyond FLAME's own stay still.

    Raises:
        InputError: when a file is missing or does not hold [5023, 3] finite numbers.
    """
    shapes = np.zeros((2, vertex_count, 3))
    for index, name in enumerate(("l_eyelid.npy", "r_eyelid.npy")):
        path = Path(folder) / name
        offsets = load_npy(path)
        shapes[index, :FLAME_VERTICES] = _numbers(path, name, offsets, (FLAME_VERTICES, 3))
    return shapes


def mask_regions(path: Path | str, vertex_count: int) -> Codes:
    """Region code [V] of docs/formats.md from FLAME_masks.pkl; vertices beyond FLAME's own are teeth.

    Raises:
        InputError: when the file lacks a part or names vertices that are not there.
    """
    masks = load_restricted_pickle(path)
    codes = np.full(vertex_count, Region.SKIN, dtype=np.uint8)
    for part, region in MASK_REGIONS.items():
        members = masks.get(part) if isinstance(masks, dict) else None
        if not isinstance(members, np.ndarray) or members.dtype.kind not in "iu":
            raise InputError(
                f"{path} has no vertex list '{part}'; give FLAME_masks.pkl from https://flame.is.tue.mpg.de"
            )
        if members.size and not (members.min() >= 0 and members.max() < FLAME_VERTICES):
            raise InputError(f"{path}: part '{part}' names a vertex that FLAME does not have")
        codes[members] = region
    codes[FLAME_VERTICES:] = Region.TEETH
    return codes


def derived_regions(template: Floats, weights: Floats, landmarks: NDArray[np.int64] | None) -> Codes:
    """Region code [V] from skin weights and shape; the lips are told from skin only where there are landmarks.

    Eyeballs follow the eye joints and the neck's base the root. Scalp, nape and ears are cut by the same lines as on
    the built-in head, measured from the middle of the head above the chin.
    """
    codes = np.full(len(template), Region.SKIN, dtype=np.uint8)
    chin = template[weights[:, JAW] > 0.5, 1].min(initial=template[:, 1].max())
    head = template[(template[:, 1] >= chin) & (weights[:, ROOT] < 0.5)]
    if not len(head):
        head = template
    middle = (head.min(0) + head.max(0)) / 2
    x, y, z = (template - middle).T
    hairy = y > np.interp(z, *np.transpose(HAIRLINE))
    codes[hairy] = Region.SCALP
    codes[~hairy & (z < NAPE_DEPTH)] = Region.NECK
    codes[(np.abs(x) > EAR_SHARE * np.abs(x[template[:, 1] >= chin]).max()) & (template[:, 1] >= chin)] = Region.EAR
    codes[weights[:, ROOT] > 0.5] = Region.NECK
    if landmarks is not None:
        codes[_inside_lips(template, template[landmarks[OUTER_LIPS]])] = Region.LIPS
    codes[weights[:, EYES].max(1) > 0.5] = Region.EYEBALL
    codes[FLAME_VERTICES:] = Region.TEETH
    return codes


def _inside_lips(points: Floats, outline: Floats) -> NDArray[np.bool_]:
    """Mask [V] of the points that lie, seen from the front, inside the slightly larger polygon `outline` [N, 3]."""
    center = outline.mean(0)
    polygon = center[:2] + LIP_MARGIN * (outline - center)[:, :2]
    inside = np.zeros(len(points), dtype=bool)
    x, y = points[:, 0], points[:, 1]
    for (ax, ay), (bx, by) in zip(polygon, np.roll(polygon, -1, axis=0), strict=True):
        if ay != by:
            inside ^= ((ay > y) != (by > y)) & (x < ax + (y - ay) * (bx - ax) / (by - ay))
    return inside & (points[:, 2] > outline[:, 2].min() - LIP_DEPTH)


def landmark_vertices(path: Path | str, faces: NDArray[np.int64]) -> NDArray[np.int64]:
    """[68] vertex nearest to each iBUG-68 landmark of landmark_embedding.npy on triangles [F, 3].

    Takes the 68 of the frontal head where the file has them, else its 51 inner ones and the first row of the contour.

    Raises:
        InputError: when the file has neither, or names triangles that are not there.
    """
    table = load_npy(path)
    table = table if isinstance(table, dict) else {}
    if "full_lmk_faces_idx" in table:
        index, shares = _embedding(path, table, "full", LANDMARKS)
    else:
        inner = _embedding(path, table, "static", LANDMARKS - CONTOUR_LANDMARKS)
        contour = _embedding(path, table, "dynamic", CONTOUR_LANDMARKS)
        index, shares = (np.concatenate(parts) for parts in zip(contour, inner, strict=True))
    if not (index.min() >= 0 and index.max() < len(faces)):
        raise InputError(f"{path} names a triangle that this model does not have")
    return faces[index, shares.argmax(1)]


def _embedding(path: Path | str, table: dict[str, Any], kind: str, count: int) -> tuple[Any, Floats]:
    """Triangles [count] and barycentrics [count, 3] of the landmarks of one kind; of the contour, its frontal row."""
    try:
        index = np.asarray(table[f"{kind}_lmk_faces_idx"]).reshape(-1)[:count].astype(np.int64)
        shares = np.asarray(table[f"{kind}_lmk_bary_coords"]).reshape(-1, 3)[:count].astype(np.float64)
    except (KeyError, ValueError, TypeError):
        raise InputError(f"{path} has no '{kind}' landmarks; give FLAME's landmark_embedding.npy") from None
    if len(index) != count or len(shares) != count or not np.isfinite(shares).all():
        raise InputError(f"{path} has {len(index)} '{kind}' landmarks, not {count}")
    return index, shares


def _numbers(path: Path, name: str, value: Any, shape: tuple[int, ...]) -> Floats:
    if not isinstance(value, np.ndarray) or value.shape != shape or value.dtype.kind != "f":
        raise InputError(f"{path} does not hold {list(shape)} numbers; give the {name} that the tracker came with")
    if not np.isfinite(value).all():
        raise InputError(f"{path} holds a number that is not finite; get the {name} again")
    return value.astype(np.float64)
