"""How bright and of which colour the skin is beside the white of the eyes, which is nearly the same in everybody."""

import math
from collections.abc import Sequence

import torch
from torch.nn.functional import max_pool2d

from ..data import Dataset, Frame
from ..images import srgb_to_linear
from ..images.compositing import truth_on_black
from ..scene.labels import Label

_FRAMES = 32
_EYES = Label.LEFT_EYE, Label.RIGHT_EYE
# The sclera's mean albedo, and what a wet eye and skin reflect besides as gloss, in units of albedo.
_WHITE, _GLOSS = 0.62, 0.035
_FEWEST_EYE_PIXELS, _FEWEST_SKIN_PIXELS = 40, 20  # of a smaller eye hardly a pixel is white
_WHITE_RANKS = 0.8, 0.95  # of an eye's pixels by brightness: above iris and shadow of the lid, below catchlights
_VIEW_RANKS = 0.6, 0.9  # of the views by the white's brightness: lids shade the white more often than the skin
_FEWEST_VIEWS = 4
_DARKEST, _BLACK = 0.01, 1e-4  # of an albedo, of a colour


def skin_beside_whites(dataset: Dataset, frames: Sequence[Frame]) -> torch.Tensor | None:
    """[3] albedo of the skin around the eyes, linear; None where labels show too few eyes.

    An eye and the skin around it lie in much the same light, so that (skin + gloss) / (white + gloss) is the ratio of
    what the pictures show. Pictures are read in their own size: of a small eye's white little is left in a smaller one.
    """
    chosen = torch.linspace(0, len(frames) - 1, min(_FRAMES, len(frames))).round().int().tolist()
    ratios = [ratio for index in chosen for ratio in _ratios(dataset, frames[index])]
    if len(ratios) < _FEWEST_VIEWS:
        return None
    ranked = torch.stack(sorted(ratios, key=lambda ratio: float(ratio.sum())))
    first, last = (int(share * (len(ranked) - 1)) for share in _VIEW_RANKS)
    ratio = ranked[first : last + 1].mean(0).exp()
    return ((_WHITE + _GLOSS) / ratio - _GLOSS).clamp(_DARKEST, 1)


def _ratios(dataset: Dataset, frame: Frame) -> list[torch.Tensor]:
    """[3] log of white over skin of every eye that the frame shows."""
    labels = dataset.semantic(frame)
    if labels is None:
        return []
    colour = srgb_to_linear(truth_on_black(dataset.load_rgba(frame)))
    ratios = (white_over_skin(colour, labels, eye) for eye in _EYES)
    return [ratio.log() for ratio in ratios if ratio is not None]


def white_over_skin(colour: torch.Tensor, labels: torch.Tensor, eye: Label) -> torch.Tensor | None:
    """[3] colour of an eye's white divided by that of the skin within its own width around it.

    Args:
        colour: [H, W, 3] linear.
        labels: [H, W] codes of `Label`.

    Returns:
        None where the eye or skin beside it has too few pixels.
    """
    here = labels == eye
    if int(here.sum()) < _FEWEST_EYE_PIXELS:
        return None
    rows, columns = here.nonzero().unbind(1)
    reach = int(columns.max() - columns.min()) + 1
    around = slice(max(int(rows.min()) - reach, 0), int(rows.max()) + reach)
    across = slice(max(int(columns.min()) - reach, 0), int(columns.max()) + reach)
    here, colour, labels = here[around, across], colour[around, across], labels[around, across]
    edge = max_pool2d(here[None, None].float(), 5, 1, 2)[0, 0] > 0
    skin = colour[(labels == Label.SKIN) & ~edge]
    if len(skin) < _FEWEST_SKIN_PIXELS:
        return None
    whole = colour[here]
    ranked = whole[whole.mean(1).argsort()]
    first, last = math.floor(_WHITE_RANKS[0] * len(ranked)), math.ceil(_WHITE_RANKS[1] * len(ranked))
    white, dark = ranked[first:last].mean(0), skin.median(0).values
    return white.clamp_min(_BLACK) / dark.clamp_min(_BLACK)
