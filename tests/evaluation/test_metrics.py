"""Picture scores against their definitions in numpy, and the alignment against factors that are known."""

import numpy as np
import pytest
import torch

from rgb_core.evaluation.alignment import AlignedSet
from rgb_core.evaluation.metrics import PERFECT_PSNR, mean_scores, psnr, quantize, score_image
from rgb_core.images import linear_to_rgba, rgba_to_linear


def _random(*shape, seed=0):
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed))


@pytest.fixture
def pair():
    """Prediction and truth in 8-bit steps, and a matte."""
    matte = (_random(20, 30, seed=3) * 256).to(torch.uint8)
    return quantize(_random(20, 30, 3, seed=1)), quantize(_random(20, 30, 3, seed=2)), matte


def test_scores_follow_their_definitions(pair):
    prediction, truth, matte = (value.double().numpy() for value in pair)
    scores = score_image(*pair)
    squared = (prediction - truth) ** 2
    expected = {
        "psnr": 10 * np.log10(1 / squared.mean()),
        "psnr_channel_mean": np.mean([10 * np.log10(1 / squared[..., c].mean()) for c in range(3)]),
        "psnr_head": 10 * np.log10(1 / squared[matte / 255 > 0.5].mean()),
        "mae": np.abs(prediction - truth).mean(),
    }
    for name, value in expected.items():
        assert getattr(scores, name) == pytest.approx(value, rel=1e-9), name


def test_a_uniform_error_of_a_tenth_is_twenty_decibels():
    assert psnr(torch.full((4, 4, 3), 0.6, dtype=torch.float64), torch.full((4, 4, 3), 0.5)) == pytest.approx(20.0)


def test_equal_pictures_score_the_cap(pair):
    scores = score_image(pair[0], pair[0], pair[2])
    assert scores.psnr == scores.psnr_channel_mean == scores.psnr_head == PERFECT_PSNR
    assert scores.ssim == pytest.approx(1.0, abs=1e-12)
    assert scores.mae == 0


def test_rounding_is_to_the_nearest_byte_after_clamping():
    values = torch.tensor([-0.5, 0.0, 0.4 / 255, 0.6 / 255, 0.5, 1.0, 7.0])
    torch.testing.assert_close(quantize(values) * 255, torch.tensor([0.0, 0, 0, 1, 128, 255, 255]))


def test_frames_average_after_the_logarithm(pair):
    first, second = score_image(*pair), score_image(pair[0], pair[0], pair[2])
    assert mean_scores([first, second])["psnr"] == pytest.approx((first.psnr + PERFECT_PSNR) / 2)


def _scene(seed):
    """A linear premultiplied picture whose truth, rounded to bytes, is free of clipping."""
    rgba = torch.cat([0.02 + 0.8 * _random(16, 16, 3, seed=seed), torch.ones(16, 16, 1)], -1)
    truth = linear_to_rgba(rgba)
    return rgba_to_linear(truth), truth


def test_a_known_scale_is_recovered_and_undone():
    gain = torch.tensor([0.5, 1.25, 3.0])
    frames = AlignedSet()
    for seed in (0, 1):
        linear, truth = _scene(seed)
        frames.add(linear[..., :3] * gain, linear[..., 3], truth)
    torch.testing.assert_close(frames.scale, 1 / gain, rtol=1e-6, atol=0)  # float32 products summed in float64
    assert frames.psnr_aligned() == PERFECT_PSNR
    assert frames.ssim_aligned() == pytest.approx(1.0, abs=1e-12)
    assert frames.psnr() < 20


def test_the_scale_is_the_least_squares_solution():
    frames = AlignedSet()
    rows = []
    for seed in (0, 1):
        linear, truth = _scene(seed)
        color = _random(16, 16, 3, seed=seed + 10)
        frames.add(color, linear[..., 3], truth)
        rows.append((color.reshape(-1, 3), linear[..., :3].reshape(-1, 3)))
    predicted, true = (torch.cat(part).double().numpy() for part in zip(*rows, strict=True))
    for channel in range(3):
        expected = np.linalg.lstsq(predicted[:, channel : channel + 1], true[:, channel], rcond=None)[0][0]
        assert frames.scale[channel].item() == pytest.approx(expected, rel=1e-6)


def test_clipped_and_transparent_truth_does_not_pull_the_scale():
    linear, truth = _scene(4)
    color = linear[..., :3] * 2
    truth[:4, :, 0] = 255  # clipped in one channel: the pixel is left out of all
    truth[4:8, :, 3] = 127  # alpha of 0.498
    frames = AlignedSet()
    frames.add(color, linear[..., 3], truth)
    torch.testing.assert_close(frames.scale, torch.full((3,), 0.5), rtol=1e-6, atol=0)


def test_a_black_prediction_keeps_the_scale_at_one():
    linear, truth = _scene(5)
    frames = AlignedSet()
    frames.add(torch.zeros(16, 16, 3), linear[..., 3], truth)
    assert frames.scale.tolist() == [1.0, 1.0, 1.0]
