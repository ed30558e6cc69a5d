"""`rgb track` and `rgb fit` on the command line: bad input ends in one sentence, and the stages are chained."""

from pathlib import Path

import pytest
import torch

from rgb_core import pipeline
from rgb_core.errors import InputError
from rgb_core.heads import builtin_head
from rgb_core.presets import load_preset
from rgb_core.progress import Silent
from rgb_core.tracking import TrackingOptions
from tests.cli.conftest import run_rgb


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
    """The dataset of one video must not be taken for that of another."""
    tracked: list[Path] = []

    def interrupted(video: Path, *arguments: object) -> None:
        tracked.append(video)
        raise KeyboardInterrupt

    monkeypatch.setattr(pipeline, "track", interrupted)
    monkeypatch.setattr(pipeline, "open_video", lambda video: None)
    arguments = (builtin_head(), TrackingOptions(), load_preset("demo"), Silent(), 0, torch.device("cpu"))
    for _ in range(2):  # the same command again continues
        with pytest.raises(KeyboardInterrupt):
            pipeline.track_and_fit(tmp_path / "one.mp4", tmp_path / "out", *arguments)
    with pytest.raises(InputError, match="other settings"):
        pipeline.track_and_fit(tmp_path / "two.mp4", tmp_path / "out", *arguments)
    assert tracked == [tmp_path / "one.mp4"] * 2
