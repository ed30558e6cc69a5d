"""Jitter of tracked coefficients, the smooth start of noisy ones, and corrections that do not drift."""

import math
from pathlib import Path

import pytest
import torch

from rgb_core.data import Frame
from rgb_core.geometry import GeometryConfig
from rgb_core.geometry.corrections import Tracking
from rgb_core.geometry.jitter import jitter, smoothed
from rgb_core.heads import Pose
from rgb_core.scene import Camera

FRAMES = 120
TIMES = torch.arange(FRAMES)
EXPECTED = 0.25
NATURAL = 0.4


def turning(noise: float, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    """A head turning by 45 degrees in 40 frames, [N,1,3] degrees, true and tracked."""
    true = torch.stack([45 * torch.sin(2 * math.pi * TIMES / 80 + k) for k in range(3)], dim=1)[:, None]
    return true, true + noise * torch.randn(true.shape, generator=torch.Generator().manual_seed(seed))


def test_jitter_is_the_noise_and_not_the_motion():
    _, tracked = turning(noise=3.0)
    # a median of 350 values is within 7 %; three tests of that are not a coincidence
    assert float(jitter(tracked, TIMES, EXPECTED)) == pytest.approx(3.0, rel=0.2)
    true, _ = turning(noise=0)
    assert float(jitter(true, TIMES, EXPECTED)) == pytest.approx(EXPECTED)
    _, usual = turning(noise=EXPECTED)
    assert float(jitter(usual, TIMES, EXPECTED)) == pytest.approx(EXPECTED)


def test_every_joint_has_its_own_jitter():
    true, tracked = turning(noise=3.0)
    both = jitter(torch.cat([true, tracked], dim=1), TIMES, EXPECTED)
    assert both.shape == (2, 1)
    assert float(both[0]) == pytest.approx(EXPECTED)
    assert float(both[1]) > 2


def test_frames_far_apart_say_nothing_about_jitter():
    _, tracked = turning(noise=3.0)
    assert float(jitter(tracked[::7], TIMES[::7], EXPECTED)) == pytest.approx(EXPECTED)
    assert float(jitter(tracked[:3], TIMES[:3], EXPECTED)) == pytest.approx(EXPECTED)


def test_a_noisy_clip_starts_smooth_and_a_usual_one_as_it_is():
    true, tracked = turning(noise=3.0)
    sigma = jitter(tracked, TIMES, EXPECTED)
    corrections = smoothed(tracked, TIMES, sigma, EXPECTED, NATURAL)
    error = (tracked + corrections - true).square().mean().sqrt()
    # the second difference of this motion is 0.28 degrees: about five frames are averaged
    assert float(error) < 0.6 * 3.0
    assert float(corrections.mean(0).abs().max()) < 1e-5
    _, usual = turning(noise=EXPECTED)
    assert not smoothed(usual, TIMES, jitter(usual, TIMES, EXPECTED), EXPECTED, NATURAL).any()


class Clip:
    """As much of `Evidence` as tracking reads."""

    def __init__(self, joints: torch.Tensor):
        camera = Camera((1.0, 1.0, 0.0, 0.0), torch.eye(4)[:3], 1, 1)
        poses = [Pose(torch.zeros(2), each, torch.zeros(3)) for each in joints]
        self.frames = [Frame(str(n), Path(), None, camera, pose) for n, pose in enumerate(poses)]
        self.times = torch.arange(len(joints))
        self.device = torch.device("cpu")


def test_steps_move_the_frames_of_a_batch_and_never_the_clip():
    _, tracked = turning(noise=0.1)
    tracking = Tracking(Clip(torch.deg2rad(tracked)), GeometryConfig())
    rows = torch.tensor([3, 4, 50])
    leaves = tracking.leaves()
    target = torch.ones(FRAMES, 1, 3)
    (leaves["rotation"] - target)[rows].square().sum().backward()
    tracking.step(leaves, 1.0, rows)
    value = tracking.parameters["rotation"].value
    assert float(value.mean(0).abs().max()) < 1e-6
    assert float((value[3] - value[10]).min()) > 0.1
    assert tracking.moved()["tracking_rotation_drift"] < 1e-4
    assert tracking.moved()["tracking_rotation_largest_deg"] > 0.04


def test_roughness_counts_the_neighbourhood_of_a_batch():
    bumped = torch.zeros(FRAMES, 1, 3)
    bumped[60, 0, 1] = math.radians(4)
    tracking = Tracking(Clip(bumped), GeometryConfig())
    leaves = tracking.leaves()
    far, near = (float(tracking.roughness(leaves, torch.tensor([row])).detach()) for row in (50, 60))
    assert far == pytest.approx(0, abs=1e-4)
    # second differences of 10, -20 and 10 units: sqrt(1 + x^2) - 1 each
    assert near == pytest.approx(2 * (math.sqrt(101) - 1) + math.sqrt(401) - 1, rel=1e-4)


def test_a_focal_start_is_the_scale_to_begin_with():
    tracking = Tracking(Clip(torch.zeros(5, 1, 3)), GeometryConfig(), focal_start=1.2)
    assert tracking.focal_scale(tracking.leaves()).item() == pytest.approx(1.2)
