"""Pictures beside a native dataset.json of tracking: what a user's own tracker writes with the least effort.

As docs/formats.md, but the pictures may be of any kind with a mask folder, and width, height, fps, splits, shape and
light_frame may be left out.
"""

from pathlib import Path

import torch

from ...errors import InputError
from ...heads import load_any_head
from ...progress import Progress
from ...scene import Camera
from ..dataset import FILE_NAME, FORMAT, LIGHT_FRAMES
from ..records import Record, read_json
from .folder import SourceFolder
from .pictures import picture_header
from .source import Layout, Source, SourceFrame, intrinsics, numbers, split_by_time, world_to_camera

NAME = "native"
_HEAD = "head_model"


def _matches(folder: SourceFolder) -> bool:
    return folder.has(FILE_NAME)


def _read(folder: SourceFolder, head_file: Path | None, progress: Progress) -> Source:
    path = folder.file(FILE_NAME)
    record = Record(read_json(path), str(path))
    if record.get("format") != FORMAT:
        record.fail("format", f"is {record.get('format')!r}, expected '{FORMAT}'")
    if head_file is None and _HEAD not in record.values:
        raise InputError(f"{path} names no {_HEAD}; give the head model of its coefficients with --head")
    head = load_any_head(head_file or folder.named(record, _HEAD))
    records = [Record(value, f"{path}, frame {index}") for index, value in enumerate(record.items("frames"))]
    if not records:
        record.fail("frames", "is empty")
    light_frame = record.values.get("light_frame", LIGHT_FRAMES[0])
    if light_frame not in LIGHT_FRAMES:
        record.fail("light_frame", f"is {light_frame!r}, expected one of {', '.join(LIGHT_FRAMES)}")
    header = picture_header(folder.named(records[0], "image"))
    size = header.width, header.height
    declared = size
    if "width" in record.values:
        declared = record.count("width"), record.count("height")
    splits = _splits(record, records)
    masks = folder.masks()
    frames = []
    progress.start("reading frames", len(records))
    for frame, split in zip(records, splits, strict=True):
        image = folder.named(frame, "image")
        read = SourceFrame(
            id=frame.text("id"),
            image=image,
            camera=Camera(
                intrinsics(frame, "K", numbers(frame, "K", 4).tolist(), declared, size),
                world_to_camera(frame, "w2c", frame.array("w2c", (3, 4))),
                *size,
            ),
            expression=torch.from_numpy(numbers(frame, "expression", len(head.expression_names))),
            joints=torch.from_numpy(frame.array("joints", (head.joint_count, 3))),
            translation=torch.from_numpy(frame.array("translation", (3,))),
            mask=masks.get(image.stem),
            semantic=folder.named(frame, "semantic") if frame.values.get("semantic") is not None else None,
            split=split,
        )
        frames.append(read)
        progress.advance()
    return Source(
        layout=NAME,
        size=size,
        head=head,
        shape=_shape(record, head.shape_basis.shape[0]),
        frames=tuple(frames),
        camera_holds_motion=False,
        light_frame=light_frame,
        fps=record.number("fps") if "fps" in record.values else Source.fps,
    )


def _shape(record: Record, modes: int) -> torch.Tensor:
    if not record.values.get("shape"):
        return torch.zeros(0, dtype=torch.float64)
    return torch.from_numpy(numbers(record, "shape", modes))


def _splits(record: Record, frames: list[Record]) -> list[str]:
    """The split of every frame; by time where the file has none."""
    if "splits" not in record.values:
        return split_by_time(len(frames))
    splits = Record(record.get("splits"), f"{record.context}, splits")
    named = {str(frame_id): name for name in splits.values for frame_id in splits.items(name)}
    for frame in frames:
        if frame.text("id") not in named:
            splits.fail("train", f"and the others leave out the frame {frame.text('id')!r}")
    return [named[frame.text("id")] for frame in frames]


LAYOUT = Layout(NAME, FILE_NAME, _matches, _read)
