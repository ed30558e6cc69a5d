"""The first pass over a video: every face in every frame, kept on disk in chunks that an interrupted run continues."""

import itertools
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from ...errors import InputError
from ...progress import Progress
from ...tensor_files import read_tensors, write_tensors
from .. import landmarks
from .detector import FaceDetector
from .video import Video

_CHUNK = 100  # frames; the detector starts afresh in each, so that a continued run sees what an uninterrupted one does


@dataclass(frozen=True)
class Span:
    """Which frames of a video are used: numbers start..end (None is the last), every `stride`-th."""

    start: int = 0
    end: int | None = None
    stride: int = 1

    def expected(self, video: Video) -> int:
        """How many frames that should be; 0 where the file does not say."""
        last = min(end for end in (self.end, video.expected) if end is not None) if self.end or video.expected else 0
        return max(0, -(-(last - self.start) // self.stride))


@dataclass(frozen=True)
class Detections:
    """Numbers of the decoded frames and the faces float32 [K, 478, 3] in each, pixels of the video."""

    numbers: list[int]
    faces: list[Tensor]


def detect(video: Video, span: Span, detector: FaceDetector, folder: Path, progress: Progress) -> Detections:
    """Run the detector over the frames of `span`, continuing from the chunks in `folder`.

    Raises:
        InputError: when no frame can be decoded.
    """
    done, finished = _load(folder)
    progress.start("finding faces", max(span.expected(video), len(done.numbers)), len(done.numbers))
    if not finished:
        following = done.numbers[-1] + span.stride if done.numbers else span.start
        stream = video.frames(following, span.end, span.stride)
        chunk = len(list(folder.glob("faces_*")))
        while True:
            detector.reset()
            numbers, faces = [], []
            for number, picture in itertools.islice(stream, _CHUNK):
                numbers.append(number)
                faces.append(detector.landmarks(picture))
                progress.advance()
            _save(folder / f"faces_{chunk:05d}.safetensors", numbers, faces, len(numbers) < _CHUNK)
            done.numbers.extend(numbers)
            done.faces.extend(faces)
            chunk += 1
            if len(numbers) < _CHUNK:
                break
    if not done.numbers:
        raise InputError(
            f"{video.path} has no frame between --start and --end; it has {video.expected or 'few'} frames"
        )
    promised = span.expected(video)
    if len(done.numbers) < 0.98 * promised - 1:
        progress.message(f"{video.path} ends after {len(done.numbers)} of {promised} frames: it is damaged or cut off")
    return done


def _save(path: Path, numbers: list[int], faces: list[Tensor], last: bool) -> None:
    tensors = {
        "numbers": torch.tensor(numbers, dtype=torch.int64),
        "counts": torch.tensor([len(found) for found in faces], dtype=torch.int64),
        "points": torch.cat([*faces, torch.zeros(0, landmarks.COUNT, 3)]),
        "last": torch.tensor([last]),
    }
    write_tensors(path, tensors)


def _load(folder: Path) -> tuple[Detections, bool]:
    done, finished = Detections([], []), False
    for path in sorted(folder.glob("faces_*")):
        tensors, _ = read_tensors(path, f"delete {folder} to start again")
        done.numbers.extend(tensors["numbers"].tolist())
        done.faces.extend(tensors["points"].split(tensors["counts"].tolist()))
        finished = bool(tensors["last"])
    return done, finished
