"""A label for every pixel of a frame, from the fitted model's regions and landmarks, and from colours."""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d, max_pool2d

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
_HAIR_REACH, _NECK_REACH, _CHEEK_REACH = 0.5, 0.25, 0.1
"""How far hair, neck, and what is beside the cheeks extend beyond the mesh, of the height from chin to brows."""
_COLLAR, _SHADOW = 0.25, 8.0  # of the same height: the shade of the chin, and the log odds that cloth needs there
_NECK_LINE = 1.0  # of the way from the eyes to the mouth, below the mouth: the head ends there, in its own frame
_TORSO = 0.9  # and where a person's pixels beside the mesh are cloth for sure
_LEAST_SAMPLES = 500
_TYPICAL = 0.9  # share of the samples nearest to the median that a distribution is made from
_COLOUR_NOISE = 0.03  # sRGB; keeps a uniform surface's spread from vanishing
_COARSE = 4  # pixels; distances need not be finer
_JAW = 0.5  # and above the chin: lower than that, what lies farther than the cheeks' reach is a shoulder, not hair
_SLIVER = 4  # pixels; skin beside the neck's mesh that is thinner is the blurred edge of a collar
_MAJORITY = 2  # pixels around one that outvote a speck


class Sight(NamedTuple):
    """A frame as it is parsed.

    Attributes:
        picture: uint8 [H, W, 3]. matte: [H, W] of the person, 0 to 1.
        face_id: int64 [H, W] of the fitted mesh, -1 where there is none.
        below: [H, W] pixels below the chin, along the head's own vertical. height: from the chin to the brows, pixels.
    """

    picture: Tensor
    matte: Tensor
    face_id: Tensor
    below: Tensor
    height: float


class Colour(NamedTuple):
    """A normal distribution of sRGB."""

    mean: Tensor  # [3]
    precision: Tensor  # [3, 3]
    log_volume: float

    def distance(self, colours: Tensor) -> Tensor:
        """[...] squared Mahalanobis distance of [..., 3]."""
        away = (colours - self.mean).flatten(0, -2)
        return ((away @ self.precision) * away).sum(-1).view(colours.shape[:-1])

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
        eyes, mouth = (head.vertices[head.region == code, 1].mean() for code in (EYEBALL, LIPS))
        low = (head.vertices[:, 1] < mouth - _NECK_LINE * (eyes - mouth))[head.faces].any(1)
        self._torso = low
        self._neck = (head.region == NECK)[head.faces].any(1) & ~low
        self._upper = ~self._neck & ~low
        self._skin: Colour | None = None
        self._hair: Colour | None = None
        self._cloth: Colour | None = None

    def learn(self, sights: Sequence[Sight]) -> None:
        """The colours of skin, hair and cloth, from frames spread over the clip; what is hardly seen stays unknown."""
        skin, hair, cloth = [], [], []
        for sight in sights:
            labels, colours = self._on_mesh(sight.face_id), _colours(sight.picture)
            sure, free = sight.matte > 0.95, sight.face_id < 0
            plain = _among(labels, (FACE_SKIN, NOSE)) & ~self._at(self._forehead, sight)
            above = free & (sight.below < -sight.height) & self._beside(self._upper, sight, _HAIR_REACH)
            skin.append(colours[sure & plain])
            hair.append(colours[sure & (above | (labels == HAIR))])
            cloth.append(colours[sure & free & (sight.below > _TORSO * sight.height)])
        self._skin, self._hair, self._cloth = (_distribution(torch.cat(found)) for found in (skin, hair, cloth))

    def parse(self, sight: Sight) -> tuple[Tensor, Tensor]:
        """Labels uint8 [H, W] and the matte [H, W] of the head alone, without the torso."""
        person, free = sight.matte > 0.5, sight.face_id < 0
        colours = _colours(sight.picture)
        labels = self._on_mesh(sight.face_id)
        above = sight.below < 0
        labels[free] = CLOTH
        high = sight.below < -_JAW * sight.height
        beside = self._beside(self._upper, sight, _CHEEK_REACH) | (high & self._beside(self._upper, sight, _HAIR_REACH))
        labels[free & above & beside] = HAIR
        hairy = self._odds(self._hair, colours)
        labels[(labels == HAIR) & (hairy < -_PRIOR)] = FACE_SKIN
        labels[self._at(self._forehead, sight) & (hairy > _PRIOR)] = HAIR
        clothed = self._odds(self._cloth, colours)
        neck = self._at(self._neck, sight) | (
            free & person & ~above & self._beside(self._neck, sight, _NECK_REACH, True)
        )
        shadow = torch.where(sight.below < _COLLAR * sight.height, _SHADOW, 0.0)
        labels[self._at(self._torso, sight)] = CLOTH
        labels[neck] = torch.where((clothed > shadow)[neck], CLOTH, NECK_SKIN)
        slivers = neck & free & (labels == NECK_SKIN)
        labels[slivers & (_voted(slivers.float(), _SLIVER) < 0.5)] = CLOTH
        cloth = _voted((labels == CLOTH).float()) > 0.5
        labels[(labels == CLOTH) & ~cloth] = NECK_SKIN
        labels[cloth] = CLOTH
        labels[~person] = BACKGROUND
        return labels.byte(), sight.matte * (1 - _voted(cloth.float())) * ~cloth

    def _odds(self, colour: Colour | None, colours: Tensor) -> Tensor:
        """[H, W] log odds of a colour against skin; 0 where either is unknown."""
        if colour is None or self._skin is None:
            return torch.zeros(colours.shape[:2])
        return colour.log_density(colours) - self._skin.log_density(colours)

    def _beside(self, faces: Tensor, sight: Sight, reach: float, sideways: bool = False) -> Tensor:
        """[H, W] bool: pixels at most `reach` times the face's height from the faces [F], or to their sides only."""
        coarse = max_pool2d(self._at(faces, sight).float()[None, None], _COARSE, ceil_mode=True)
        radius = max(1, round(reach * sight.height / _COARSE))
        near = max_pool2d(coarse, (1, 2 * radius + 1), 1, (0, radius))
        if not sideways:
            near = max_pool2d(near, (2 * radius + 1, 1), 1, (radius, 0))
        near = near[0, 0] > 0
        rows, columns = sight.face_id.shape
        return near.repeat_interleave(_COARSE, 0).repeat_interleave(_COARSE, 1)[:rows, :columns]

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


def _voted(mask: Tensor, radius: int = _MAJORITY) -> Tensor:
    """[H, W] share of a mask [H, W] around every pixel."""
    return avg_pool2d(mask[None, None], 2 * radius + 1, 1, radius, count_include_pad=False)[0, 0]


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
