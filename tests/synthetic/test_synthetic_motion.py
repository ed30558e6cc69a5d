"""How the synthetic subject moves: limits, smoothness, coverage, tracking noise."""

import math

import numpy as np
import pytest
import torch

from rgb_core.heads import builtin_head
from rgb_core.rotations import axis_angle_to_matrix
from rgb_core.synthetic.motion import (
    EXPRESSION_NOISE,
    PITCH_LIMIT,
    ROLL_LIMIT,
    ROTATION_NOISE,
    TRANSLATION_LIMIT,
    TRANSLATION_NOISE,
    YAW_LIMIT,
    clip_motion,
    tracked,
)

FRAMES, TRAIN_FRAMES = 160, 130
NAMES = builtin_head().expression_names


@pytest.fixture(scope="module")
def motion():
    return clip_motion(np.random.default_rng(5), NAMES, FRAMES, TRAIN_FRAMES, np.zeros(3))


def test_turns_reach_their_limits_and_stay_within(motion):
    matrix = axis_angle_to_matrix(torch.from_numpy(motion.rotation))
    # matrix = Ry(yaw) Rx(pitch) Rz(roll), so its rows and columns give the angles back.
    yaw = torch.atan2(matrix[:, 0, 2], matrix[:, 2, 2])
    pitch = torch.asin(-matrix[:, 1, 2])
    roll = torch.atan2(matrix[:, 1, 0], matrix[:, 1, 1])
    for angle, limit in ((yaw, YAW_LIMIT), (pitch, PITCH_LIMIT), (roll, ROLL_LIMIT)):
        assert angle.abs().max().item() == pytest.approx(limit, rel=1e-6)
    assert yaw.min() < -0.5 * YAW_LIMIT  # both sides of the face are seen
    assert yaw.max() > 0.5 * YAW_LIMIT


def test_motion_is_smooth(motion):
    step = np.abs(np.diff(motion.rotation, axis=0)).max()
    assert step < math.radians(12)  # per frame, a quick turn
    assert np.abs(np.diff(motion.translation, axis=0)).max() < 0.002
    assert np.abs(np.diff(motion.expression, axis=0)).max() < 0.9  # a blink closes in two frames


def test_head_turns_about_the_pivot():
    pivot_to_root = np.array([0.01, -0.05, 0.02])
    motion = clip_motion(np.random.default_rng(5), NAMES, FRAMES, TRAIN_FRAMES, pivot_to_root)
    rotation = axis_angle_to_matrix(torch.from_numpy(motion.rotation)).numpy()
    # The pivot seen from the root joint is -pivot_to_root; skinning turns it and the translation brings it back.
    moved = rotation @ -pivot_to_root + pivot_to_root + motion.translation
    assert np.abs(moved).max() <= TRANSLATION_LIMIT + 1e-9


def test_every_expression_but_the_tongue_occurs_in_training(motion):
    assert motion.expression.min() >= 0
    assert motion.expression.max() <= 1
    largest = motion.expression[:TRAIN_FRAMES].max(0)
    idle = {name for name, value in zip(NAMES, largest, strict=True) if value < 0.25}
    assert idle <= {"tongueOut"}


def test_expressions_are_sparse(motion):
    assert (motion.expression > 0.05).mean() < 0.4


def test_eyes_look_the_same_way(motion):
    column = {name: motion.expression[:, NAMES.index(name)] for name in NAMES}
    np.testing.assert_array_equal(column["eyeLookOutLeft"], column["eyeLookInRight"])
    np.testing.assert_array_equal(column["eyeLookInLeft"], column["eyeLookOutRight"])
    assert not (column["eyeLookOutLeft"] * column["eyeLookInLeft"]).any()


def test_tracking_noise_has_its_size_on_training_frames_only(motion):
    reported = tracked(motion, TRAIN_FRAMES, 1.0, np.random.default_rng(0))
    rotation, translation = (
        (got - exact)[:TRAIN_FRAMES]
        for got, exact in ((reported.rotation, motion.rotation), (reported.translation, motion.translation))
    )
    assert rotation.std() == pytest.approx(ROTATION_NOISE, rel=0.15)  # 390 values: 4 sigma of their deviation
    assert translation.std() == pytest.approx(TRANSLATION_NOISE, rel=0.15)
    active = motion.expression[:TRAIN_FRAMES] > 0.2  # where clipping at 0 cannot reach
    error = (reported.expression - motion.expression)[:TRAIN_FRAMES][active]
    assert error.std() == pytest.approx(EXPRESSION_NOISE, rel=0.15)
    assert reported.expression.min() >= 0
    np.testing.assert_array_equal(reported.expression[TRAIN_FRAMES:], motion.expression[TRAIN_FRAMES:])
    np.testing.assert_array_equal(reported.rotation[TRAIN_FRAMES:], motion.rotation[TRAIN_FRAMES:])
