"""One RGB factor between prediction and truth: a clip cannot tell a bright light from a bright albedo."""

import torch
from torch import Tensor

from ..images import rgba_to_linear
from ..images.compositing import prediction_on_black, truth_on_black
from .metrics import MATTE_THRESHOLD, psnr, quantize, structural_similarity
from .parts import PartErrors

_WHITE = 255  # a stored value that may have been clipped


class AlignedSet:
    """Predictions under one light and their truth, scored raw and under the one factor that fits them all best.

    The factor of a channel is sum(t p) / sum(p^2) in linear light on black, over the pixels with true alpha above 0.5
    and truth below 255 in every channel; it multiplies the unrounded, unclamped prediction before the sRGB curve.
    """

    def __init__(self) -> None:
        self._frames: list[tuple[Tensor, Tensor, Tensor]] = []
        self._shadows: dict[int, Tensor] = {}
        self._labels: list[Tensor | None] = []
        self._products = torch.zeros(3, dtype=torch.float64)
        self._squares = torch.zeros(3, dtype=torch.float64)

    def __len__(self) -> int:
        return len(self._frames)

    def add(
        self,
        color: Tensor,
        alpha: Tensor,
        truth: Tensor,
        shadow: Tensor | None = None,
        labels: Tensor | None = None,
    ) -> None:
        """Take in one frame.

        Args:
            color: [H, W, 3] linear, premultiplied.
            alpha: [H, W].
            truth: uint8 [H, W, 4] sRGB, straight alpha.
            shadow: bool [H, W] pixels in the cast shadow of the main light, where there is one.
            labels: uint8 [H, W] what the pixels show, where that is known.
        """
        usable = (truth[..., 3] > MATTE_THRESHOLD) & (truth[..., :3] < _WHITE).all(-1)
        predicted = color[usable].double()
        true = rgba_to_linear(truth)[..., :3][usable].double()
        self._products += (predicted * true).sum(0)
        self._squares += predicted.square().sum(0)
        if shadow is not None and shadow.any():
            self._shadows[len(self)] = shadow
        self._frames.append((color, alpha, truth))
        self._labels.append(labels)

    @property
    def scale(self) -> Tensor:
        """[3] the least-squares factors; 1 where the prediction is black."""
        return torch.where(self._squares > 0, self._products / self._squares, 1.0).float()

    def truth(self, index: int) -> Tensor:
        """[H, W, 3] the true picture of a frame, in 8-bit steps."""
        return quantize(truth_on_black(self._frames[index][2]))

    def raw(self, index: int) -> Tensor:
        """[H, W, 3] the predicted picture of a frame as rendered, in 8-bit steps."""
        color, alpha, _ = self._frames[index]
        return quantize(prediction_on_black(color, alpha))

    def aligned(self, index: int) -> Tensor:
        """[H, W, 3] the predicted picture of a frame under the common factor, in 8-bit steps."""
        color, alpha, _ = self._frames[index]
        return quantize(prediction_on_black(color * self.scale, alpha))

    def psnr(self) -> float:
        """Mean over frames of the unaligned PSNR, dB."""
        return _mean([psnr(self.raw(index), self.truth(index)) for index in range(len(self))])

    def psnr_aligned(self) -> float:
        """Mean over frames of the PSNR under the common factor, dB."""
        return _mean([psnr(self.aligned(index), self.truth(index)) for index in range(len(self))])

    def psnr_cast_shadow(self) -> float | None:
        """Mean over frames of the PSNR under the common factor over the pixels in cast shadow; None without any."""
        if not self._shadows:
            return None
        scores = [psnr(self.aligned(i)[where], self.truth(i)[where]) for i, where in self._shadows.items()]
        return _mean(scores)

    def add_parts(self, errors: PartErrors) -> None:
        """Add the errors of all frames under the common factor to those of the parts of the head."""
        for index, labels in enumerate(self._labels):
            errors.add(self.aligned(index), self.truth(index), labels)

    def ssim_aligned(self) -> float:
        """Mean over frames of the SSIM under the common factor."""
        return _mean([structural_similarity(self.aligned(index), self.truth(index)) for index in range(len(self))])


def _mean(values: list[float]) -> float:
    return sum(values) / len(values)
