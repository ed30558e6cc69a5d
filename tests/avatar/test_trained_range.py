"""What an avatar was fitted to: measured, kept in its folder, and checked when it is read."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
import yaml

from rgb_core.avatar import load_avatar, save_avatar
from rgb_core.avatar.storage import DESCRIPTION
from rgb_core.avatar.trained_range import TrainedRange
from rgb_core.benchmarking.scenes import bench_avatar
from rgb_core.errors import InputError
from rgb_core.heads import Pose


@pytest.fixture(scope="module")
def stored(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, TrainedRange]:
    avatar = bench_avatar(50)
    generator = torch.Generator().manual_seed(4)
    shapes = (7, len(avatar.head.expression_names)), (7, avatar.head.joint_count, 3), (7, 3)
    poses = Pose(*(torch.rand(shape, generator=generator) for shape in shapes))
    trained = TrainedRange.of(poses, avatar.head.expression_names)
    assert torch.equal(trained.low, poses.expression.amin(0))
    assert torch.equal(trained.joints_high, poses.joints.amax(0))
    folder = tmp_path_factory.mktemp("avatar")
    save_avatar(replace(avatar, trained=trained), folder, {})
    return folder, trained


def test_it_survives_the_folder(stored: tuple[Path, TrainedRange]):
    again = load_avatar(stored[0]).trained
    assert again is not None
    for name, value in vars(stored[1]).items():
        assert torch.equal(getattr(again, name), value), name


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"low": [0.0]}, r"trained_range: low has shape \[1\]"),
        ({"rest": [float("nan")] * 52}, "trained_range: rest holds a number that is not finite"),
        ({"low": [2.0] * 52}, "trained_range: a least value is larger"),
        ({"high": "much"}, "is damaged"),
        (None, "is damaged"),
    ],
)
def test_a_damaged_one_is_one_sentence(stored: tuple[Path, TrainedRange], change: dict | None, says: str):
    path = stored[0] / DESCRIPTION
    whole = path.read_text()
    description = yaml.safe_load(whole)
    changed = None if change is None else description["trained_range"] | change
    path.write_text(yaml.safe_dump(description | {"trained_range": changed}))
    try:
        with pytest.raises(InputError, match=says):
            load_avatar(stored[0])
    finally:
        path.write_text(whole)


def test_an_older_avatar_has_none(stored: tuple[Path, TrainedRange], tmp_path: Path):
    save_avatar(replace(load_avatar(stored[0]), trained=None), tmp_path, {})
    assert load_avatar(tmp_path).trained is None
