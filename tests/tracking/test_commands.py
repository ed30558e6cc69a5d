"""`rgb track` and `rgb fit` on the command line: bad input ends in one sentence, and the stages are chained."""

from pathlib import Path

import pytest
import torch

from rgb_cli.commands.fit import fit
from rgb_cli.console import Reporter
from rgb_core import devices, pipeline, tracking
from rgb_core.errors import InputError
from rgb_core.heads import builtin_head
from rgb_core.presets import Preset, load_preset
from rgb_core.progress import Silent
from rgb_core.tracking import Tracked, TrackingOptions, track
from rgb_core.tracking.detect import detection
from tests.commands import run_rgb

from .clips import PerfectDetector, film, talking


@pytest.mark.parametrize("command", ["track", "fit"])
def test_bad_input_is_one_sentence(command: str, tmp_path: Path) -> None:
    text = tmp_path / "notes.mp4"
    text.write_text("no video")
    for video, words in ((tmp_path / "missing.mp4", "does not exist"), (text, "ffmpeg cannot read a frame")):
        result = run_rgb(command, video, "-o", tmp_path / "out", "--quiet")
        assert result.returncode == 2
        assert words in " ".join(result.stderr.split())
        assert "Traceback" not in result.stderr


def test_a_folder_of_another_video_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The dataset of one video must not be taken for that of another; the first frame of this one is on disk."""
    monkeypatch.setattr(detection, "_CHUNK", 1)
    truth = talking(2)
    detector = PerfectDetector(truth)
    detector.fails_at = 1
    one, two = film(tmp_path / "one.mp4", truth), film(tmp_path / "two.mp4", talking(3))
    arguments = (builtin_head(), Silent(), TrackingOptions(), detector)
    for _ in range(2):  # the same command again continues
        with pytest.raises(KeyboardInterrupt):
            track(one, tmp_path / "out", *arguments)
    with pytest.raises(InputError, match="unfinished dataset of other inputs or settings"):
        track(two, tmp_path / "out", *arguments)


QUALITY = {"verdict": [{"level": "red", "about": "turning", "sentence": "the head turns by 7 degrees only"}]}


@pytest.fixture
def settings(monkeypatch: pytest.MonkeyPatch) -> list[Preset]:
    """The presets that `rgb fit` fits with; a tracked clip with a red verdict is there, and the fit is interrupted."""
    fitted: list[Preset] = []

    def interrupted(dataset: object, out: Path, preset: Preset, *arguments: object) -> None:
        fitted.append(preset)
        raise KeyboardInterrupt

    monkeypatch.setattr(tracking, "track", lambda *arguments, **options: Tracked(None, QUALITY))
    monkeypatch.setattr(pipeline, "fit", interrupted)
    return fitted


@pytest.mark.parametrize(("device", "name"), [("cpu", "cpu"), ("cuda", "default")])
def test_fit_takes_the_preset_of_its_device(
    settings: list[Preset], monkeypatch: pytest.MonkeyPatch, tmp_path: Path, device: str, name: str
) -> None:
    monkeypatch.setattr(devices, "resolve_device", lambda wanted: torch.device(device))
    with pytest.raises(KeyboardInterrupt):
        fit(tmp_path / "clip.mp4", tmp_path / "out", quiet=True)
    with pytest.raises(KeyboardInterrupt):
        fit(tmp_path / "clip.mp4", tmp_path / "out", preset="demo", quiet=True)
    assert settings == [load_preset(name), load_preset("demo")]


def test_fit_tells_the_verdict_and_goes_on_unless_strict(
    settings: list[Preset], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[object] = []
    monkeypatch.setattr(Reporter, "result", lambda reporter, title, values: told.append(values))
    with pytest.raises(InputError, match="turns by 7 degrees only"):
        fit(tmp_path / "clip.mp4", tmp_path / "out", strict=True, quiet=True)
    assert told == [{"red     turning": "the head turns by 7 degrees only"}]
    assert not settings
    with pytest.raises(KeyboardInterrupt):
        fit(tmp_path / "clip.mp4", tmp_path / "out", quiet=True)
    assert len(settings) == 1
