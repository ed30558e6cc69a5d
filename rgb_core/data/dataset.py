"""The native dataset: a folder with dataset.json, checked as a whole before any pixel is read."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ..errors import InputError
from ..heads import HeadModel, load_head
from ..scene import Camera
from ..scene.labels import FOREIGN, Label
from .frame import Frame, FrameContext, parse_frame
from .ground_truth import GroundTruth
from .pixels import check_reduction, load_labels, load_linear, load_rgba
from .records import Defects, Record, read_json

FORMAT = "rgb-dataset"
VERSION = 1
FILE_NAME = "dataset.json"
TORSO_KEPT = "torso_kept"
"""Key of `source`: true where clothes belong to what the frames show of the head."""
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

    def parts(self, split: str) -> dict[str, Any]:
        """All that a fit to the frames of a split reads, for `fingerprints.fingerprint`; pictures by their contents."""
        frames = [
            [
                frame.id,
                frame.image,
                frame.semantic,
                *frame.camera.lens,
                frame.camera.world_to_camera,
                *frame.pose.tensors,
            ]
            for frame in self.frames(split)
        ]
        return {"head": self.head.parts(), "shape": self.shape, "light_frame": self.light_frame, "frames": frames}

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
    def foreign(self) -> tuple[Label, ...]:
        """What is worn and no part of the avatar; clothes are where `rgb track --torso keep` left them in the matte."""
        source = self.extra.get("source")  # anybody's key: any JSON value
        kept = isinstance(source, dict) and source.get(TORSO_KEPT) is True
        return tuple(label for label in FOREIGN if not (kept and label == Label.CLOTH))

    @property
    def envmaps(self) -> dict[str, Path]:
        """The environment maps that come with the subject, by name."""
        return {path.stem: path for path in sorted((self.folder / "envmaps").glob("*.hdr"))}

    @property
    def ground_truth(self) -> GroundTruth | None:
        """What a synthetic subject knows; None for a real one."""
        folder = self.folder / "ground_truth"
        return GroundTruth(folder, (self.width, self.height)) if folder.is_dir() else None


def load_dataset(folder: str | Path, pictures: bool = True) -> Dataset:
    """Read and check a dataset: records, lengths, cameras, and the headers of all image files.

    Args:
        pictures: False for a clip of which only the motion is wanted; its picture files need not be there.

    Raises:
        InputError: at the first problem, naming the file, the frame and the key.
    """
    dataset = _read(Path(folder), Defects(), pictures)
    assert dataset is not None  # without a defect there is one
    return dataset


def examine_dataset(folder: str | Path) -> tuple[Dataset | None, list[str]]:
    """What `load_dataset` would return with the sound frames alone, and a sentence for every defect.

    The dataset is None where too little is sound to have one.
    """
    defects = Defects(keep=True)
    dataset = None
    with defects.checked():
        dataset = _read(Path(folder), defects)
    return dataset, defects.found


def _read(folder: Path, defects: Defects, pictures: bool = True) -> Dataset | None:
    """A dataset of what is sound; None where a defect that `defects` kept leaves none."""
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
    values: dict[str, Any] = {}
    for key, check in _CHECKS.items():
        with defects.checked():
            values[key] = check(record)
    if not {"head_model", "width", "height"} <= values.keys():
        return None
    head = values["head_model"]
    context = FrameContext(folder, (values["width"], values["height"]), head, pictures)
    frames: list[Frame] = []
    with defects.checked():
        values["shape"] = _shape(record, head)
    with defects.checked():
        frames = _parse_frames(record, context, defects)
    if not frames:
        return None
    splits = _splits(record, defects)
    if len(values) <= len(_CHECKS):
        return None
    sound = {frame.id for frame in frames}
    return Dataset(
        folder=folder,
        subject=values["subject"],
        width=values["width"],
        height=values["height"],
        fps=values["fps"],
        head=head,
        light_frame=values["light_frame"],
        shape=values["shape"],
        splits={name: tuple(frame_id for frame_id in ids if frame_id in sound) for name, ids in splits.items()},
        all_frames=tuple(frames),
        extra=record.unknown(_KEYS),
    )


def _head(record: Record) -> HeadModel:
    return load_head(record.file("head_model", Path(record.context).parent))


def _light_frame(record: Record) -> str:
    value = record.get("light_frame")
    if value not in LIGHT_FRAMES:
        record.fail("light_frame", f"is {value!r}, expected one of {', '.join(LIGHT_FRAMES)}")
    return value


def _shape(record: Record, head: HeadModel) -> Tensor:
    modes = head.shape_basis.shape[0]
    values = record.array("shape", (modes if record.items("shape") else 0,))
    return torch.from_numpy(values).float()


_CHECKS: dict[str, Callable[[Record], Any]] = {
    "head_model": _head,
    "width": lambda record: record.count("width"),
    "height": lambda record: record.count("height"),
    "subject": lambda record: record.text("subject"),
    "fps": lambda record: record.number("fps"),
    "light_frame": _light_frame,
}


def _parse_frames(record: Record, context: FrameContext, defects: Defects) -> list[Frame]:
    values = record.items("frames")
    if not values:
        record.fail("frames", "is empty")
    frames = []
    for index, value in enumerate(values):
        given = str(value.get("id", "")) if isinstance(value, dict) else ""
        name = given if given and given.isprintable() else f"number {index}"
        with defects.checked():
            frame = parse_frame(Record(value, f"{record.context}, frame {name}"), context, defects)
            frames += [frame] if frame else []
    for name, count in Counter(frame.id for frame in frames).items():
        if count > 1:
            with defects.checked():
                record.fail("frames", f"has the id '{name}' more than once")
    return frames


def _splits(record: Record, defects: Defects) -> dict[str, tuple[str, ...]]:
    parsed: dict[str, tuple[str, ...]] = {"train": (), "test": ()}
    ids = (value.get("id") for value in record.items("frames") if isinstance(value, dict))
    known = {frame_id for frame_id in ids if isinstance(frame_id, str)}  # those of defective frames too
    with defects.checked():
        splits = Record(record.get("splits"), f"{record.context}, splits")
        for name in splits.values:
            with defects.checked():
                parsed[name] = _split(splits, name, known)
        if splits.values.get("train", []) == []:
            splits.fail("train", "is empty; training needs at least one frame")
    return parsed


def _split(splits: Record, name: str, known: set[str]) -> tuple[str, ...]:
    ids = splits.items(name)
    for frame_id in ids:
        if not isinstance(frame_id, str) or frame_id not in known:
            splits.fail(name, f"names the frame {frame_id!r}, which does not exist")
    if len(set(ids)) < len(ids):
        splits.fail(name, "names a frame more than once")
    return tuple(ids)
