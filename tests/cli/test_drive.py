"""`rgb animate` by every kind of file on the demo's avatar, and the options about it."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from rgb_core.avatar import load_avatar
from rgb_core.data import load_dataset
from rgb_core.driving import DriveOptions, load_motion
from rgb_core.geometry import load_geometry
from rgb_core.progress import Silent
from tests.commands import run_rgb
from tests.driving.performances import performance, write_take

KEYS = "format: rgb-keyframes\nversion: 1\nkeys:\n  0: {jaw: 0}\n  0.2: {jaw: 0.4, head: {yaw: 20}}\n  0.4: {jaw: 0}\n"


def picture(folder: Path, frame: int) -> np.ndarray:
    return np.asarray(Image.open(folder / "frames" / f"{frame:05d}.png")).astype(float)


def test_a_phone_drives_the_demo(demo: tuple[Path, dict], tmp_path: Path):
    """The pictures move with the jaw and the head, of every third row of the take."""
    take, out = write_take(tmp_path / "take.csv"), tmp_path / "out"
    command = ["animate", demo[0] / "avatar", "--drive", take, "--frames", "0:7:3", "--size", "48", "--json", "-o", out]
    result = run_rgb(*command)
    assert result.returncode == 0, result.stderr
    assert json.loads(result.stdout)["frames"] == 3
    assert np.abs(picture(out, 0) - picture(out, 2)).mean() > 1
    assert not (tmp_path / "out.tracking").exists()


def test_the_demos_jaw_opens_when_the_drivers_does(demo: tuple[Path, dict], tmp_path: Path):
    """Phone, JSON and keyframes; a demo of a few frames has seen little, so nothing is held in its range."""
    jaw = torch.tensor([performance(frame)["JawOpen"] for frame in range(12)])
    record = {"format": "rgb-motion", "version": 1, "fps": 60, "expressions": ["jawOpen"]}
    (tmp_path / "take.json").write_text(json.dumps(record | {"frames": jaw[:, None].tolist()}))
    keys = "".join(f"  {index / 60:.5f}: {{jaw: {value:.4f}}}\n" for index, value in enumerate(jaw.tolist()))
    (tmp_path / "take.yaml").write_text(KEYS.partition("  0:")[0].replace("keys", "fps: 60\nkeys") + keys)
    avatar = load_avatar(demo[0] / "avatar")
    index = avatar.head.expression_index("jawOpen")
    for source in (write_take(tmp_path / "take.csv"), tmp_path / "take.json", tmp_path / "take.yaml"):
        motion = load_motion(source, avatar, DriveOptions(tmp_path / "work", clamp=False), Silent())
        both = torch.stack([motion.poses.expression[:, index], jaw])
        assert float(torch.corrcoef(both)[0, 1]) > 0.95
        kept = load_motion(source, avatar, DriveOptions(tmp_path / "work"), Silent()).poses.expression
        assert avatar.trained is not None
        assert bool(((kept >= avatar.trained.low) & (kept <= avatar.trained.high)).all())


def test_an_avatar_remembers_what_it_was_fitted_to(demo: tuple[Path, dict]):
    out, _ = demo
    frames = load_geometry(out / "geometry").refined(load_dataset(out / "dataset").frames("train"))
    seen = torch.stack([frame.pose.expression for frame in frames])
    trained = load_avatar(out / "avatar").trained
    assert trained is not None
    torch.testing.assert_close(trained.low, seen.amin(0))
    torch.testing.assert_close(trained.high, seen.amax(0))
    assert bool((trained.rest.abs() <= torch.maximum(trained.low.abs(), trained.high.abs())).all())


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--smooth", "2", "--no-smooth"], "exclude each other"),
        (["--start", "5"], "lies between --start and --end"),
    ],
)
def test_options_that_cannot_be_are_one_sentence(
    demo: tuple[Path, dict], tmp_path: Path, options: list[str], says: str
):
    (tmp_path / "play.yaml").write_text(KEYS)
    result = run_rgb("animate", demo[0] / "avatar", "--drive", tmp_path / "play.yaml", "-o", tmp_path / "out", *options)
    assert result.returncode == 2
    assert says in " ".join(result.stderr.split())
    assert not (tmp_path / "out").exists()
