"""One person of the detector's faces: who is kept, which frames have no usable face, and which gaps are bridged."""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from ...errors import InputError
from .. import landmarks

_SAME_PERSON = 0.75  # of the face's size: how far a face moves at most between frames that it is seen in
_FORGET = 25  # frames after which a face elsewhere may be the same person again
_LONGEST_GAP = 3  # frames without a face that are bridged; blur or a hand, not an absence
_LEAST_INSIDE = 0.85  # share of a face's landmarks inside the picture
_SMALLEST_FACE = 24.0  # pixels
_ALIVE = 0.01  # of their RMS distance from the middle: motion of landmarks against each other that no picture has
_LEAST_SEEN = 8  # frames in which somebody else is seen at least; what is seen more briefly is a tree
_WATCHED = 64  # frames, spread over a track, in which a face is watched for life


@dataclass(frozen=True)
class Person:
    """The landmarks of one person."""

    rows: Tensor
    """[N] int64 places of the kept frames among those given."""
    points: Tensor
    """[N, 478, 3] pixels; NaN in bridged frames."""
    dropped: dict[int, str]
    """Reason by number of every frame left out."""
    others: int
    """Frames that show somebody else; pictures on the wall and what looks like a face briefly are not people."""


def follow_person(faces: Sequence[Tensor], numbers: Sequence[int], size: tuple[int, int]) -> Person:
    """The person who takes up most of the clip, of faces [K, 478, 3] per frame with `numbers` of the video.

    Raises:
        InputError: when no frame shows a usable face.
    """
    tracks = _linked(faces)
    chosen = _main(tracks, faces)
    points = torch.full((len(faces), landmarks.COUNT, 3), torch.nan)
    dropped: dict[int, str] = {}
    for row, place in enumerate(chosen):
        reason = "no face" if place is None else _unusable(faces[row][place], size)
        if reason is None:
            points[row] = faces[row][chosen[row]]
        else:
            dropped[numbers[row]] = reason
    seen = points[:, 0, 0].isfinite()
    if not bool(seen.any()):
        reasons = ", ".join(sorted(set(dropped.values()))) or "no frames"
        raise InputError(f"no frame shows a usable face ({reasons}); film the head larger, upright and well lit")
    kept = seen | _short_gaps(seen)
    for row in (kept & ~seen).nonzero()[:, 0].tolist():
        dropped.pop(numbers[row])
    return Person(kept.nonzero()[:, 0], points[kept], dropped, _others(tracks, chosen, faces))


def main_track(faces: Sequence[Tensor]) -> list[int | None]:
    """Which face of each frame, of faces [K, 478, 3] each, belongs to the clip's person; None where none does."""
    return _main(_linked(faces), faces)


def _main(tracks: Sequence[dict[int, int]], faces: Sequence[Tensor]) -> list[int | None]:
    """The face of each frame that covers the most in all, of those that live where any does."""

    def rank(track: dict[int, int]) -> tuple[bool, float]:
        area = sum(float(landmarks.face_sizes(faces[frame][place])) ** 2 for frame, place in track.items())
        return _lives(track, faces), area

    best = max(tracks, key=rank) if tracks else {}
    return [best.get(frame) for frame in range(len(faces))]


def _others(tracks: Sequence[dict[int, int]], chosen: Sequence[int | None], faces: Sequence[Tensor]) -> int:
    """How many frames show somebody beside the chosen face."""
    visited: set[int] = set()
    for track in tracks:
        chosen_one = any(chosen[frame] == place for frame, place in track.items())
        if not chosen_one and len(track) >= _LEAST_SEEN and _lives(track, faces):
            visited.update(track)
    return len(visited)


def _lives(track: dict[int, int], faces: Sequence[Tensor]) -> bool:
    """Whether a face's landmarks move against each other, beyond what moving, scaling and rolling a picture does."""
    frames = sorted(track)
    watched = frames[:: -(-len(frames) // _WATCHED)]
    points = torch.stack([faces[frame][track[frame]][:, :2] for frame in watched]).double()
    places = torch.view_as_complex((points - points.mean(1, keepdim=True)).contiguous())
    places = places / places.abs().square().mean(1, keepdim=True).sqrt()
    turn = (places * places[:1].conj()).mean(1, keepdim=True)
    upright = places / turn
    spread = (upright - upright.mean(0)).abs().square().mean().sqrt()
    return float(spread) > _ALIVE


def _linked(faces: Sequence[Tensor]) -> list[dict[int, int]]:
    """Everybody's faces: place by frame."""
    tracks: list[dict[int, int]] = []
    last: list[tuple[int, Tensor, float]] = []
    for frame, found in enumerate(faces):
        taken: set[int] = set()
        for index, face in enumerate(found):
            center, size = face[:, :2].mean(0), float(landmarks.face_sizes(face))
            near = [
                (float((center - where).norm()), track)
                for track, (when, where, extent) in enumerate(last)
                if track not in taken and (float((center - where).norm()) < _SAME_PERSON * max(size, extent))
            ]
            stale = [(float("inf"), track) for track, (when, _, _) in enumerate(last) if frame - when > _FORGET]
            candidates = near or ([] if len(found) > 1 else stale)
            if candidates:
                track = min(candidates)[1]
            else:
                track = len(tracks)
                tracks.append({})
                last.append((frame, center, size))
            taken.add(track)
            tracks[track][frame] = index
            last[track] = (frame, center, size)
    return tracks


def _unusable(face: Tensor, size: tuple[int, int]) -> str | None:
    inside = ((face[:, :2] >= 0) & (face[:, :2] < torch.tensor(size))).all(1).float().mean()
    if float(inside) < _LEAST_INSIDE:
        return "face leaves the picture"
    if float(landmarks.face_sizes(face)) < _SMALLEST_FACE:
        return "face too small"
    return None


def _short_gaps(seen: Tensor) -> Tensor:
    """[N] bool: frames of gaps that are at most `_LONGEST_GAP` long, with a face before and after."""
    bridged = torch.zeros_like(seen)
    places = seen.nonzero()[:, 0].tolist()
    for before, after in itertools.pairwise(places):
        if 1 < after - before <= _LONGEST_GAP + 1:
            bridged[before + 1 : after] = True
    return bridged
