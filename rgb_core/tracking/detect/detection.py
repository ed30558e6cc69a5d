"""The first pass over a video: every face in every frame, kept on disk in chunks that an interrupted run continues."""

import itertools
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from ...errors import InputError
from ...progress import Progress
from ...tensor_files import read_tensors, write_tensors
from .. import landmarks
from .detector import FaceDetector
from .faces import main_track
from .following import Follower, apart, follow, places_of
from .video_stream import Video

_CHUNK = 100  # frames; each starts from the faces of the frame before, whether the run was interrupted or not
_WHOLE = "all_faces.safetensors"
_ROOM = 256e6  # bytes of frames kept for going back from where a face comes in


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
    """Follow the faces through the frames of `span`, continuing from the chunks in `folder`, then back into gaps.

    Raises:
        InputError: when no frame can be decoded.
    """
    whole = folder / _WHOLE
    if whole.is_file():
        return _read([whole])[0]
    done = _look_ahead(video, span, detector, folder, progress)
    if not done.numbers:
        raise InputError(
            f"{video.path} has no frame between --start and --end; it has {video.expected or 'few'} frames"
        )
    promised = span.expected(video)
    if len(done.numbers) < 0.98 * promised - 1:
        progress.message(f"{video.path} ends after {len(done.numbers)} of {promised} frames: it is damaged or cut off")
    _look_back(video, span, detector, done)
    _save(whole, done.numbers, done.faces, True)
    return done


def _look_ahead(video: Video, span: Span, detector: FaceDetector, folder: Path, progress: Progress) -> Detections:
    """Every face in every frame, as far as it is found by looking at the frames in their order."""
    done, finished = _read(sorted(folder.glob("faces_*")))
    progress.start("finding faces", max(span.expected(video), len(done.numbers)), len(done.numbers))
    following = done.numbers[-1] + span.stride if done.numbers else span.start
    stream = video.frames(following, span.end, span.stride) if not finished else iter(())
    while not finished:
        follower = Follower(detector, done.faces[-1] if done.faces else None)
        numbers, faces = [], []
        for number, picture in itertools.islice(stream, _CHUNK):
            numbers.append(number)
            faces.append(follower.look(picture))
            progress.advance()
        finished = len(numbers) < _CHUNK
        _save(folder / f"faces_{len(done.numbers) // _CHUNK:05d}.safetensors", numbers, faces, finished)
        done.numbers.extend(numbers)
        done.faces.extend(faces)
    return done


def _look_back(video: Video, span: Span, detector: FaceDetector, found: Detections) -> None:
    """Follow the clip's person backwards into every gap, from where it ends: who comes in was there before."""
    chosen = main_track(found.faces)
    ends = [row for row, place in enumerate(chosen[1:], 1) if place is not None and chosen[row - 1] is None]
    if not ends:
        return
    first = chosen.index(None)
    width, height = video.size
    held: deque[tuple[int, Tensor]] = deque(maxlen=max(1, int(_ROOM / (3 * width * height))))
    frames = video.frames(found.numbers[first], found.numbers[ends[-1]] + 1, span.stride)
    for row, (_, picture) in enumerate(frames, first):
        place = chosen[row]
        if place is None:
            held.append((row, picture))
            continue
        face = found.faces[row][place : place + 1]
        while held:
            earlier, shown = held.pop()
            face = follow(detector, shown, face)
            if bool(face.isnan().any()):
                break
            known = found.faces[earlier]
            new = apart(places_of(face), places_of(known))
            found.faces[earlier] = torch.cat([known, face[new]])
        held.clear()


def _save(path: Path, numbers: list[int], faces: list[Tensor], last: bool) -> None:
    tensors = {
        "numbers": torch.tensor(numbers, dtype=torch.int64),
        "counts": torch.tensor([len(found) for found in faces], dtype=torch.int64),
        "points": torch.cat([*faces, torch.zeros(0, landmarks.COUNT, 3)]),
        "last": torch.tensor([last]),
    }
    write_tensors(path, tensors)


def _read(paths: Sequence[Path]) -> tuple[Detections, bool]:
    """The detections of files in their order, and whether the last one is the last of the video."""
    done, finished = Detections([], []), False
    for path in paths:
        tensors, _ = read_tensors(path, f"delete {path.parent} to start again")
        done.numbers.extend(tensors["numbers"].tolist())
        done.faces.extend(tensors["points"].split(tensors["counts"].tolist()))
        finished = bool(tensors["last"])
    return done, finished
