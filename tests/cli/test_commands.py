"""Every command on a tiny subject: what it writes, and that the same seed writes it again."""

import hashlib
import json
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from urllib.request import urlopen

import imageio_ffmpeg
import numpy as np
import pytest
from PIL import Image

from tests.commands import TINY, run_rgb


def metrics_of(folder: Path) -> dict:
    record = json.loads((folder / "metrics.json").read_text())
    record.pop("speed")
    return record


def digest(avatar: Path) -> str:
    """What tells two avatars apart, short enough to print."""
    return hashlib.sha256((avatar / "avatar.safetensors").read_bytes()).hexdigest()


def frame_count(video: Path) -> int:
    return imageio_ffmpeg.count_frames_and_secs(str(video))[0]


def test_demo_leaves_what_it_says(demo: tuple[Path, dict]):
    out, printed = demo
    for key in ("report", "contact sheet", "video"):
        assert Path(printed[key]).stat().st_size > 1000
    assert frame_count(Path(printed["video"])) == 48
    record = json.loads((out / "report" / "metrics.json").read_text())
    assert record["reenactment"]["psnr"] == pytest.approx(printed["test PSNR (dB)"])
    assert record["relight"]["sun"]["psnr_aligned"] > 10
    assert "albedo of the face" in (out / "report" / "report.html").read_text()
    assert not list(out.rglob("*checkpoint*"))


def test_demo_again_changes_nothing(demo: tuple[Path, dict]):
    out, printed = demo
    before = (out / "avatar" / "avatar.safetensors").stat().st_mtime_ns
    again = run_rgb("demo", "-o", out, "--quiet", "--json", *TINY)
    assert again.returncode == 0, again.stderr
    assert (out / "avatar" / "avatar.safetensors").stat().st_mtime_ns == before
    assert json.loads(again.stdout)["test PSNR (dB)"] == printed["test PSNR (dB)"]


@pytest.mark.parametrize("stage", ["dataset", "geometry", "avatar"])
def test_a_finished_stage_again_says_so_and_changes_nothing(demo: tuple[Path, dict], stage: str):
    out, _ = demo
    command = {
        "dataset": ["synth", "-o", out / stage, *TINY],
        "geometry": ["fit-geometry", out / "dataset", "-o", out / stage, "--preset", "demo", *TINY],
        "avatar": [
            *("fit-gaussians", out / "dataset", "--geometry", out / "geometry"),
            *("-o", out / stage, "--preset", "demo", *TINY),
        ],
    }[stage]
    before = {path: path.stat().st_mtime_ns for path in (out / stage).rglob("*") if path.name != ".rgb-run.lock"}
    again = run_rgb(*command)
    assert again.returncode == 0, again.stderr
    assert "holds the finished" in again.stderr
    untouched = {path for path in before if path.name != "scores.json"}  # measured anew, to the same figures
    assert all(path.stat().st_mtime_ns == before[path] for path in untouched if path.is_file())


@pytest.mark.parametrize("command", ["relight", "animate", "eval"])
def test_a_finished_picture_or_report_again_says_so(demo: tuple[Path, dict], tmp_path: Path, command: str):
    out, target = demo[0], tmp_path / "out"
    arguments = {
        "relight": ["relight", out / "avatar", "-e", "sun", "--count", "1"],
        "animate": ["animate", out / "avatar", "--drive", out / "dataset", "--frames", "0:1"],
        "eval": ["eval", out / "avatar", out / "dataset"],
    }[command]
    first = run_rgb(*arguments, "-o", target)
    assert first.returncode == 0, first.stderr
    before = {path: path.stat().st_mtime_ns for path in target.rglob("*") if path.name != ".rgb-run.lock"}
    again = run_rgb(*arguments, "-o", target)
    assert again.returncode == 0, again.stderr
    assert "finished" in again.stderr
    assert {path: path.stat().st_mtime_ns for path in before} == before


def test_demo_refuses_a_folder_of_other_settings(demo: tuple[Path, dict]):
    result = run_rgb("demo", "-o", demo[0], *TINY, "--seed", "7")
    assert result.returncode == 2
    assert "other inputs or settings" in " ".join(result.stderr.split())


def test_same_seed_gives_the_same_avatar(demo: tuple[Path, dict], tmp_path: Path):
    out, _ = demo
    common = ["--geometry", out / "geometry", "-q", *TINY, "--preset", "demo"]
    assert run_rgb("fit-gaussians", out / "dataset", "-o", tmp_path / "avatar", *common).returncode == 0
    assert digest(tmp_path / "avatar") == digest(out / "avatar")
    assert run_rgb("eval", tmp_path / "avatar", out / "dataset", "-o", tmp_path / "report", "-q").returncode == 0
    assert metrics_of(tmp_path / "report") == metrics_of(out / "report")


def test_killed_fit_continues_to_the_same_avatar(demo: tuple[Path, dict], tmp_path: Path):
    out, _ = demo
    arguments = ["fit-gaussians", out / "dataset", "--geometry", out / "geometry", "-o", tmp_path / "avatar", "-q"]
    command = [*map(str, arguments), "--preset", "demo", *TINY]
    process = subprocess.Popen([sys.executable, "-c", "from rgb_cli.app import main; main()", *command])
    checkpoint = tmp_path / "avatar" / "checkpoint.safetensors"
    deadline = time.monotonic() + 120
    while not checkpoint.is_file() and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.005)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert checkpoint.is_file(), "the fit was over before it could be killed"
    assert not (tmp_path / "avatar" / "avatar.yaml").exists()
    assert run_rgb(*command).returncode == 0
    assert digest(tmp_path / "avatar") == digest(out / "avatar")


def test_unfinished_fit_of_other_settings_is_not_continued(demo: tuple[Path, dict], tmp_path: Path):
    from rgb_core.fitting.checkpoint import FILE, save_checkpoint
    from rgb_core.output_folder import OutputFolder

    with OutputFolder.claim(tmp_path, "avatar", "other"):
        save_checkpoint(tmp_path, {}, {"step": 8})
    out, _ = demo
    result = run_rgb("fit-gaussians", out / "dataset", "--geometry", out / "geometry", "-o", tmp_path, "-q", *TINY)
    assert result.returncode == 2
    assert "unfinished avatar of other inputs or settings" in " ".join(result.stderr.split())
    assert (tmp_path / FILE).is_file()


@pytest.mark.parametrize("stage", ["geometry", "avatar"])
def test_finished_work_is_not_overwritten(demo: tuple[Path, dict], stage: str):
    out, _ = demo
    command = {"geometry": "fit-geometry", "avatar": "fit-gaussians"}[stage]
    result = run_rgb(command, out / "dataset", "-o", out / stage, "-q")
    assert result.returncode == 2
    assert f"finished {stage} of other inputs or settings" in " ".join(result.stderr.split())


def test_relight_shows_light_that_moves(demo: tuple[Path, dict], tmp_path: Path):
    out, _ = demo
    result = run_rgb(
        "relight",
        out / "avatar",
        "--envmap",
        "sun",
        "-o",
        tmp_path,
        "--dataset",
        out / "dataset",
        "--frames",
        "0:4",
        "-q",
    )
    assert result.returncode == 0, result.stderr
    assert frame_count(tmp_path / "video.mp4") == 4
    plain = ["-o", tmp_path / "plain", "--background", "black", "--size", "48"]
    still = run_rgb("relight", out / "avatar", "--envmap", "sun", "--count", "2", "--turns", "1", *plain)
    assert still.returncode == 0, still.stderr
    pictures = [np.asarray(Image.open(tmp_path / "plain" / "frames" / f"0000{i}.png")).astype(float) for i in range(2)]
    assert pictures[0].shape == (48, 48, 3)
    upper = [picture[:24].mean(axis=(1, 2)).mean() for picture in pictures]
    assert abs(upper[0] - upper[1]) > 1  # the sun was on the other side of the head


def test_animate_by_a_head_of_another_model(demo: tuple[Path, dict], tmp_path: Path):
    out, _ = demo
    result = run_rgb("animate", out / "avatar", "--drive", out / "dataset", "-o", tmp_path, "--frames", "0:3", "-q")
    assert result.returncode == 0, result.stderr
    assert frame_count(tmp_path / "video.mp4") == 3


@pytest.mark.parametrize("suffix", ["ply", "spz", "obj"])
def test_export_writes_each_format_of_a_frame(demo: tuple[Path, dict], tmp_path: Path, suffix: str):
    path = tmp_path / f"head.{suffix}"
    light = [] if suffix == "obj" else ["--envmap", "sunset"]
    result = run_rgb("export", demo[0] / "avatar", "-o", path, *light, "--json")
    assert result.returncode == 0, result.stderr
    assert json.loads(result.stdout)["format"] == suffix
    assert path.stat().st_size > (5_000 if suffix == "spz" else 10_000)  # an spz is compressed


@pytest.mark.parametrize("suffix", ["html", "glb"])
def test_export_writes_a_whole_avatar_with_a_clip(demo: tuple[Path, dict], tmp_path: Path, suffix: str):
    path = tmp_path / f"head.{suffix}"
    clip = ["--dataset", demo[0] / "dataset", "--frames", "0:4"]
    result = run_rgb("export", demo[0] / "avatar", "-o", path, *clip, "--json")
    assert result.returncode == 0, result.stderr
    assert path.stat().st_size > 100_000
    refused = run_rgb("export", demo[0] / "avatar", "-o", path, "--envmap", "sunset")
    assert refused.returncode == 2
    assert "holds the whole avatar" in refused.stderr


def test_export_writes_a_file_for_each_frame_with_the_chosen_axis_up(demo: tuple[Path, dict], tmp_path: Path):
    clip = ["--dataset", demo[0] / "dataset", "--frames", "0:2"]
    result = run_rgb("export", demo[0] / "avatar", "-o", tmp_path / "head.ply", *clip, "--up", "z", "--json")
    assert result.returncode == 0, result.stderr
    assert sorted(path.name for path in tmp_path.iterdir()) == ["head_00000.ply", "head_00001.ply"]
    refused = run_rgb("export", demo[0] / "avatar", "-o", tmp_path / "head.ply", "--up", "w")
    assert refused.returncode == 2
    assert "none of y, -y, z" in refused.stderr


def test_view_serves_the_page_until_interrupted(demo: tuple[Path, dict]):
    command = [sys.executable, "-c", "from rgb_cli.app import main; main()", "view", demo[0] / "avatar", "--no-browser"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as server:
        assert server.stderr is not None
        line = server.stderr.readline()
        url = next(word for word in line.split() if word.startswith("http://127.0.0.1:"))
        with urlopen(url) as answer:
            assert answer.read(15) == b"<!doctype html>"
        server.send_signal(signal.SIGINT)
        assert server.wait(20) == 130  # as every command that is interrupted


def test_info_says_what_an_avatar_is(demo: tuple[Path, dict]):
    result = run_rgb("info", demo[0] / "avatar", "--json")
    assert result.returncode == 0, result.stderr
    facts = json.loads(result.stdout)
    counts = facts["Gaussians"]
    assert counts["all"] == sum(count for part, count in counts.items() if part != "all")
    assert facts["expressions"] == 52


def test_no_visibility_is_remembered(demo: tuple[Path, dict], tmp_path: Path):
    out, _ = demo
    common = ["--geometry", out / "geometry", "-q", *TINY, "--preset", "demo", "--no-visibility"]
    assert run_rgb("fit-gaussians", out / "dataset", "-o", tmp_path / "avatar", *common).returncode == 0
    assert "visibility: false" in (tmp_path / "avatar" / "avatar.yaml").read_text()


def test_doctor_answers(tmp_path: Path):
    result = run_rgb("doctor", "--json")
    assert result.returncode == 0
    checks = json.loads(result.stdout)
    assert "MISSING" not in result.stdout
    assert "52 expressions" in checks["built-in head"]


def test_avatar_folder_moves(demo: tuple[Path, dict], tmp_path: Path):
    """An avatar needs nothing outside its folder."""
    moved = shutil.copytree(demo[0] / "avatar", tmp_path / "elsewhere")
    result = run_rgb("relight", moved, "--envmap", "window", "-o", tmp_path / "relit", "--count", "1", "-q")
    assert result.returncode == 0, result.stderr


def test_fit_geometry_measures_itself_and_takes_normal_maps(demo: tuple[Path, dict], tmp_path: Path):
    dataset, normals = demo[0] / "dataset", tmp_path / "normals"
    normals.mkdir()
    shutil.copy(next((dataset / "ground_truth" / "normal").glob("*.png")), normals / "00000.png")
    command = ["fit-geometry", dataset, "--normals", normals, "-q", "--json", "--preset", "demo", *TINY]
    result = run_rgb(*command, "-o", tmp_path / "out")
    assert result.returncode == 0, result.stderr
    scores = json.loads((tmp_path / "out" / "scores.json").read_text())
    assert {"truth_face_to_truth_mm", "truth_normal_skin_deg", "truth_silhouette_iou"} <= scores.keys()
    assert scores.items() <= json.loads(result.stdout).items()
    refused = run_rgb(*command[:3], dataset / "images" / "none", *command[4:], "-o", tmp_path / "other")
    assert refused.returncode == 2
    assert "is not a folder of normal maps" in refused.stderr
