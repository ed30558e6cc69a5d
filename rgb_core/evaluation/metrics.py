"""Scores of one picture against the truth: PSNR, SSIM and mean absolute error on 8-bit pictures over black."""

import math
from typing import NamedTuple

import torch
from torch import Tensor

from ..images import to_bytes
from ..images.ssim import ssim

PERFECT_PSNR = 100.0  # dB, what identical pictures score: JSON has no infinity
MATTE_THRESHOLD = 127  # bytes of true alpha above which a pixel belongs to the head: alpha > 0.5


class ImageScores(NamedTuple):
    """Scores of one frame; PSNR in dB."""

    psnr: float
    psnr_channel_mean: float
    psnr_head: float
    ssim: float
    mae: float


def quantize(image: Tensor) -> Tensor:
    """Clamp to 0 to 1 and round to the nearest of 255 steps, as storing the picture in 8 bits does."""
    return to_bytes(image).float() / 255


def psnr(prediction: Tensor, truth: Tensor) -> float:
    """10 log10(1 / mean squared error) over every element of two pictures in 0 to 1; PERFECT_PSNR at most."""
    error = (prediction.double() - truth.double()).square().mean().item()
    return min(PERFECT_PSNR, -10 * math.log10(error)) if error > 0 else PERFECT_PSNR


def psnr_channel_mean(prediction: Tensor, truth: Tensor) -> float:
    """The mean of the PSNRs of the channels of [..., C], as papers that score channel by channel report it."""
    channels = zip(prediction.unbind(-1), truth.unbind(-1), strict=True)
    scores = [psnr(*pair) for pair in channels]
    return sum(scores) / len(scores)


def mean_absolute_error(prediction: Tensor, truth: Tensor) -> float:
    """Mean of |prediction - truth| over every element."""
    return (prediction.double() - truth.double()).abs().mean().item()


def structural_similarity(prediction: Tensor, truth: Tensor) -> float:
    """Mean SSIM over the pixels and channels of two pictures [H, W, 3]."""
    return float(ssim(prediction.double(), truth.double()))


def score_image(prediction: Tensor, truth: Tensor, matte: Tensor) -> ImageScores:
    """All scores of one frame.

    Args:
        prediction: [H, W, 3] sRGB on black, in 8-bit steps (`quantize`).
        truth: the same of the true picture.
        matte: uint8 [H, W] true alpha; `psnr_head` pools over its pixels above MATTE_THRESHOLD.
    """
    head = matte > MATTE_THRESHOLD
    return ImageScores(
        psnr=psnr(prediction, truth),
        psnr_channel_mean=psnr_channel_mean(prediction, truth),
        psnr_head=psnr(prediction[head], truth[head]) if head.any() else PERFECT_PSNR,
        ssim=structural_similarity(prediction, truth),
        mae=mean_absolute_error(prediction, truth),
    )


def mean_scores(scores: list[ImageScores]) -> dict[str, float]:
    """The mean over frames of every score, by name."""
    table = torch.tensor(scores, dtype=torch.float64).mean(0).tolist()
    return dict(zip(ImageScores._fields, table, strict=True))
