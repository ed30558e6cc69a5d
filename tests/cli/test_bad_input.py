"""Bad input: one sentence, exit code 2, nothing written."""

import json
from pathlib import Path

import pytest
import torch

from tests.commands import TINY, run_rgb


def assert_refused(result, *mentions: str) -> None:
    assert result.returncode == 2, result.stderr
    assert "Traceback" not in result.stderr
    text = " ".join(result.stderr.split())
    assert text.startswith("error: ")
    assert text.count("error:") == 1
    for mention in mentions:
        assert mention in text


def edit(dataset: Path, change) -> None:
    path = dataset / "dataset.json"
    record = json.loads(path.read_text())
    change(record)
    path.write_text(json.dumps(record))


def fit(dataset: Path, out: Path):
    return run_rgb("fit-geometry", dataset, "-o", out, "-q", "--preset", "demo", *TINY)


def test_missing_folder(tmp_path: Path):
    assert_refused(fit(tmp_path / "none", tmp_path / "out"), "none is not a folder")
    assert not (tmp_path / "out").exists()


def test_names_are_shown_as_they_are(tmp_path: Path):
    """Brackets in a path are no markup."""
    assert_refused(fit(tmp_path / "[bold]x[", tmp_path / "out"), "[bold]x[ is not a folder")


def test_empty_folder(tmp_path: Path):
    (tmp_path / "empty").mkdir()
    assert_refused(fit(tmp_path / "empty", tmp_path / "out"), "empty")
    assert not (tmp_path / "out").exists()


def test_truncated_png(copied_dataset: Path, tmp_path: Path):
    image = next((copied_dataset / "images").iterdir())
    image.write_bytes(image.read_bytes()[:200])
    assert_refused(fit(copied_dataset, tmp_path / "out"), image.name)
    assert not (tmp_path / "out").exists()


def test_nan_in_dataset(copied_dataset: Path, tmp_path: Path):
    edit(copied_dataset, lambda record: record["frames"][0]["expression"].__setitem__(0, float("nan")))
    assert_refused(fit(copied_dataset, tmp_path / "out"), "dataset.json", "expression")
    assert not (tmp_path / "out").exists()


def test_wrong_number_of_coefficients(copied_dataset: Path, tmp_path: Path):
    edit(copied_dataset, lambda record: record["frames"][1]["expression"].pop())
    assert_refused(fit(copied_dataset, tmp_path / "out"), "expression")
    assert not (tmp_path / "out").exists()


def test_no_frames(copied_dataset: Path, tmp_path: Path):
    edit(copied_dataset, lambda record: record.update(frames=[], splits={"train": [], "test": []}))
    assert_refused(fit(copied_dataset, tmp_path / "out"), "frames")
    assert not (tmp_path / "out").exists()


def test_unknown_envmap(demo: tuple[Path, dict], tmp_path: Path):
    result = run_rgb("relight", demo[0] / "avatar", "--envmap", "moonlight", "-o", tmp_path / "out")
    assert_refused(result, "moonlight", "sunset")
    assert not (tmp_path / "out").exists()


def test_not_an_avatar(tmp_path: Path):
    (tmp_path / "folder").mkdir()
    result = run_rgb("relight", tmp_path / "folder", "--envmap", "sun", "-o", tmp_path / "out")
    assert_refused(result, "not an avatar")
    assert not (tmp_path / "out").exists()


def test_truncated_avatar(demo: tuple[Path, dict], tmp_path: Path):
    import shutil

    avatar = Path(shutil.copytree(demo[0] / "avatar", tmp_path / "avatar"))
    tensors = avatar / "avatar.safetensors"
    tensors.write_bytes(tensors.read_bytes()[:-100])
    assert_refused(run_rgb("export", avatar, "-o", tmp_path / "x.ply"), "avatar.safetensors")
    assert not (tmp_path / "x.ply").exists()


@pytest.mark.parametrize("command", ["fit-geometry", "relight", "synth", "demo", "eval", "export"])
def test_output_below_a_file(demo: tuple[Path, dict], tmp_path: Path, command: str):
    (tmp_path / "file").write_text("mine")
    out = tmp_path / "file" / "out"
    arguments = {
        "fit-geometry": ["fit-geometry", demo[0] / "dataset", "-o", out, "--preset", "demo", *TINY],
        "relight": ["relight", demo[0] / "avatar", "-e", "sun", "-o", out, "--count", "1"],
        "synth": ["synth", "-o", out, *TINY],
        "demo": ["demo", "-o", out, *TINY],
        "eval": ["eval", demo[0] / "avatar", demo[0] / "dataset", "-o", out],
        "export": ["export", demo[0] / "avatar", "-o", out.with_suffix(".ply")],
    }
    assert_refused(run_rgb(*arguments[command], "-q"), str(tmp_path / "file"))
    assert (tmp_path / "file").read_text() == "mine"


def test_output_that_belongs_to_somebody(tmp_path: Path):
    (tmp_path / "dataset").mkdir()
    (tmp_path / "dataset/notes.txt").write_text("mine")
    for force in ([], ["--force"]):
        assert_refused(run_rgb("demo", "-o", tmp_path, *TINY, *force), "not empty")
    assert [path.name for path in tmp_path.iterdir()] == ["dataset"]
    assert (tmp_path / "dataset/notes.txt").read_text() == "mine"


@pytest.mark.parametrize(
    ("override", "mention"),
    [
        ("gaussians.stepz=3", "stepz"),
        ("gaussians.steps=many", "steps"),
        ("gaussians.steps=-4", "steps"),
        ("x", "KEY=VALUE"),
    ],
)
def test_wrong_setting(tmp_path: Path, override: str, mention: str):
    assert_refused(run_rgb("demo", "-o", tmp_path / "out", "--set", override), mention)
    assert not (tmp_path / "out").exists()


def test_unknown_preset(tmp_path: Path):
    assert_refused(run_rgb("synth", "-o", tmp_path / "out", "--preset", "enormous"), "enormous", "demo")


@pytest.mark.skipif(torch.cuda.is_available(), reason="asks what a machine without a GPU says")
def test_cuda_without_a_gpu(demo: tuple[Path, dict], tmp_path: Path):
    result = run_rgb("fit-geometry", demo[0] / "dataset", "-o", tmp_path / "out", "--device", "cuda")
    assert_refused(result, "--device cuda", "torch", "use --device cpu")


def test_frames_outside_the_clip(demo: tuple[Path, dict], tmp_path: Path):
    common = ["relight", demo[0] / "avatar", "-e", "sun", "-o", tmp_path / "out", "--dataset", demo[0] / "dataset"]
    assert_refused(run_rgb(*common, "--frames", "900:950"), "900:950")
    assert_refused(run_rgb(*common, "--frames", "first"), "first")


def test_ground_truth_is_read_before_the_fit(copied_dataset: Path, tmp_path: Path):
    mesh = next((copied_dataset / "ground_truth" / "mesh").iterdir())
    mesh.write_bytes(mesh.read_bytes()[:100])
    assert_refused(fit(copied_dataset, tmp_path / "out"), mesh.name)
    assert not (tmp_path / "out").exists()


def test_track_looks_at_its_folder_before_the_video_is_read_through(demo: tuple[Path, dict], tmp_path: Path):
    (tmp_path / "notes.txt").write_text("mine")
    result = run_rgb("track", demo[0] / "dataset" / "images", "-o", tmp_path, "-q")
    assert_refused(result, "is not empty")
    assert [path.name for path in tmp_path.iterdir() if not path.name.startswith(".")] == ["notes.txt"]


def test_eval_into_the_dataset_is_refused(copied_dataset: Path, demo: tuple[Path, dict]):
    before = {path: path.stat().st_mtime_ns for path in copied_dataset.rglob("*")}
    for force in ([], ["--force"]):
        assert_refused(run_rgb("eval", demo[0] / "avatar", copied_dataset, "-o", copied_dataset, *force), "dataset")
    assert {path: path.stat().st_mtime_ns for path in before if path.name[0] != "."}.items() <= before.items()


@pytest.mark.parametrize(
    ("arguments", "mention"),
    [
        (["export", "a", "--format", "ply", "-o", "head.glb"], "--format ply does not go with head.glb"),
        (["export", "a", "--format", "glb-splats", "-o", "head.PLY"], "does not go with head.PLY"),
        (["export", "a", "--format", "plyy", "-o", "head.x"], "did you mean ply?"),
        (["export", "a", "-o", "a.ply", "--dataset", "d", "--frame", "1", "--frames", "0:2"], "one of the two"),
        (["export", "a", "-o", "a.obj", "--envmap", "sun"], "an obj holds no light"),
        (["relight", "a", "-e", "sun", "-o", "b", "--dataset", "d", "--count", "4"], "--count is for the turning head"),
    ],
)
def test_options_that_contradict_each_other(arguments: list[str], mention: str):
    assert_refused(run_rgb(*arguments), mention)


def test_endings_may_be_in_capitals(demo: tuple[Path, dict], tmp_path: Path):
    for name, named in (("HEAD.PLY", []), ("head.GLB", ["--format", "glb-splats"])):
        result = run_rgb("export", demo[0] / "avatar", "-o", tmp_path / name, "-q", *named)
        assert result.returncode == 0, result.stderr
        assert (tmp_path / name).stat().st_size > 5000
