"""Where the neck ends and clothes begin: learnt from the whole clip, then found in every frame.

Skin is known from the face, clothes from what lies far below it. Between the two, on the neck, a collar can be
anywhere: pixels that are surely one or the other teach both mixtures of colours the shades that they have there.
"""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from scipy.ndimage import binary_opening, label
from torch import Tensor
from torch.nn.functional import avg_pool2d

from .colours import LEAST_SAMPLES, Mixture, mixture, typical

_SKINS, _CLOTHS = 6, 8  # colours of either: lit and shaded skin; jacket, shirt, tie, and their folds
_SHADES = (1.0, 0.8, 0.6, 0.45)  # of the face's sRGB: what the chin's shade may make of it on the neck
_SURE = 3.0  # log odds from which a pixel between face and clothes teaches
_ROUNDS = 2  # of learning from such pixels
_BOUND = 8.0  # log odds; no single pixel says more
_SMOOTH = 1  # pixels around one over which odds are averaged: the line is sharper than a speck is large
_THIN = 2  # pixels; half the width of a strip of skin that is none: an edge mixed with the background
_HOLE = 0.02  # of the neck's area; smaller ones are beads and shadows, larger ones clothes
_FAR = 12.0  # squared deviations: what lies deep but is nearer to the face's colours is bare skin


class Band(NamedTuple):
    """What is known of a frame before its collar is."""

    colours: Tensor
    """float32 [H, W, 3] sRGB."""
    skin: Tensor
    """[H, W] bool: on the face."""
    deep: Tensor
    """[H, W] bool: the person, far below the chin."""
    open: Tensor
    """[H, W] bool: the person between the two, where skin or cloth may be."""


class Collar(NamedTuple):
    """The colours of a clip's skin and clothes."""

    skin: Mixture
    cloth: Mixture

    def odds(self, colours: Tensor) -> Tensor:
        """[...] log odds of cloth against skin of colours [..., 3]."""
        return (self.cloth.log_density(colours) - self.skin.log_density(colours)).clamp(-_BOUND, _BOUND)

    def bare(self, band: Band, inclined: Tensor) -> Tensor:
        """bool [H, W]: the open pixels that show the neck, which hangs together with the face.

        Args:
            inclined: [H, W] log odds for cloth known from elsewhere.
        """
        odds = torch.zeros_like(inclined)
        odds[band.open] = self.odds(band.colours[band.open]) + inclined[band.open]
        weight = _blurred(band.open.float()).clamp_min(1e-6)
        bare = band.open & (_blurred(odds) / weight < 0)
        return _joined(bare, band.skin) & band.open


def learn_collar(bands: Sequence[Band]) -> Collar | None:
    """The colours of frames spread over a clip; None where skin or clothes are hardly seen."""
    face = torch.cat([band.colours[band.skin] for band in bands])
    deep = torch.cat([band.colours[band.deep] for band in bands])
    if len(face) < LEAST_SAMPLES:
        return None
    face = typical(face)
    skin = mixture(face, _SKINS)
    if skin is None:
        return None
    clothed = torch.stack([member.distance(deep) for member in skin.members]).amin(0) > _FAR
    cloth = mixture(deep[clothed], _CLOTHS)
    if cloth is None:
        return None
    face = torch.cat([shade * face for shade in _SHADES])
    learnt = Collar(mixture(face, _SKINS) or skin, cloth)
    for _ in range(_ROUNDS):
        bare, covered = [face], [deep[clothed]]
        for band in bands:
            odds, near = learnt.odds(band.colours), learnt.bare(band, torch.zeros_like(band.colours[..., 0]))
            bare.append(band.colours[near & (odds < -_SURE)])
            covered.append(band.colours[band.open & ~near & (odds > _SURE)])
        skins, cloths = mixture(torch.cat(bare), _SKINS), mixture(torch.cat(covered), _CLOTHS)
        learnt = Collar(skins or learnt.skin, cloths or learnt.cloth)
    return learnt


def _joined(bare: Tensor, face: Tensor) -> Tensor:
    """The parts of a mask that hang together with the face, without thin strips and small holes."""
    thick = binary_opening((bare | face).numpy(), iterations=_THIN)
    pieces = torch.from_numpy(label(thick)[0])
    touching = pieces[face].unique()
    joined = torch.isin(pieces, touching[touching > 0])
    holes = torch.from_numpy(label(~joined.numpy())[0])
    small = (holes.flatten().bincount() < _HOLE * int(joined.sum())).nonzero()[:, 0]
    return joined | torch.isin(holes, small[small > 0])


def _blurred(values: Tensor) -> Tensor:
    side = 2 * _SMOOTH + 1
    return avg_pool2d(values[None, None], side, 1, _SMOOTH, count_include_pad=False)[0, 0]
