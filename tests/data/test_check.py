"""`rgb check`: what is measured is what was put in, every broken file is named, and the exit code says so."""

import json
import sys
from pathlib import Path

import pytest
import torch
from dataset_samples import IDS, write_dataset

from rgb_cli.app import main
from rgb_core.data import DatasetWriter, load_dataset
from rgb_core.data.inspection import inspect_dataset
from rgb_core.data.inspection_frames import draw_head
from rgb_core.data.inspection_overlay import overlay
from rgb_core.heads import Pose, builtin_head
from rgb_core.images import read_png, write_png
from rgb_core.progress import Silent
from rgb_core.scene import Camera

SIZE = (64, 48)
FACING = torch.tensor([[1.0, 0, 0, 0], [0, -1, 0, 0], [0, 0, -1, 1]])
CAMERA = Camera((70.0, 70.0, 32.0, 24.0), FACING, *SIZE)
YAWS = {"00000": -40.0, "00001": 0.0, "00002": 20.0}  # degrees
DOWN = 10.0  # degrees of the neck in every frame
GREY, LINEAR_GREY = 128, 0.21586  # the same in sRGB bytes and as linear luminance


def write_clip(folder: Path) -> Path:
    """Three frames of the built-in head; the matte is what the model covers, the colour is flat grey."""
    head = builtin_head()
    writer = DatasetWriter(folder, "grey", SIZE, 25.0, head)
    for index, (name, yaw) in enumerate(YAWS.items()):
        joints = torch.zeros(head.joint_count, 3)
        joints[head.joint_names.index("root"), 1] = torch.tensor(yaw).deg2rad()
        joints[head.joint_names.index("neck"), 0] = torch.tensor(DOWN).deg2rad()
        expression = torch.zeros(len(head.expression_names))
        expression[0] = 0.3 * index
        pixels = torch.full((SIZE[1], SIZE[0], 4), 255, dtype=torch.uint8)
        split = "test" if index == 2 else "train"
        writer.add_frame(name, split, CAMERA, Pose(expression, joints, torch.zeros(3)), pixels)
    dataset = writer.finish()
    for frame in dataset.all_frames:
        pixels = torch.full((SIZE[1], SIZE[0], 4), GREY, dtype=torch.uint8)
        pixels[..., 3] = 255 * draw_head(dataset, frame, CAMERA).mask
        write_png(frame.image, pixels)
    return folder


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    return write_clip(tmp_path / "clip")


def run_check(monkeypatch: pytest.MonkeyPatch, *arguments: object) -> int:
    monkeypatch.setattr(sys, "argv", ["rgb", "check", *map(str, arguments)])
    with pytest.raises(SystemExit) as ended:
        main()
    return int(ended.value.code or 0)


def test_measures_are_what_was_put_in(clip: Path):
    found = inspect_dataset(clip, Silent())
    assert found.defects == []
    # float32 rotations are exact to about 1e-5 degrees at these angles.
    assert [facts.yaw for facts in found.facts] == pytest.approx(list(YAWS.values()), abs=1e-3)
    assert [facts.pitch for facts in found.facts] == pytest.approx([-DOWN] * 3, abs=1e-3)
    assert [facts.roll for facts in found.facts] == pytest.approx([0.0] * 3, abs=1e-3)
    record = found.record()
    assert record["pose"]["yaw"]["histogram"] == {"-45": 1, "0": 1, "15": 1}
    assert record["expressions"]["moving"] == 1
    name = builtin_head().expression_names[0]
    assert record["expressions"]["widest"] == {name: pytest.approx([0.0, 0.6])}
    assert record["frames"] == {"train": 2, "test": 1}
    assert record["exposure"]["luminance"] == pytest.approx(LINEAR_GREY, abs=1e-4)
    assert record["exposure"]["drift_stops"] == pytest.approx(0, abs=1e-5)
    assert (record["exposure"]["clipped"], record["exposure"]["black"], record["matte"]["soft"]) == (0, 0, 0)
    assert record["overlap"]["mean"] == 1
    assert found.warnings == ["there are no semantic labels: hair, cloth and eyes are not told apart"]


def test_overlap_counts_pixels(clip: Path):
    """A matte that lacks the left half of the model overlaps by the share of the model on the right."""
    dataset = load_dataset(clip)
    frame = dataset.frame("00001")
    mask = draw_head(dataset, frame, CAMERA).mask
    pixels = read_png(frame.image, dtype=torch.uint8)
    pixels[:, :32, 3] = 0
    write_png(frame.image, pixels)
    facts = inspect_dataset(clip, Silent()).facts[1]
    assert facts.overlap == pytest.approx(float(mask[:, 32:].sum() / mask.sum()))


def test_brightness_and_mattes_are_warned_about(clip: Path):
    bright = torch.full((SIZE[1], SIZE[0], 4), 255, dtype=torch.uint8)
    write_png(clip / "images/00000.png", bright)
    write_png(clip / "images/00001.png", torch.zeros(SIZE[1], SIZE[0], 4))
    found = inspect_dataset(clip, Silent())
    assert any("1 frames have an empty matte and are left out of a fit: 00001" in text for text in found.warnings)
    assert any("brightness changes by 2.2 stops" in text for text in found.warnings)  # log2(1 / 0.2159) = 2.21
    assert any("33% of the head is overexposed" in text for text in found.warnings)
    assert found.record()["matte"]["cut"][0] == "00000"


def test_a_head_beside_its_matte_is_a_defect(clip: Path, tmp_path: Path):
    path = clip / "dataset.json"
    record = json.loads(path.read_text())
    for frame in record["frames"]:
        frame["translation"] = [0.15, 0, 0]  # metres: a head's breadth
    path.write_text(json.dumps(record))
    (defect,) = inspect_dataset(clip, Silent()).defects
    assert "overlap of only 0." in defect
    assert "K, w2c, joints, translation" in defect


def test_an_overlay_shows_the_model_in_blue_inside_a_red_outline(clip: Path):
    dataset = load_dataset(clip)
    frame = dataset.frame("00001")
    picture = overlay(dataset, frame).int()
    mask = draw_head(dataset, frame, CAMERA).mask
    red, blue = picture[..., 0], picture[..., 2]
    inner = torch.stack([mask.roll(step, axis) for step in (1, -1) for axis in (0, 1)]).all(0) & mask
    assert (picture[~mask] == 0).all()
    within = (slice(1, -1), slice(1, -1))  # the border of the picture has no neighbours outside
    assert ((red - blue)[within][(mask & ~inner)[within]] > 150).all()
    assert (blue > red)[within][inner[within]].float().mean() > 0.95  # what is seen through slits may face away


def test_every_unreadable_file_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture):
    folder = write_dataset(tmp_path / "subject")
    for name in (f"images/{IDS[0]}.png", f"semantic/{IDS[1]}.png"):
        (folder / name).write_bytes((folder / name).read_bytes()[:45])
    (folder / "envmaps/noon.hdr").write_text("x")
    for name in ("ground_truth/mesh/9.ply", "ground_truth/albedo/9.png", "ground_truth/coefficients.json"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("{")
    assert run_check(monkeypatch, folder, "--json", "-q", "-o", tmp_path / "out") == 2
    printed = capsys.readouterr()
    record = json.loads(printed.out)
    assert record == json.loads((tmp_path / "out/check.json").read_text())
    named = ("images/00000", "semantic/00001", "noon.hdr", "mesh/9", "albedo/9", "coefficients.json")
    for name in named:
        assert sum(name in defect for defect in record["defects"]) == 1
    text = " ".join(printed.err.split())
    assert text.startswith("error: ")
    assert f"{len(record['defects'])} defect(s)" in text


def test_a_sound_clip_ends_well(clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys):
    assert run_check(monkeypatch, clip, "-o", tmp_path / "out") == 0
    assert "none" in capsys.readouterr().out
    assert read_png(tmp_path / "out/overlays.png", 3).shape[1] > 3 * SIZE[0]


def test_no_dataset_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture):
    assert run_check(monkeypatch, tmp_path / "none", "--json", "-q") == 2
    assert json.loads(capsys.readouterr().out)["defects"] == [f"{tmp_path / 'none'} is not a folder"]
    assert not (tmp_path / "out").exists()
