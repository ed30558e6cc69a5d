"""Frames of rare poses and expressions are seen more often."""

import torch

from rgb_core.fitting.order import FrameOrder
from rgb_core.heads import Pose
from rgb_core.training.rarity import frame_shares

CPU = torch.device("cpu")


def clip(turned: int) -> Pose:
    """Sixty frames that look ahead and smile little, of which the last `turned` look aside and smile."""
    generator = torch.Generator().manual_seed(0)
    noise = 0.01 * torch.randn(60, 5, generator=generator)
    far = (torch.arange(60) >= 60 - turned).float()
    joints = torch.zeros(60, 2, 3)
    joints[:, 1] = noise[:, :3] + 0.5 * far[:, None] * torch.linspace(0, 1, 60)[:, None]
    return Pose(noise[:, 3:].abs() + far[:, None] * torch.linspace(0, 1, 60)[:, None], joints, torch.zeros(60, 3))


def test_rare_frames_are_seen_more_often_and_no_frame_is_lost():
    shares = frame_shares(clip(6), 0.5)
    assert torch.isclose(shares.mean(), torch.ones((), dtype=torch.float64))
    assert shares[54:].min() > shares[:54].max()
    assert shares.min() > 0.3
    order = FrameOrder(60, 1, 60 * 40, 0, CPU, shares)
    times = torch.bincount(torch.tensor([order.numbers(step)[0] for step in range(60 * 40)]), minlength=60) / 40
    assert (times - shares).abs().max() < 0.25


def test_a_larger_power_flattens_further_and_none_sees_all_alike():
    rare = [float(frame_shares(clip(6), power)[54:].mean()) for power in (0.0, 0.5, 1.0)]
    assert rare == sorted(rare)
    assert rare[0] == 1.0


def test_a_clip_that_rests_has_no_rare_frames():
    still = Pose(torch.zeros(5, 2), torch.zeros(5, 1, 3), torch.zeros(5, 3))
    assert frame_shares(still, 1.0).tolist() == [1.0] * 5


def test_even_shares_show_every_frame_once_a_pass():
    order = FrameOrder(12, 1, 36, 3, CPU, torch.ones(12))
    for first in (0, 12, 24):
        assert sorted(order.numbers(step)[0] for step in range(first, first + 12)) == list(range(12))
