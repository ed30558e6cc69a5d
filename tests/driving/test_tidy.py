"""The face at rest, noise and ranges, each on a motion whose right outcome is known."""

from dataclasses import replace

import pytest
import torch

from rgb_core.avatar import Avatar
from rgb_core.avatar.trained_range import TrainedRange, rest_of
from rgb_core.driving.tidy import Tidying, tidy
from rgb_core.heads import Motion, Pose
from rgb_core.heads.pose import skull_rotation
from rgb_core.progress import Silent

from .conftest import Told

NOTHING = Tidying(neutral=False, smooth=0.0, clamp=False)


def moving(avatar: Avatar, frames: int = 100, **tracks: torch.Tensor) -> Motion:
    """A motion of the named expressions; everything else rests."""
    head = avatar.head
    expression = torch.zeros(frames, len(head.expression_names))
    for name, values in tracks.items():
        expression[:, head.expression_index(name)] = values
    return Motion("m", Pose(expression, torch.zeros(frames, head.joint_count, 3), torch.zeros(frames, 3)), 25.0)


def track(avatar: Avatar, motion: Motion, name: str) -> torch.Tensor:
    return motion.poses.expression[:, avatar.head.expression_index(name)]


def test_nothing_asked_is_nothing_done(avatar: Avatar):
    motion = moving(avatar, jawOpen=torch.linspace(-1, 3, 100))
    for before, after in zip(motion.poses.tensors, tidy(motion, avatar, NOTHING, Silent()).poses.tensors, strict=True):
        assert torch.equal(before, after)


def test_the_rest_of_the_performer_becomes_that_of_the_avatar(avatar: Avatar):
    """A frown that a tracker always sees goes; a smile that is held all along, and the gaze, stay."""
    wave = 0.5 - 0.5 * torch.linspace(0, 20, 100).cos()
    source = moving(
        avatar, browDownLeft=0.2 + 0.3 * wave, mouthSmileLeft=0.7 + 0.1 * wave, eyeLookUpLeft=0.2 + 0 * wave
    )
    assert avatar.trained is not None
    rest = avatar.trained.rest.clone()
    rest[avatar.head.expression_index("browDownLeft")] = 0.05
    own = replace(avatar, trained=replace(avatar.trained, rest=rest))
    tidied = tidy(source, own, replace(NOTHING, neutral=True), Silent())
    torch.testing.assert_close(track(avatar, tidied, "browDownLeft"), 0.05 + 0.3 * wave, atol=0.01, rtol=0)
    for name in ("mouthSmileLeft", "eyeLookUpLeft"):
        assert torch.equal(track(avatar, tidied, name), track(avatar, source, name))


def test_a_clip_of_its_own_drives_an_avatar_as_it_was_tracked(avatar: Avatar):
    """Whatever the tracker took for rest, both have it."""
    source = moving(avatar, jawOpen=0.1 + 0.3 * torch.linspace(0, 9, 100).sin().square())
    own = replace(avatar, trained=TrainedRange.of(source.poses, avatar.head.expression_names))
    tidied = tidy(source, own, Tidying(smooth=0.0), Silent())
    torch.testing.assert_close(tidied.poses.expression, source.poses.expression)


def test_smoothing_takes_noise_and_leaves_blinks_where_they_are(avatar: Avatar):
    time = torch.arange(100.0)
    noise = 0.01 * torch.randn(100, generator=torch.Generator().manual_seed(0))
    clean, blink = 0.3 + 0.2 * (time / 8).sin(), ((time > 47) & (time < 52)).float()
    source = moving(avatar, jawOpen=clean + noise, eyeBlinkLeft=blink)
    tidied = tidy(source, avatar, replace(NOTHING, smooth=1.0), Silent())
    left = track(avatar, tidied, "jawOpen") - clean
    assert float(left.std()) < 0.65 * float(noise.std())
    lids = track(avatar, tidied, "eyeBlinkLeft")
    assert float((lids - blink).abs().max()) < 0.05
    torch.testing.assert_close(lids, lids.flip(0), atol=1e-6, rtol=0)  # the same to both sides: no delay


def test_rotations_are_smoothed_across_half_a_turn(avatar: Avatar):
    """Axis-angle vectors jump there; the rotation does not."""
    angle = torch.linspace(3.0, 3.3, 100)
    joints = torch.zeros(100, avatar.head.joint_count, 3)
    joints[:, 0, 1] = torch.where(angle > torch.pi, angle - 2 * torch.pi, angle)
    source = Motion("m", replace(moving(avatar).poses, joints=joints), 25.0)
    turned = tidy(source, avatar, replace(NOTHING, smooth=2.0), Silent()).poses.joints[:, 0, 1]
    torch.testing.assert_close((turned % (2 * torch.pi))[10:-10], angle[10:-10], atol=1e-4, rtol=0)


def test_expressions_stay_in_the_range_that_was_seen(avatar: Avatar):
    told = Told()
    source = moving(avatar, jawOpen=torch.linspace(-0.5, 1.4, 100), mouthPucker=torch.full((100,), 0.5))
    tidied = tidy(source, avatar, replace(NOTHING, clamp=True), told)
    jaw = track(avatar, tidied, "jawOpen")
    assert (float(jaw.min()), float(jaw.max())) == pytest.approx((0.0, 0.9))
    assert torch.equal(track(avatar, tidied, "mouthPucker"), track(avatar, source, "mouthPucker"))
    assert len(told.messages) == 1
    assert told.messages[0].startswith("jawOpen (to")


def test_the_root_turns_for_a_neck_that_never_did(avatar: Avatar):
    """The skull looks where it did, and the neck's joint stays where it was."""
    head = avatar.head
    joints = 0.3 * torch.randn(5, head.joint_count, 3, generator=torch.Generator().manual_seed(2))
    source = Motion("m", replace(moving(avatar, 5).poses, joints=joints), 25.0)
    pose = tidy(source, avatar, replace(NOTHING, clamp=True), Silent()).poses
    assert float(pose.joints[:, 1:].abs().max()) < 1e-6
    torch.testing.assert_close(
        skull_rotation(pose.joints, head.joint_names), skull_rotation(joints, head.joint_names), atol=1e-5, rtol=0
    )
    neck = head.joint_names.index("neck")
    places = [
        (head.pose(each).transforms[:, neck] @ torch.cat([head.joint_positions[neck], torch.ones(1)]))[:, :3]
        for each in (source.poses, pose)
    ]
    torch.testing.assert_close(*places, atol=1e-5, rtol=0)


def test_an_avatar_that_does_not_say_is_held_between_0_and_1(avatar: Avatar):
    told = Told()
    source = moving(avatar, jawOpen=torch.linspace(-0.5, 1.4, 100))
    jaw = track(avatar, tidy(source, replace(avatar, trained=None), Tidying(), told), "jawOpen")
    assert (float(jaw.min()), float(jaw.max())) == pytest.approx((0.0, 1.0))
    assert "does not say which range" in told.messages[0]


def test_rest_is_0_where_an_expression_lets_go():
    rows = torch.tensor([[0.0, 0.3, -0.4], [0.5, 0.6, -0.2], [1.0, 0.2, 0.3]]).repeat(40, 1)
    assert rest_of(rows, ("a", "b", "c")).tolist() == pytest.approx([0.0, 0.2, 0.0])
