"""A performance as JSON: the record `rgb-motion` of docs/formats.md, by ARKit's names or those of the head itself."""

from pathlib import Path

import torch
from torch import Tensor

from ..data.records import Record, read_json
from ..errors import InputError, did_you_mean
from ..heads import MOTION_FORMAT, MOTION_VERSION, HeadModel
from ..heads.pose import NECK
from .recording import Recording
from .retarget import check_names
from .rows import MOST_FRAMES

_KEYS = frozenset({"format", "version", "name", "fps", "expressions", "frames", "head", "joints", "translation"})
_LARGEST, _LARGEST_ANGLE, _FARTHEST = 100.0, 10.0, 100.0  # coefficients, radians, metres


def read_coefficients(path: Path, head: HeadModel) -> Recording:
    """The recording in a JSON file, for an avatar of `head`.

    Raises:
        InputError: naming the key that is missing, of another length or not known.
    """
    record = Record(read_json(path), str(path))
    if record.values.get("format") == "rgb-dataset":
        raise InputError(f"{path} belongs to a dataset: give its folder")
    if record.get("format") != MOTION_FORMAT:
        record.fail("format", f"is {record.get('format')!r}, expected '{MOTION_FORMAT}'")
    if record.get("version") != MOTION_VERSION:
        record.fail("version", f"{record.get('version')!r} is unknown; this program reads version {MOTION_VERSION}")
    for key in record.unknown(_KEYS):
        record.fail(key, f"is no key of {MOTION_FORMAT}{did_you_mean(key, _KEYS)}")
    names = record.items("expressions")
    if not all(isinstance(name, str) for name in names) or len(set(names)) < len(names):
        record.fail("expressions", "must be different names")
    check_names(names, head, f"{path}: expressions")
    count = len(record.items("frames"))
    if not 0 < count <= MOST_FRAMES:
        record.fail("frames", f"has {count:,} rows; 1 to {MOST_FRAMES:,} are animated")
    joints = _joints(record, head, count)
    return Recording(
        str(record.values.get("name") or path.stem),
        record.number("fps"),
        tuple(names),
        _rows(record, "frames", (count, len(names)), _LARGEST),
        _optional(record, "head", count, _LARGEST_ANGLE),
        None,
        joints,
        _optional(record, "translation", count, _FARTHEST),
    )


def _joints(record: Record, head: HeadModel, count: int) -> dict[str, Tensor]:
    """Axis-angle vectors [count, 3] by joint."""
    if "joints" not in record.values:
        return {}
    joints = Record(record.get("joints"), f"{record.context}: joints")
    for name in joints.values:
        if name not in head.joint_names:
            joints.fail(name, f"is no joint of head model '{head.name}'{did_you_mean(name, head.joint_names)}")
    if "head" in record.values and (twice := {head.joint_names[0], NECK} & joints.values.keys()):
        joints.fail(min(twice), "says how the head stands, as 'head' does: give one of them")
    return {name: _rows(joints, name, (count, 3), _LARGEST_ANGLE) for name in joints.values}


def _optional(record: Record, key: str, count: int, largest: float) -> Tensor | None:
    return _rows(record, key, (count, 3), largest) if key in record.values else None


def _rows(record: Record, key: str, shape: tuple[int, int], largest: float) -> Tensor:
    array = record.array(key, shape)
    if (abs(array) > largest).any():
        record.fail(key, f"has the value {array.flat[abs(array).argmax()]:.4g}; up to {largest:g} is possible")
    return torch.from_numpy(array).float()
