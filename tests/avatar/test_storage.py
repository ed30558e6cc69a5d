"""The avatar folder: what compact tables keep, what they leave out, and the version before them."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
import yaml

from rgb_core.avatar import Avatar, load_avatar, save_avatar
from rgb_core.avatar.deformation import expression_field
from rgb_core.avatar.portrait import Portrait
from rgb_core.avatar.storage import DESCRIPTION, TENSORS, avatar_tensors
from rgb_core.errors import InputError
from rgb_core.heads import HeadModel, Pose
from rgb_core.rendering import Renderer
from rgb_core.scene import Camera, Light
from rgb_core.tensor_files import write_tensors
from rgb_core.training import GaussianConfig
from rgb_core.training.initialise import initial_avatar


@pytest.fixture
def avatar(patch: HeadModel) -> Avatar:
    """Gaussians of many colours on the patch, with learned changes of every pair."""
    facing = torch.tensor([[1.0, 0, 0, 0], [0, -1, 0, 0], [0, 0, -1, 0.8]])
    camera = Camera((800.0, 800.0, 32.0, 32.0), facing, 64, 64)
    portrait = Portrait(camera, torch.zeros(1, 3), torch.zeros(3))
    made = initial_avatar("patch", patch, expression_field(patch), portrait, GaussianConfig(gaussians=400), seed=0)
    generator = torch.Generator().manual_seed(0)
    made.light = Light(torch.rand(made.light.radiance.shape, generator=generator))
    made.neutral["albedo"] += torch.randn(made.neutral["albedo"].shape, generator=generator)
    return replace(made, deltas=0.05 * torch.randn(made.deltas.shape, generator=generator))


def test_pictures_are_those_of_the_numbers_in_full(avatar: Avatar, tmp_path: Path):
    save_avatar(avatar, tmp_path, {})
    pose = Pose(torch.tensor([0.9, -0.7]), torch.zeros(1, 3), torch.zeros(3))
    full, stored = (
        Renderer(which).render(pose, avatar.portrait.camera).color for which in (avatar, load_avatar(tmp_path))
    )
    assert full.max() > 0.1, "the picture is not empty"
    # One of 255 levels; two Gaussians of equal depth, which may change places, would exceed it, but the scene has none.
    assert (full - stored).abs().max() < 1 / 255


def test_tables_are_kept_to_half_a_step_of_their_expression(avatar: Avatar, tmp_path: Path):
    save_avatar(avatar, tmp_path, {})
    stored = load_avatar(tmp_path)
    assert torch.equal(stored.expressions.expression, avatar.expressions.expression)
    assert all(torch.equal(stored.neutral[name], value) for name, value in avatar.neutral.items())
    share = avatar.expressions.consistency
    torch.testing.assert_close(stored.expressions.consistency, share, atol=0.5001 / 255, rtol=0)
    for k in range(2):
        rows = avatar.expressions.expression == k
        initial = avatar.expressions.initial[rows]
        half_a_step = 0.5001 * initial.abs().amax(0) / 32767
        assert ((stored.expressions.initial[rows] - initial).abs() <= half_a_step + 1e-9).all()
    learned = stored.expressions.consistency > 0
    assert 0 < learned.sum() < len(learned)
    torch.testing.assert_close(stored.deltas[learned], avatar.deltas[learned], atol=0.3 / 32767, rtol=0)
    assert not stored.deltas[~learned].any(), "what has no share has no effect and is left out"


def test_a_stored_avatar_stored_again_stays_as_it_is(avatar: Avatar, tmp_path: Path):
    save_avatar(avatar, tmp_path / "one", {})
    save_avatar(load_avatar(tmp_path / "one"), tmp_path / "two", {})
    one, two = (avatar_tensors(load_avatar(tmp_path / name)) for name in ("one", "two"))
    for name, value in one.items():
        torch.testing.assert_close(two[name], value, atol=0, rtol=1e-6)


def test_the_version_before_is_read_in_full(avatar: Avatar, tmp_path: Path):
    save_avatar(avatar, tmp_path, {})
    write_tensors(tmp_path / TENSORS, avatar_tensors(avatar))
    description = yaml.safe_load((tmp_path / DESCRIPTION).read_text())
    (tmp_path / DESCRIPTION).write_text(yaml.safe_dump({**description, "version": 3}))
    before = avatar_tensors(load_avatar(tmp_path))
    for name, value in avatar_tensors(avatar).items():
        assert torch.equal(before[name], value), name


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_what_is_not_finite_is_not_read_as_something_else(avatar: Avatar, tmp_path: Path, value: float):
    avatar.expressions.initial[3, 5] = value
    save_avatar(avatar, tmp_path, {})
    with pytest.raises(InputError, match="not finite"):
        load_avatar(tmp_path)
