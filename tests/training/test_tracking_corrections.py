"""Corrections of the tracking: rigid motions in the head's axes, of which only differences between frames count."""

from types import SimpleNamespace

import pytest
import torch

from rgb_core.avatar import PosedGaussians
from rgb_core.rotations import axis_angle_to_matrix, quaternion_to_matrix
from rgb_core.training.corrections import TrackingCorrections

CENTRE = torch.tensor([0.0, 0.02, 0.01])
ROOT = torch.eye(4)
ROOT[:3, :3] = axis_angle_to_matrix(torch.tensor([0.3, -0.8, 0.1]))
ROOT[:3, 3] = torch.tensor([0.1, 0.2, -0.9])


def gaussians() -> PosedGaussians:
    generator = torch.Generator().manual_seed(0)
    means = 0.1 * torch.randn(20, 3, generator=generator) @ ROOT[:3, :3].T + ROOT[:3, 3]
    rotations = torch.nn.functional.normalize(torch.randn(20, 4, generator=generator), dim=1)
    return PosedGaussians(means, rotations, *(torch.zeros(20, width) for width in (3, 1, 3, 1, 3)))


def inputs(index: int) -> SimpleNamespace:
    return SimpleNamespace(index=torch.tensor([index]), transforms=ROOT[None])


def test_a_correction_is_a_rigid_motion_about_the_head():
    """Frames 0 and 1 are turned and shifted against each other; to first order, and the turns are small."""
    raw = torch.zeros(2, 6)
    raw[0], raw[1] = torch.tensor([0.4, -0.2, 0.3, 0.5, -0.7, 0.2]), -torch.tensor([0.4, -0.2, 0.3, 0.5, -0.7, 0.2])
    before, corrections = gaussians(), TrackingCorrections(raw, CENTRE)
    after = corrections.apply(before, inputs(0))
    turn, shift = axis_angle_to_matrix(0.01 * raw[0, :3]), 1e-3 * raw[0, 3:]
    local = (before.means - ROOT[:3, 3]) @ ROOT[:3, :3]
    wanted = ((local - CENTRE) @ turn.T + CENTRE + shift) @ ROOT[:3, :3].T + ROOT[:3, 3]
    torch.testing.assert_close(after.means, wanted, atol=5e-6, rtol=0)  # metres: the second order of 5 milliradians
    world_turn = ROOT[:3, :3] @ turn @ ROOT[:3, :3].T
    torch.testing.assert_close(
        quaternion_to_matrix(after.rotations), world_turn @ quaternion_to_matrix(before.rotations), atol=2e-5, rtol=0
    )
    torch.testing.assert_close(after.rotations.norm(dim=1), torch.ones(20))


def test_what_all_frames_share_is_no_correction():
    before = gaussians()
    after = TrackingCorrections(torch.ones(3, 6), CENTRE).apply(before, inputs(1))
    torch.testing.assert_close(after.means, before.means, atol=1e-7, rtol=0)
    torch.testing.assert_close(after.rotations, before.rotations, atol=1e-7, rtol=0)


def test_a_shifted_frame_finds_its_way_back():
    """The gradient by the corrections leads from a shifted frame to the others, which stay."""
    raw = torch.zeros(4, 6, requires_grad=True)
    true = gaussians().means + 1e-3 * (ROOT[:3, :3] @ torch.tensor([1.0, 0.0, -0.5]))
    optimiser = torch.optim.Adam([raw], lr=0.05)
    for _ in range(150):
        optimiser.zero_grad()
        corrections = TrackingCorrections(raw, CENTRE)
        errors = [
            (corrections.apply(gaussians(), inputs(i)).means - (true if i == 2 else gaussians().means))
            for i in range(4)
        ]
        torch.stack(errors).mul(1e3).square().mean().backward()
        optimiser.step()
    found = (raw - raw.mean(0))[2].detach()
    assert found[3:].tolist() == pytest.approx([0.75, 0.0, -0.375], abs=0.02)  # three quarters: the mean stays
