"""A label for every pixel of a frame, from the fitted model's regions, its landmarks and the colours of skin and hair."""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d

from ..heads import HeadModel
from . import landmarks
from .correspondence import Correspondence
from .painted_head import EAR, EYE_SOCKET, EYEBALL, LIPS, MOUTH, NECK, SCALP, SKIN, TEETH

BACKGROUND, FACE_SKIN, LEFT_BROW, RIGHT_BROW, LEFT_EYE, RIGHT_EYE = range(6)
LEFT_EAR, RIGHT_EAR, NOSE, INNER_MOUTH, UPPER_LIP, LOWER_LIP, NECK_SKIN, CLOTH, HAIR = 7, 8, 10, 11, 12, 13, 14, 16, 17
"""Semantic labels of docs/formats.md."""
_BROW_REACH = 0.006  # metres from a brow's landmarks
_FOREHEAD = 0.004  # metres above the brows from which hair may hang over the mesh's skin
_PRIOR = 2.0  # log odds: of hair where the model has a scalp or no surface, of skin on its forehead
_FOREIGN = 20.0  # squared Mahalanobis distance from skin from which a pixel of the neck is cloth
_LEAST_SAMPLES = 500
_TYPICAL = 0.9  # share of the samples nearest to the median that a distribution is made from
_COLOUR_NOISE = 0.03  # sRGB; keeps a uniform surface's spread from vanishing
_MAJORITY = 2  # pixels around one that outvote a speck


class Sight(NamedTuple):
    """A frame as it is parsed.

    Attributes:
        picture: uint8 [H, W, 3]. matte: [H, W] of the person, 0 to 1.
        face_id: int64 [H, W] of the fitted mesh, -1 where there is none.
        below: [H, W] pixels below the chin, along the head's own vertical.
    """

    picture: Tensor
    matte: Tensor
    face_id: Tensor
    below: Tensor


class Colour(NamedTuple):
    """A normal distribution of sRGB."""

    mean: Tensor  # [3]
    precision: Tensor  # [3, 3]
    log_volume: float

    def distance(self, colours: Tensor) -> Tensor:
        """[...] squared Mahalanobis distance of [..., 3]."""
        away = colours - self.mean
        return ((away @ self.precision) * away).sum(-1)

    def log_density(self, colours: Tensor) -> Tensor:
        """[...] up to a constant."""
        return -0.5 * (self.distance(colours) + self.log_volume)


class Parser:
    """Labels frames of one clip; `learn` comes first."""

    def __init__(self, head: HeadModel, correspondence: Correspondence):
        by_vertex = _vertex_labels(head, correspondence)
        self._labels = by_vertex[head.faces].mode(1).values
        marks = correspondence.points(head.vertices)
        brows = marks[list(landmarks.LEFT_BROW + landmarks.RIGHT_BROW), 1].amax()
        forehead = (head.region == SKIN) & (head.vertices[:, 1] > brows + _FOREHEAD)
        self._forehead = forehead[head.faces].all(1)
        self._neck = (head.region == NECK)[head.faces].any(1)
        self._skin: Colour | None = None
        self._hair: Colour | None = None

    def learn(self, sights: Sequence[Sight]) -> None:
        """The colours of skin and hair, from frames spread over the clip; what hardly shows keeps the model's labels."""
        skin, hair = [], []
        for sight in sights:
            labels, colours = self._on_mesh(sight.face_id), _colours(sight.picture)
            sure = sight.matte > 0.95
            skin.append(colours[sure & torch.isin(labels, torch.tensor([FACE_SKIN, NOSE])) & ~self._at(self._forehead, sight)])
            above = (sight.face_id < 0) & (sight.below < -0.25 * float(_span(sight)))
            hair.append(colours[sure & (above | (labels == HAIR))])
        self._skin, self._hair = _distribution(torch.cat(skin)), _distribution(torch.cat(hair))

    def parse(self, sight: Sight) -> tuple[Tensor, Tensor]:
        """Labels uint8 [H, W] and the matte [H, W] of the head alone, without the torso."""
        colours = _colours(sight.picture)
        person = sight.matte > 0.5
        labels = self._on_mesh(sight.face_id)
        free = sight.face_id < 0
        labels[free] = torch.where(sight.below[free] > 0, CLOTH, HAIR)
        if self._skin is not None and self._hair is not None:
            odds = self._hair.log_density(colours) - self._skin.log_density(colours)
            scalp, forehead = labels == HAIR, self._at(self._forehead, sight)
            labels[scalp & ~free & (odds < -_PRIOR)] = FACE_SKIN
            labels[forehead & (odds > _PRIOR)] = HAIR
        if self._skin is not None:
            labels[self._at(self._neck, sight) & (self._skin.distance(colours) > _FOREIGN)] = CLOTH
        cloth = _voted(((labels == CLOTH) & person).float()) > 0.5
        labels[(labels == CLOTH) & ~cloth] = NECK_SKIN
        labels[cloth] = CLOTH
        kept = 1 - _voted(cloth.float())
        matte = torch.where(free | cloth, sight.matte * kept * (~cloth), sight.matte)
        labels[~person] = BACKGROUND
        return labels.byte(), matte

    def _on_mesh(self, face_id: Tensor) -> Tensor:
        return torch.where(face_id >= 0, self._labels[face_id.clamp_min(0)], BACKGROUND)

    def _at(self, faces: Tensor, sight: Sight) -> Tensor:
        """[H, W] bool: pixels of the chosen faces [F]."""
        return (sight.face_id >= 0) & faces[sight.face_id.clamp_min(0)]


def _vertex_labels(head: HeadModel, correspondence: Correspondence) -> Tensor:
    """[V] int64 from the regions, split by the nearest landmark of the neutral head."""
    marks = correspondence.points(head.vertices)
    distance, nearest = torch.cdist(head.vertices, marks).min(1)
    left = head.vertices[:, 0] >= 0
    region = head.region
    lips = torch.tensor(landmarks.LIPS)
    to_lips = lips[torch.cdist(head.vertices, marks[lips]).argmin(1)]
    label = torch.full((head.vertex_count,), FACE_SKIN)
    brow = distance < _BROW_REACH
    for inside, code in (
        (_among(nearest, landmarks.NOSE) & (region == SKIN), NOSE),
        (_among(nearest, landmarks.LEFT_BROW) & brow & (region == SKIN), LEFT_BROW),
        (_among(nearest, landmarks.RIGHT_BROW) & brow & (region == SKIN), RIGHT_BROW),
        (region == SCALP, HAIR),
        (region == NECK, NECK_SKIN),
        ((region == EAR) & left, LEFT_EAR),
        ((region == EAR) & ~left, RIGHT_EAR),
        (((region == EYEBALL) | (region == EYE_SOCKET)) & left, LEFT_EYE),
        (((region == EYEBALL) | (region == EYE_SOCKET)) & ~left, RIGHT_EYE),
        ((region == MOUTH) | (region == TEETH), INNER_MOUTH),
        ((region == LIPS) & _among(to_lips, landmarks.UPPER_LIP), UPPER_LIP),
        ((region == LIPS) & ~_among(to_lips, landmarks.UPPER_LIP), LOWER_LIP),
    ):
        label[inside] = code
    return label


def _among(values: Tensor, chosen: Sequence[int]) -> Tensor:
    return torch.isin(values, torch.tensor(chosen))


def _colours(picture: Tensor) -> Tensor:
    """[H, W, 3] sRGB of 0 to 1, averaged over three pixels."""
    planes = picture.permute(2, 0, 1).float() / 255
    return avg_pool2d(planes, 3, 1, 1, count_include_pad=False).permute(1, 2, 0)


def _voted(mask: Tensor) -> Tensor:
    return avg_pool2d(mask[None, None], 2 * _MAJORITY + 1, 1, _MAJORITY, count_include_pad=False)[0, 0]


def _span(sight: Sight) -> Tensor:
    """Height of the mesh in pixels along the head's vertical, above the chin."""
    covered = sight.below[sight.face_id >= 0]
    return -covered.amin() if covered.numel() else torch.tensor(torch.inf)


def _distribution(colours: Tensor) -> Colour | None:
    """The normal distribution of [N, 3]; None of too few."""
    if len(colours) < _LEAST_SAMPLES:
        return None
    mean = colours.median(0).values
    away = colours - mean
    squared = away.square().sum(1)
    near = away[squared <= squared.sort().values[int(_TYPICAL * (len(away) - 1))]]
    covariance = near.T @ near / len(near) + _COLOUR_NOISE**2 * torch.eye(3)
    return Colour(mean, torch.linalg.inv(covariance), float(torch.logdet(covariance)))
