"""A label for every pixel of a frame, from the fitted model's regions and landmarks, and from colours."""

from collections.abc import Sequence
from typing import NamedTuple

import mesh_rasterizer
import torch
from mesh_rasterizer import Fragments
from scipy.ndimage import distance_transform_edt, label
from torch import Tensor
from torch.nn.functional import avg_pool2d, max_pool2d

from ...heads import HeadModel
from ...heads.regions import Region
from ...scene.labels import BARE_SKIN, Label, has_label
from .. import landmarks
from ..detect.correspondence import Correspondence
from .collar import Band, Collar, learn_collar
from .colours import LEAST_SAMPLES, Colour, distribution, local_colours
from .parsing import ParsingNetwork
from .shoulders import nearby, within_rim

_BROW_REACH = 0.006  # metres from a brow's landmarks
_FOREHEAD = 0.004  # metres above the brows from which hair may hang over the mesh's skin
_PRIOR = 2.0  # log odds: of hair where the model has a scalp or no surface, of skin on its forehead
_HAIR_REACH, _NECK_REACH, _CHEEK_REACH = 0.5, 0.15, 0.1
"""How far hair, neck, and what is beside the cheeks extend beyond the mesh, of the height from chin to brows."""
_COLLAR, _SHADOW = 0.25, 2.0  # of the same height: the shade of the chin, and the log odds that cloth needs there
_NECK_LINE = 1.0  # of the way from the eyes to the mouth, below the mouth: the head ends there, in its own frame
_NECK_FADE = 0.7  # of the same distance: how far below that line the neck fades out where no collar ends it
_OPEN, _FADED = 0.02, 0.1  # of a neck's area where a fade would leave less than this: no collar ends such a neck
_TORSO = 0.9  # of the height from chin to brows below the chin: a person's pixels there are clothed, or bare shoulders
_SURE = 0.95  # matte of a pixel that shows the person for sure
_COARSE = 4  # pixels; distances need not be finer
_JAW = 0.5  # and above the chin: lower than that, what lies farther than the cheeks' reach is a shoulder, not hair
_SLIVER = 4  # pixels; skin beside the neck's mesh that is thinner is the blurred edge of a collar
_NETWORK_KNOWS = (Label.HAIR, Label.HAT, Label.GLASSES, Label.EARRING)
_MAJORITY = 2  # pixels around one that outvote a speck


class Sight(NamedTuple):
    """A frame as it is parsed."""

    picture: Tensor
    """uint8 [H, W, 3]."""
    matte: Tensor
    """[H, W] coverage of the person, 0 to 1."""
    fragments: Fragments
    """Of the fitted mesh in this picture."""
    below: Tensor
    """[H, W] pixels below the chin, along the head's own vertical."""
    height: float
    """From the chin to the brows, pixels."""

    @property
    def free(self) -> Tensor:
        """[H, W] bool, where there is no mesh."""
        return self.fragments.face_id[0] < 0


class Parsed(NamedTuple):
    """What a frame shows of the head."""

    labels: Tensor
    """uint8 [H, W]."""
    matte: Tensor
    """[H, W] of the dataset's picture."""
    whole: Tensor
    """[H, W] the same before a neck or shoulders fade out: how little of what is behind or worn shines through."""


class OnMesh(NamedTuple):
    """What the mesh says of every pixel, [H, W] each."""

    labels: Tensor
    """int64 labels, background beside the mesh."""
    inside: Tensor
    """1, falling smoothly to 0 at the edge of the shoulders where they are kept."""
    forehead: Tensor
    """bool."""
    neck: Tensor
    """bool."""
    vertical: Tensor
    """Height on the neutral head, metres; beside the mesh that of the neck, continued."""
    upper: Tensor
    """bool: what is neither neck nor torso."""


class Parser:
    """Labels frames of one clip; `learn` comes first."""

    def __init__(
        self,
        head: HeadModel,
        correspondence: Correspondence,
        network: ParsingNetwork | None = None,
        keep_torso: bool = False,
    ):
        """`network` decides what neither mesh nor colours know: hair, what is worn, and where the neck ends.

        `keep_torso` leaves neck, shoulders and clothes in the matte as far as the head model goes.
        """
        self._network, self._keep_torso = network, keep_torso
        labels = _vertex_labels(head, correspondence)
        self._codes = labels.unique()
        marks = correspondence.points(head.vertices)
        brows = marks[list(landmarks.LEFT_BROW + landmarks.RIGHT_BROW), 1].amax()
        forehead = (head.region == Region.SKIN) & (head.vertices[:, 1] > brows + _FOREHEAD)
        eyes, mouth = (head.vertices[head.region == code, 1].mean() for code in (Region.EYEBALL, Region.LIPS))
        self._lowest = float(mouth - _NECK_LINE * (eyes - mouth))
        self._fading = float(_NECK_FADE * (eyes - mouth))
        neck = head.region == Region.NECK
        inside = within_rim(head) if keep_torso else torch.ones(head.vertex_count)
        columns = [head.vertices[:, 1], inside, forehead, neck, *(labels == code for code in self._codes)]
        self._attributes = torch.stack([column.float() for column in columns], 1)
        self._faces = head.faces
        self._skin: Colour | None = None
        self._hair: Colour | None = None
        self._collar: Collar | None = None
        self._closed = False

    def learn(self, sights: Sequence[Sight]) -> None:
        """The colours of skin, hair and cloth, from frames spread over the clip; what is hardly seen stays unknown."""
        skin, hair, bands, shares = [], [], [], []
        for sight in sights:
            mesh, colours = self._on_mesh(sight), local_colours(sight.picture)
            shares.append(self._share(mesh))
            sure = sight.matte > _SURE
            above = sight.free & (sight.below < -sight.height) & _beside(mesh.upper, _HAIR_REACH * sight.height)
            skin.append(colours[sure & _plain(mesh)])
            hair.append(colours[sure & (above | (mesh.labels == Label.HAIR))])
            bands.append(_band(sight, mesh, colours))
        self._skin, self._hair = (distribution(torch.cat(found)) for found in (skin, hair))
        self._collar = learn_collar(bands)
        self._closed = self._collar is not None and _ends_at_a_collar(self._collar, bands, shares)

    def parse(self, sight: Sight) -> Parsed:
        """What a frame shows of the head alone, or with the torso where that is kept."""
        person, free = sight.matte > 0.5, sight.free
        mesh, colours = self._on_mesh(sight), local_colours(sight.picture)
        labels = mesh.labels.clone()
        above = sight.below < 0
        labels[free] = Label.CLOTH
        high = sight.below < -_JAW * sight.height
        near, far = (_beside(mesh.upper, reach * sight.height) for reach in (_CHEEK_REACH, _HAIR_REACH))
        beside = near | (high & far)
        labels[free & above & beside] = Label.HAIR
        if self._collar is not None:
            rim = free & above & ~high & near
            labels[rim] = torch.where(self._collar.odds(colours[rim]) > 0, Label.CLOTH, labels[rim])  # behind the jaw
        hairy, doubted = torch.zeros_like(sight.matte), (labels == Label.HAIR) | mesh.forehead
        hairy[doubted] = self._odds(self._hair, colours[doubted])
        labels[(labels == Label.HAIR) & (hairy < -_PRIOR)] = Label.SKIN
        labels[mesh.forehead & (hairy > _PRIOR)] = Label.HAIR
        classes = None if self._network is None else self._network.classes(sight.picture)
        if classes is not None:
            labels[(labels == Label.HAIR) & has_label(classes, BARE_SKIN)] = Label.SKIN
            labels = torch.where(person & has_label(classes, _NETWORK_KNOWS), classes, labels)
        labels, neck = self._dressed(labels, sight, mesh, colours, classes)
        cloth = labels == Label.CLOTH
        soft = free & ~high & ~person & (sight.matte > 0)
        cloth |= soft & _nearest(cloth, person, soft)  # the soft edge of clothes is theirs
        labels[~person] = Label.BACKGROUND
        if self._keep_torso:
            fade = nearby(mesh.inside, ~free, _HAIR_REACH * sight.height)
            return Parsed(labels.byte(), sight.matte * fade, sight.matte)
        whole = sight.matte * (1 - _voted(cloth.float())) * ~cloth
        matte = torch.where(neck, whole * self._fade(mesh), whole)
        return Parsed(labels.byte(), matte * _largest_piece(matte > 0), whole)

    def _dressed(
        self, labels: Tensor, sight: Sight, mesh: OnMesh, colours: Tensor, classes: Tensor | None
    ) -> tuple[Tensor, Tensor]:
        """The labels [H, W] with neck and cloth told apart below the jaw, and where the neck is."""
        band = _band(sight, mesh, colours)
        neck = band.open & (self._fade(mesh) > 0)
        if classes is not None:
            neck &= has_label(classes, (*BARE_SKIN, Label.NECKLACE))
        elif self._collar is not None:
            shadow = torch.where(sight.below < _COLLAR * sight.height, -_SHADOW, 0.0)
            neck &= self._collar.bare(band, shadow)
        slivers = neck & sight.free
        neck &= ~(slivers & (_voted(slivers.float(), _SLIVER) < 0.5))
        low = band.open | (labels == Label.CLOTH) | (~sight.free & ~mesh.upper)
        cloth = _voted((low & ~neck).float()) > 0.5
        labels = torch.where(low | cloth, Label.CLOTH, labels)
        labels[low & ~cloth] = Label.NECK
        return labels, low & ~cloth

    def _fade(self, mesh: OnMesh) -> Tensor:
        """[H, W] how much of the neck is kept: all of it where a collar ends it."""
        return torch.ones_like(mesh.vertical) if self._closed else self._share(mesh)

    def _share(self, mesh: OnMesh) -> Tensor:
        """[H, W] 1 on the neck, falling smoothly to 0 below its line."""
        share = ((mesh.vertical - self._lowest) / self._fading + 1).clamp(0, 1)
        return share * share * (3 - 2 * share)

    def _odds(self, colour: Colour | None, colours: Tensor) -> Tensor:
        """[...] log odds of a colour against skin for colours [..., 3]; 0 where either is unknown."""
        if colour is None or self._skin is None:
            return torch.zeros(colours.shape[:-1])
        return colour.log_density(colours) - self._skin.log_density(colours)

    def _on_mesh(self, sight: Sight) -> OnMesh:
        """Borders run smoothly through the triangles, not along their edges."""
        values = mesh_rasterizer.interpolate(sight.fragments, self._faces, self._attributes)[0]
        height, inside, forehead, neck, codes = values.split([1, 1, 1, 1, len(self._codes)], -1)
        free = sight.free
        labels = torch.where(free, Label.BACKGROUND, self._codes[codes.argmax(-1)])
        necked = (neck[..., 0] > 0.5) & ~free
        vertical = torch.where(free, _extended(height[..., 0], necked), height[..., 0])
        upper = ~free & ~necked & (vertical >= self._lowest)
        return OnMesh(labels, inside[..., 0], (forehead[..., 0] > 0.5) & ~free, necked, vertical, upper)


def _ends_at_a_collar(collar: Collar, bands: Sequence[Band], shares: Sequence[Tensor]) -> bool:
    """Whether hardly any bare skin of some frames lies below where an open neck has faded out, by its shares [H, W]."""
    bare = beyond = 0
    for band, share in zip(bands, shares, strict=True):
        neck = collar.bare(band, torch.zeros_like(share))
        bare += int(neck.sum())
        beyond += int((neck & (share < _FADED)).sum())
    return beyond < _OPEN * bare


def _plain(mesh: OnMesh) -> Tensor:
    """[H, W] bool: the mesh's bare face."""
    return has_label(mesh.labels, (Label.SKIN, Label.NOSE)) & ~mesh.forehead


def _band(sight: Sight, mesh: OnMesh, colours: Tensor) -> Band:
    """What lies between the face and the clothes: the neck's mesh and what is beside it."""
    person = sight.matte > 0.5
    high = sight.below < -_JAW * sight.height
    beside = sight.free & _beside(mesh.neck, _NECK_REACH * sight.height, sideways=True) & ~high
    deep = sight.below > _TORSO * sight.height
    near = (mesh.neck | (~mesh.upper & ~sight.free) | beside) & person & ~deep
    return Band(colours, (sight.matte > _SURE) & _plain(mesh), (sight.matte > _SURE) & deep, near)


def _extended(values: Tensor, known: Tensor) -> Tensor:
    """[H, W] the plane that best fits the `known` ones of values [H, W]; infinite where there are too few."""
    rows, columns = torch.meshgrid(*(torch.arange(size, dtype=torch.float64) for size in values.shape), indexing="ij")
    basis = torch.stack([torch.ones_like(rows), rows, columns], -1)
    if int(known.sum()) < LEAST_SAMPLES:
        return torch.full_like(values, torch.inf)
    plane = torch.linalg.lstsq(basis[known], values[known].double()[:, None], driver="gelsd").solution
    return (basis @ plane)[..., 0].to(values)


def _nearest(mask: Tensor, known: Tensor, wanted: Tensor) -> Tensor:
    """[H, W] bool: where the nearest pixel of `known` [H, W] is one of a mask [H, W], in the box around `wanted`."""
    found = torch.zeros_like(mask)
    rows, columns = (wanted.any(axis).nonzero()[:, 0] for axis in (1, 0))
    if not len(rows):
        return found
    box = slice(int(rows[0]), int(rows[-1]) + 1), slice(int(columns[0]), int(columns[-1]) + 1)
    if bool(known[box].any()):
        nearest = distance_transform_edt(~known[box].numpy(), return_distances=False, return_indices=True)
        down, across = torch.from_numpy(nearest).long()
        found[box] = mask[box][down, across]
    return found


def _largest_piece(mask: Tensor) -> Tensor:
    """[H, W] bool: the largest connected part of a mask [H, W]; skin beyond a collar is no part of a head."""
    pieces = torch.from_numpy(label(mask.numpy())[0])
    sizes = pieces.flatten().bincount()
    sizes[0] = 0
    return (pieces == sizes.argmax()) & mask


def _beside(mask: Tensor, reach: float, sideways: bool = False) -> Tensor:
    """[H, W] bool: pixels at most `reach` pixels from a mask [H, W], or to its sides only."""
    coarse = max_pool2d(mask.float()[None, None], _COARSE, ceil_mode=True)
    radius = max(1, round(reach / _COARSE))
    near = max_pool2d(coarse, (1, 2 * radius + 1), 1, (0, radius))
    if not sideways:
        near = max_pool2d(near, (2 * radius + 1, 1), 1, (radius, 0))
    near = near[0, 0] > 0
    return near.repeat_interleave(_COARSE, 0).repeat_interleave(_COARSE, 1)[: mask.shape[0], : mask.shape[1]]


def _vertex_labels(head: HeadModel, correspondence: Correspondence) -> Tensor:
    """[V] int64 from the regions, split by the nearest landmark of the neutral head."""
    marks = correspondence.points(head.vertices)
    distance, nearest = torch.cdist(head.vertices, marks).min(1)
    left = head.vertices[:, 0] >= 0
    region = head.region
    lips = torch.tensor(landmarks.LIPS)
    to_lips = lips[torch.cdist(head.vertices, marks[lips]).argmin(1)]
    label = torch.full((head.vertex_count,), Label.SKIN)
    brow = distance < _BROW_REACH
    for inside, code in (
        (_among(nearest, landmarks.NOSE) & (region == Region.SKIN), Label.NOSE),
        (_among(nearest, landmarks.LEFT_BROW) & brow & (region == Region.SKIN), Label.LEFT_BROW),
        (_among(nearest, landmarks.RIGHT_BROW) & brow & (region == Region.SKIN), Label.RIGHT_BROW),
        (region == Region.SCALP, Label.HAIR),
        (region == Region.NECK, Label.NECK),
        ((region == Region.EAR) & left, Label.LEFT_EAR),
        ((region == Region.EAR) & ~left, Label.RIGHT_EAR),
        (((region == Region.EYEBALL) | (region == Region.EYE_SOCKET)) & left, Label.LEFT_EYE),
        (((region == Region.EYEBALL) | (region == Region.EYE_SOCKET)) & ~left, Label.RIGHT_EYE),
        ((region == Region.MOUTH) | (region == Region.TEETH), Label.INNER_MOUTH),
        ((region == Region.LIPS) & _among(to_lips, landmarks.UPPER_LIP), Label.UPPER_LIP),
        ((region == Region.LIPS) & ~_among(to_lips, landmarks.UPPER_LIP), Label.LOWER_LIP),
    ):
        label[inside] = code
    return label


def _among(values: Tensor, chosen: Sequence[int]) -> Tensor:
    """bool, of the shape of `values`: which numbers of landmarks are among the chosen."""
    return torch.isin(values, torch.tensor(chosen))


def _voted(mask: Tensor, radius: int = _MAJORITY) -> Tensor:
    """[H, W] share of a mask [H, W] around every pixel."""
    return avg_pool2d(mask[None, None], 2 * radius + 1, 1, radius, count_include_pad=False)[0, 0]
