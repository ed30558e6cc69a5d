"""Density control keeps what is learned and respects its limits."""

import pytest
import torch

from rgb_core.avatar import DELTA_WIDTH, Avatar
from rgb_core.avatar.attachment import Attachment
from rgb_core.avatar.deformation import expression_field
from rgb_core.avatar.model import bind_expressions
from rgb_core.avatar.portrait import Portrait
from rgb_core.avatar.sampling import sample_surface
from rgb_core.heads import HeadModel
from rgb_core.scene import Camera, Light
from rgb_core.training.config import DensityControl
from rgb_core.training.density import DensityStatistics, rearrange

SETTINGS = DensityControl(gradient=0.5, split_mm=2.5, min_opacity=0.05, max_gaussians=250)


@pytest.fixture
def avatar(patch: HeadModel) -> Avatar:
    face_id, barycentric = sample_surface(patch.vertices, patch.faces, 200, seed=4)
    attachment = Attachment(face_id, barycentric)
    position = attachment.interpolate(patch.vertices, patch.faces)
    count = len(position)
    pairs = bind_expressions(
        patch, expression_field(patch), attachment, position, torch.tensor([[1.0, 0, 0, 0]]).repeat(count, 1)
    )
    generator = torch.Generator().manual_seed(2)
    return Avatar(
        name="patch",
        head=patch,
        attachment=attachment,
        neutral={
            "position": position,
            "rotation": torch.tensor([[1.0, 0.0, 0.0, 0.0]]).repeat(count, 1),
            "log_scale": torch.full((count, 3), -6.5),
            "opacity": torch.full((count, 1), 1.0),
            "albedo": torch.zeros(count, 3),
            "roughness": torch.zeros(count, 1),
            "specular": torch.zeros(count, 1),
        },
        expressions=pairs,
        deltas=torch.randn(len(pairs.expression), DELTA_WIDTH, generator=generator),
        delta_scale=torch.ones(DELTA_WIDTH),
        light=Light(torch.ones(3, 16, 32)),
        portrait=Portrait(
            Camera((100.0, 100.0, 32.0, 32.0), torch.eye(3, 4), 64, 64), torch.zeros(1, 3), torch.zeros(3)
        ),
    )


def event(avatar: Avatar, gradient: torch.Tensor, multiply: bool = True):
    statistics = DensityStatistics(avatar.count, torch.device("cpu"))
    statistics.add(torch.stack([gradient, torch.zeros_like(gradient)], dim=1), torch.ones(avatar.count))
    return rearrange(avatar, expression_field(avatar.head), statistics, SETTINGS, multiply)


def test_quiet_event_changes_nothing(avatar: Avatar):
    result = event(avatar, torch.zeros(avatar.count))
    assert torch.equal(result.gaussians, torch.arange(avatar.count))
    assert torch.equal(result.avatar.neutral["position"], avatar.neutral["position"])
    assert torch.equal(result.avatar.deltas, avatar.deltas)
    assert torch.equal(result.pairs, torch.arange(len(avatar.deltas)))


def test_transparent_gaussians_go(avatar: Avatar):
    avatar.neutral["opacity"][[3, 7]] = -4.0
    result = event(avatar, torch.zeros(avatar.count))
    assert result.avatar.count == avatar.count - 2
    assert not {3, 7} & set(result.gaussians.tolist())


def test_clones_inherit_their_deltas_without_optimiser_history(avatar: Avatar):
    gradient = torch.zeros(avatar.count)
    gradient[11] = 1.0
    result = event(avatar, gradient)
    assert result.avatar.count == avatar.count + 1
    assert int(result.gaussians[-1]) == -1
    mine = avatar.expressions.gaussian == 11
    copied = result.avatar.expressions.gaussian == avatar.count
    assert torch.equal(result.avatar.deltas[copied], avatar.deltas[mine])
    assert bool((result.pairs[copied] == -1).all())
    seen_through = 1 - torch.sigmoid(result.avatar.neutral["opacity"][[11, -1], 0])
    assert float(seen_through.prod()) == pytest.approx(float(1 - torch.sigmoid(avatar.neutral["opacity"][11, 0])))


def test_large_gaussians_split_along_their_longest_axis(avatar: Avatar):
    avatar.neutral["log_scale"][5] = torch.tensor([0.002, 0.002, 0.003]).log()
    gradient = torch.zeros(avatar.count)
    gradient[5] = 1.0
    result = event(avatar, gradient)
    assert result.avatar.count == avatar.count + 1
    children = result.avatar.neutral
    assert float(children["log_scale"][-1, 2].exp()) == pytest.approx(0.003 / 1.6)
    torch.testing.assert_close(children["log_scale"][-2:, :2], torch.full((2, 2), 0.002).log())
    offset = children["position"][-2:] - avatar.neutral["position"][5]
    torch.testing.assert_close(offset, torch.tensor([[0, 0, 1.0], [0, 0, -1.0]]) * 0.75 * 0.003, atol=1e-7, rtol=0)


def test_cap_takes_the_largest_gradients(avatar: Avatar):
    gradient = torch.linspace(1, 2, avatar.count)
    result = event(avatar, gradient)
    assert result.avatar.count == SETTINGS.max_gaussians
    room = SETTINGS.max_gaussians - avatar.count
    originals = result.avatar.neutral["position"][avatar.count :]
    torch.testing.assert_close(
        originals.sort(0).values, avatar.neutral["position"][-room:].sort(0).values, atol=0, rtol=0
    )


def test_late_events_only_prune(avatar: Avatar):
    assert event(avatar, torch.ones(avatar.count), multiply=False).avatar.count == avatar.count
