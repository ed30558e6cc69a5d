"""The native dataset: a folder with dataset.json, checked as a whole before any pixel is read."""

from collections import Counter
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ..errors import InputError
from ..heads import HeadModel, load_head
from .camera import Camera
from .frame import Frame, parse_frame
from .ground_truth import GroundTruth
from .pixels import check_reduction, load_labels, load_linear, load_rgba
from .records import Record, read_json

FORMAT = "rgb-dataset"
VERSION = 1
FILE_NAME = "dataset.json"
LIGHT_FRAMES = ("world", "camera")
_KEYS = frozenset(
    {"format", "version", "subject", "width", "height", "fps", "head_model", "light_frame", "shape", "splits", "frames"}
)


@dataclass(frozen=True, eq=False)
class Dataset:
    """A checked dataset; pixels are read when asked for. `size` arguments are (width, height), None the stored size."""

    folder: Path
    subject: str
    width: int
    height: int
    fps: float
    head: HeadModel
    """The head model that the coefficients refer to."""
    light_frame: str
    """'world' or 'camera': where the environment light stands still."""
    shape: Tensor
    """[S] identity coefficients, or [0] where the identity is baked in."""
    splits: dict[str, tuple[str, ...]]
    """Frame ids by split; 'train' and 'test' are always there."""
    all_frames: tuple[Frame, ...]
    extra: dict[str, Any]
    """Keys of dataset.json that this version does not know."""

    @cached_property
    def _by_id(self) -> dict[str, Frame]:
        return {frame.id: frame for frame in self.all_frames}

    def frame(self, frame_id: str) -> Frame:
        """The frame with an id.

        Raises:
            InputError: when there is none.
        """
        if frame_id not in self._by_id:
            raise InputError(f"{self.folder / FILE_NAME} has no frame '{frame_id}'")
        return self._by_id[frame_id]

    def frames(self, split: str) -> tuple[Frame, ...]:
        """The frames of a split, in its order.

        Raises:
            InputError: for a split that the dataset does not have.
        """
        if split not in self.splits:
            raise InputError(f"{self.folder / FILE_NAME} has no split '{split}', only {', '.join(self.splits)}")
        return tuple(self._by_id[frame_id] for frame_id in self.splits[split])

    def camera(self, frame: Frame, size: tuple[int, int] | None = None) -> Camera:
        """The frame's camera for images of `size`."""
        if size is None:
            return frame.camera
        check_reduction((self.width, self.height), size)
        return frame.camera.resized(*size)

    def image(self, frame: Frame, size: tuple[int, int] | None = None) -> Tensor:
        """float32 [H, W, 4], linear and premultiplied, as renderers make it; area-averaged when reduced.

        Raises:
            InputError: when the file is damaged or `size` is larger than the images.
        """
        return load_linear(frame.image, (self.width, self.height), size)

    def load_rgba(self, frame: Frame, size: tuple[int, int] | None = None) -> Tensor:
        """uint8 [H, W, 4], sRGB with straight alpha: the form to keep many frames in memory; `image` rounded to bytes.

        Raises:
            InputError: when the file is damaged or `size` is larger than the images.
        """
        return load_rgba(frame.image, (self.width, self.height), size)

    def semantic(self, frame: Frame, size: tuple[int, int] | None = None) -> Tensor | None:
        """uint8 [H, W] labels of docs/formats.md, by majority when reduced; None for a frame without labels.

        Raises:
            InputError: when the file is damaged or `size` is larger than the images.
        """
        return load_labels(frame.semantic, (self.width, self.height), size) if frame.semantic else None

    @property
    def envmaps(self) -> dict[str, Path]:
        """The environment maps that come with the subject, by name."""
        return {path.stem: path for path in sorted((self.folder / "envmaps").glob("*.hdr"))}

    @property
    def ground_truth(self) -> GroundTruth | None:
        """What a synthetic subject knows; None for a real one."""
        folder = self.folder / "ground_truth"
        return GroundTruth(folder, (self.width, self.height)) if folder.is_dir() else None


def load_dataset(folder: str | Path) -> Dataset:
    """Read and check a dataset: records, lengths, cameras, and the headers of all image files.

    Raises:
        InputError: at the first problem, naming the file, the frame and the key.
    """
    folder = Path(folder)
    path = folder / FILE_NAME
    if not folder.is_dir():
        raise InputError(f"{folder} is not a folder")
    if not path.is_file():
        if any(folder.iterdir()):
            raise InputError(f"{folder} is not a dataset: it has no {FILE_NAME}; rgb import converts other layouts")
        raise InputError(f"{folder} is empty; give the folder of a dataset")
    record = Record(read_json(path), str(path))
    if record.get("format") != FORMAT:
        record.fail("format", f"is {record.get('format')!r}, expected '{FORMAT}'")
    if record.get("version") != VERSION:
        record.fail("version", f"{record.get('version')!r} is unknown; this program reads version {VERSION}")
    head_path = folder / record.text("head_model")
    if not head_path.is_file():
        record.fail("head_model", f"names {head_path}, which does not exist")
    head = load_head(head_path)
    size = record.count("width"), record.count("height")
    frames = _parse_frames(record, path, size, head)
    return Dataset(
        folder=folder,
        subject=record.text("subject"),
        width=size[0],
        height=size[1],
        fps=record.number("fps"),
        head=head,
        light_frame=_light_frame(record),
        shape=_shape(record, head),
        splits=_splits(record, {frame.id for frame in frames}),
        all_frames=frames,
        extra=record.unknown(_KEYS),
    )


def _parse_frames(record: Record, path: Path, size: tuple[int, int], head: HeadModel) -> tuple[Frame, ...]:
    values = record.items("frames")
    if not values:
        record.fail("frames", "is empty")
    frames = []
    for index, value in enumerate(values):
        name = value.get("id", f"number {index}") if isinstance(value, dict) else f"number {index}"
        frames.append(parse_frame(Record(value, f"{path}, frame {name}"), path.parent, size, head))
    repeated = [name for name, count in Counter(frame.id for frame in frames).items() if count > 1]
    if repeated:
        record.fail("frames", f"has the id '{repeated[0]}' more than once")
    return tuple(frames)


def _light_frame(record: Record) -> str:
    value = record.get("light_frame")
    if value not in LIGHT_FRAMES:
        record.fail("light_frame", f"is {value!r}, expected one of {', '.join(LIGHT_FRAMES)}")
    return value


def _shape(record: Record, head: HeadModel) -> Tensor:
    modes = head.shape_basis.shape[0]
    values = record.array("shape", (modes if record.items("shape") else 0,))
    return torch.from_numpy(values).float()


def _splits(record: Record, known: set[str]) -> dict[str, tuple[str, ...]]:
    splits = Record(record.get("splits"), f"{record.context}, splits")
    parsed: dict[str, tuple[str, ...]] = {"train": (), "test": ()}
    for name in splits.values:
        ids = splits.items(name)
        unknown = [frame_id for frame_id in ids if not isinstance(frame_id, str) or frame_id not in known]
        if unknown:
            splits.fail(name, f"names the frame {unknown[0]!r}, which does not exist")
        if len(set(ids)) < len(ids):
            splits.fail(name, "names a frame more than once")
        parsed[name] = tuple(ids)
    if not parsed["train"]:
        splits.fail("train", "is empty; training needs at least one frame")
    return parsed
