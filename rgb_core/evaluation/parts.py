"""Scores of one part of the head at a time, so that a good face cannot hide bad eyes."""

import math

from torch import Tensor

from ..images.ssim import ssim_map
from ..scene.labels import BARE_SKIN, Label, has_label
from .metrics import PERFECT_PSNR

PARTS = {
    "face": (
        *(Label.SKIN, Label.NOSE, Label.UPPER_LIP, Label.LOWER_LIP, Label.INNER_MOUTH),
        *(Label.LEFT_BROW, Label.RIGHT_BROW, Label.LEFT_EYE, Label.RIGHT_EYE),
    ),
    "neck": (Label.NECK,),
    "skin": BARE_SKIN,
    "hair": (Label.HAIR,),
    "eyes": (Label.LEFT_EYE, Label.RIGHT_EYE),
    "mouth": (Label.INNER_MOUTH,),
}


class PartErrors:
    """Squared errors and SSIM of pictures, pooled by part over the pixels of all frames: parts are small, and some
    frames lack them."""

    def __init__(self) -> None:
        self._sums = dict.fromkeys(PARTS, 0.0)
        self._likeness = dict.fromkeys(PARTS, 0.0)
        self._counts = dict.fromkeys(PARTS, 0)

    def add(self, prediction: Tensor, truth: Tensor, labels: Tensor | None) -> None:
        """Take in two pictures [H, W, 3] in 0 to 1 and the labels [H, W] of their pixels."""
        if labels is None:
            return
        error = (prediction.double() - truth.double()).square()
        likeness = ssim_map(prediction, truth).double()
        for part, wanted in PARTS.items():
            where = has_label(labels, wanted)
            self._sums[part] += float(error[where].sum())
            self._likeness[part] += float(likeness[where].sum())
            self._counts[part] += 3 * int(where.sum())

    def scores(self) -> dict[str, float | None]:
        """PSNR in dB by part; None for a part without pixels."""
        return {part: self._psnr(self._sums[part], count) for part, count in self._counts.items()}

    def ssim(self) -> dict[str, float | None]:
        """Mean SSIM by part; None for a part without pixels."""
        return {part: self._likeness[part] / count if count else None for part, count in self._counts.items()}

    @staticmethod
    def _psnr(total: float, count: int) -> float | None:
        if count == 0:
            return None
        return min(PERFECT_PSNR, -10 * math.log10(total / count)) if total > 0 else PERFECT_PSNR
