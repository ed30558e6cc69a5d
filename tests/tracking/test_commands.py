"""`rgb track` and `rgb fit` on the command line: bad input ends in one sentence, and the stages are chained."""

import functools
from pathlib import Path

import pytest
import torch

from rgb_core import pipeline
from rgb_core.errors import InputError
from rgb_core.heads import builtin_head
from rgb_core.presets import load_preset
from rgb_core.progress import Silent
from rgb_core.tracking import TrackingOptions, track
from tests.cli.conftest import run_rgb

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
    """The dataset of one video must not be taken for that of another."""
    truth = talking(2)
    detector = PerfectDetector(truth)
    detector.fails_at = 1
    monkeypatch.setattr(pipeline, "track", functools.partial(track, detector=detector))
    one, two = film(tmp_path / "one.mp4", truth), film(tmp_path / "two.mp4", talking(3))
    arguments = (builtin_head(), TrackingOptions(), load_preset("demo"), Silent(), 0, torch.device("cpu"))
    for _ in range(2):  # the same command again continues
        with pytest.raises(KeyboardInterrupt):
            pipeline.track_and_fit(one, tmp_path / "out", *arguments)
    with pytest.raises(InputError, match="unfinished dataset of other inputs or settings"):
        pipeline.track_and_fit(two, tmp_path / "out", *arguments)
