"""The `transforms*.json` of INSTA and VHAP: one record per frame, its split, and the keys that all frames share."""

from ...errors import InputError
from ..records import Record, read_json
from .folder import SourceFolder
from .source import natural_key, split_by_time

ALL = "transforms.json"
_SPLITS = {"test": "transforms_test.json", "val": "transforms_val.json", "train": "transforms_train.json"}
"""Files by split; a frame of several belongs to the first (INSTA validates on a part of its test frames)."""


def is_transforms(folder: SourceFolder) -> bool:
    """Whether the folder has any of the files."""
    return any(folder.has(name) for name in (ALL, *_SPLITS.values()))


def read_transforms(folder: SourceFolder) -> list[tuple[Record, str]]:
    """Records of all frames in the order of their pictures, the file's own keys under the frame's, and their splits.

    Raises:
        InputError: when a file is malformed or no frame is left.
    """
    by_split = {split: _frames(folder, name) for split, name in _SPLITS.items() if folder.has(name)}
    if folder.has(ALL):
        frames = _frames(folder, ALL)
    else:
        frames = {name: frame for found in by_split.values() for name, frame in found.items()}
    if not frames:
        raise InputError(f"{folder.path / ALL}: frames is empty")
    names = sorted(frames, key=natural_key)
    by_time = split_by_time(len(names))
    return [
        (frames[name], next((split for split in by_split if name in by_split[split]), "train") if by_split else late)
        for name, late in zip(names, by_time, strict=True)
    ]


def one_camera(records: list[Record]) -> bool:
    """Whether a single camera took all pictures, so that its motion is really the head's."""
    return all(record.values.get("camera_index") == records[0].values.get("camera_index") for record in records)


def _frames(folder: SourceFolder, name: str) -> dict[str, Record]:
    path = folder.file(name)
    record = Record(read_json(path), str(path))
    shared = {key: value for key, value in record.values.items() if key != "frames"}
    found = {}
    for index, value in enumerate(record.items("frames")):
        frame = Record(value, f"{path}, frame {index}")
        frame.values = {**shared, **frame.values}
        found[frame.text("file_path")] = frame
    return found
