"""Faces found over the whole picture and followed from frame to frame, forwards and backwards."""

import torch
from torch import Tensor

from .. import landmarks
from .detector import FaceDetector

_AROUND = 1.5  # side of a place by that of the box around the landmarks: what the landmark model was trained on
_WIDER = 1.3  # a face that is lost at its place is looked for in one so much larger
_AGAIN = 10  # frames after which the whole picture is searched for faces that came in
_PATIENCE = 10  # frames for which a face that is lost is looked for where it was
_SAME = 0.4  # of the larger place's side: places that lie nearer show one face
_TILE = 0.5  # of the picture's shorter side, for faces that are too small for a look at the whole
_EYE_CORNERS = (33, 263)  # outer ones: the right and the left eye's


def places_of(faces: Tensor) -> Tensor:
    """[K, 4] where faces [K, 478, 3] lie, as a `FaceDetector` takes it."""
    points = faces[..., :2]
    low, high = points.amin(1), points.amax(1)
    side = _AROUND * (high - low).amax(1)
    across = points[:, _EYE_CORNERS[1]] - points[:, _EYE_CORNERS[0]]
    return torch.cat([(low + high) / 2, side[:, None], torch.atan2(across[:, 1], across[:, 0])[:, None]], 1)


def apart(places: Tensor, others: Tensor) -> Tensor:
    """[K] bool: places [K, 4] that show none of the faces at the places `others` [M, 4]."""
    distance = (places[:, None, :2] - others[None, :, :2]).norm(dim=-1)
    return (distance > _SAME * torch.maximum(places[:, None, 2], others[None, :, 2])).all(1)


def follow(detector: FaceDetector, picture: Tensor, faces: Tensor) -> Tensor:
    """[K, 478, 3] the faces [K, 478, 3] of a neighbouring frame in this one; NaN for those that are lost."""
    if not len(faces):
        return faces
    found = detector.landmarks(picture, places_of(faces))
    lost = _lost(found)
    if bool(lost.any()):
        wider = places_of(faces[lost]) * torch.tensor([1, 1, _WIDER, 1])
        found[lost] = _settled(detector, picture, detector.landmarks(picture, wider))
    return found


def search(detector: FaceDetector, picture: Tensor, known: Tensor, in_tiles: bool = True) -> Tensor:
    """[K, 478, 3] the faces of a picture uint8 [H, W, 3] apart from those at the places `known` [M, 4].

    Args:
        in_tiles: whether to look at the parts of the picture one by one where the whole shows none, for small faces.
    """
    places = detector.find(picture)
    if in_tiles and not len(places) and not len(known):
        places = torch.cat([_find_in(detector, picture, *corner) for corner in _tiles(picture)])
    places = places[apart(places, known)]
    faces = _settled(detector, picture, detector.landmarks(picture, places)) if len(places) else _none()
    return _different(faces[~_lost(faces)])


class Follower:
    """Finds the faces of consecutive frames.

    Args:
        faces: [K, 478, 3] of the frame before the first one that is looked at.
    """

    def __init__(self, detector: FaceDetector, faces: Tensor | None = None):
        self._detector = detector
        self._faces = _none() if faces is None else faces
        self._missed = [0] * len(self._faces)
        self._since = 0

    def look(self, picture: Tensor) -> Tensor:
        """[K, 478, 3] the faces in the next picture uint8 [H, W, 3]."""
        found = follow(self._detector, picture, self._faces)
        lost = _lost(found)
        seen = _different(found[~lost])
        thorough = self._since % _AGAIN == 0
        if thorough or not len(seen):
            seen = torch.cat([seen, search(self._detector, picture, places_of(seen), in_tiles=thorough)])
        self._since += 1
        missed = [self._missed[row] + 1 for row in lost.nonzero()[:, 0].tolist()]
        waiting = self._faces[lost]
        patient = torch.tensor([count <= _PATIENCE for count in missed], dtype=torch.bool)
        patient &= apart(places_of(waiting), places_of(seen)) if len(waiting) else patient
        self._faces = torch.cat([seen, waiting[patient]])
        self._missed = [0] * len(seen) + [count for count, kept in zip(missed, patient.tolist(), strict=True) if kept]
        return seen


def _settled(detector: FaceDetector, picture: Tensor, faces: Tensor) -> Tensor:
    """The same faces seen again from where the first look found them, which is how faces that are followed are seen."""
    there = ~_lost(faces)
    settled = faces.clone()
    if bool(there.any()):
        settled[there] = detector.landmarks(picture, places_of(faces[there]))
    return settled


def _different(faces: Tensor) -> Tensor:
    """Every face [K, 478, 3] once."""
    kept = faces[:0]
    for face in faces:
        if bool(apart(places_of(face[None]), places_of(kept)).all()):
            kept = torch.cat([kept, face[None]])
    return kept


def _find_in(detector: FaceDetector, picture: Tensor, top: int, left: int, side: int) -> Tensor:
    """[K, 4] places in the whole picture of the faces that one part of it shows."""
    places = detector.find(picture[top : top + side, left : left + side])
    return places + torch.tensor([left, top, 0, 0])


def _tiles(picture: Tensor) -> list[tuple[int, int, int]]:
    """Top, left and side of squares that overlap by half and cover the picture."""
    height, width, _ = picture.shape
    side = round(_TILE * min(height, width))

    def starts(length: int) -> list[int]:
        count = max(1, -(-2 * (length - side) // side)) if length > side else 0
        return [round(index * (length - side) / max(count, 1)) for index in range(count + 1)]

    return [(top, left, side) for top in starts(height) for left in starts(width)]


def _lost(faces: Tensor) -> Tensor:
    """[K] bool."""
    return faces[:, 0, 0].isnan()


def _none() -> Tensor:
    return torch.zeros(0, landmarks.COUNT, 3)
