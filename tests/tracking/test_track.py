"""From a video to a dataset with a detector that knows the truth: content, interruptions, and what goes wrong."""

import json
from pathlib import Path

import pytest
import torch

from rgb_core.data import load_dataset
from rgb_core.errors import InputError
from rgb_core.heads import builtin_head
from rgb_core.heads.pose import skull_rotation
from rgb_core.progress import Silent
from rgb_core.scene.labels import Label
from rgb_core.tracking import Tracked, TrackingOptions, track
from rgb_core.tracking import track as track_module_function
from rgb_core.tracking.detect import detection
from rgb_core.tracking.detect.correspondence import Correspondence
from rgb_core.tracking.detect.detector import FaceDetector

from .clips import PerfectDetector, Truth, film, spread_correspondence, talking

COUNT = 12
GAP = (5, 6, 7, 8)  # too long to bridge
OPTIONS = TrackingOptions(preview=True)


class Told(Silent):
    """Keeps what the user was told."""

    def __init__(self) -> None:
        self.messages: list[str] = []

    def message(self, text: str) -> None:
        self.messages.append(text)


@pytest.fixture(autouse=True)
def known_correspondence(monkeypatch: pytest.MonkeyPatch) -> None:
    """The perfect detector's landmarks are not mediapipe's, and it does not look at painted heads."""

    def found(head: object, detector: FaceDetector) -> Correspondence:
        return spread_correspondence(builtin_head())

    monkeypatch.setitem(track_module_function.__globals__, "find_correspondence", found)


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Truth]:
    truth = talking(COUNT)
    return film(tmp_path_factory.mktemp("film") / "clip.mp4", truth, GAP), truth


def run(video: Path, out: Path, detector: PerfectDetector, progress: Silent | None = None) -> Tracked:
    return track(video, out, builtin_head(), progress or Silent(), OPTIONS, detector)


def test_a_video_becomes_a_dataset(clip: tuple[Path, Truth], tmp_path: Path) -> None:
    video, truth = clip
    told = Told()
    tracked = run(video, tmp_path / "out", PerfectDetector(truth, GAP), told)
    dataset = load_dataset(tmp_path / "out")
    assert [frame.id for frame in dataset.all_frames] == [f"{n:05d}" for n in range(COUNT) if n not in GAP]
    assert dataset.splits == {
        "train": ("00000", "00001", "00002", "00003", "00004", "00009", "00010"),
        "test": ("00011",),
    }
    assert dataset.light_frame == "world"
    assert any("left out 4 frames (no face): 5-8" in message for message in told.messages)
    for frame in dataset.all_frames:
        names = dataset.head.joint_names
        true = skull_rotation(truth.pose.joints[int(frame.id)], names)
        turned = skull_rotation(frame.pose.joints, names).T @ true
        assert (
            float(((turned.trace() - 1) / 2).clamp(-1, 1).acos().rad2deg()) < 4
        )  # priors, pictures and offsets included
    rgba = dataset.load_rgba(dataset.all_frames[0])
    assert 0.05 < float((rgba[..., 3] > 127).float().mean()) < 0.9
    assert (tmp_path / "out" / "preview.mp4").stat().st_size > 0
    record = json.loads((tmp_path / "out" / "quality.json").read_text())
    assert record == json.loads(json.dumps(tracked.quality))
    assert record["frames"] == {"decoded": COUNT, "kept": COUNT - len(GAP), "bridged": 0}
    assert record["landmark_error_px"]["all"]["median"] < 1.5
    assert record["face_overlap"]["mean"] > 0.85
    assert not list(tmp_path.glob(".*"))


@pytest.mark.parametrize("moment", ["detecting", "writing"])
def test_an_interrupted_run_continues_to_the_same_result(
    clip: tuple[Path, Truth], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, moment: str
) -> None:
    video, truth = clip
    monkeypatch.setattr(detection, "_CHUNK", 4)
    whole = run(video, tmp_path / "whole", PerfectDetector(truth, GAP)).dataset
    first = PerfectDetector(truth, GAP)
    if moment == "detecting":
        first.fails_at = 6
    else:
        monkeypatch.setattr(first, "matte", interrupt_after(first.matte, 11))  # colours take 8, then frames
    with pytest.raises(KeyboardInterrupt):
        run(video, tmp_path / "parts", first)
    second = PerfectDetector(truth, GAP)
    parts = run(video, tmp_path / "parts", second).dataset
    assert second.seen == (set() if moment == "writing" else set(range(4, COUNT)))
    for one, other in zip(whole.all_frames, parts.all_frames, strict=True):
        assert torch.equal(one.pose.expression, other.pose.expression)
        assert torch.equal(one.pose.joints, other.pose.joints)
        assert one.image.read_bytes() == other.image.read_bytes()


def interrupt_after(function, calls: int):
    """The function, which the user interrupts at a later call."""
    count = 0

    def interrupted(image: torch.Tensor) -> torch.Tensor:
        nonlocal count
        count += 1
        if count > calls:
            raise KeyboardInterrupt
        return function(image)

    return interrupted


def test_one_frame_is_a_dataset(tmp_path: Path) -> None:
    truth = talking(1)
    run(film(tmp_path / "one.mp4", truth), tmp_path / "out", PerfectDetector(truth))
    dataset = load_dataset(tmp_path / "out")
    assert len(dataset.all_frames) == 1
    assert dataset.splits["test"] == ()


def test_a_torso_that_is_kept_belongs_to_what_is_fitted(tmp_path: Path) -> None:
    truth = talking(1)
    video, options = film(tmp_path / "one.mp4", truth), TrackingOptions(keep_torso=True)
    kept = track(video, tmp_path / "kept", builtin_head(), Silent(), options, PerfectDetector(truth)).dataset
    cut = track(video, tmp_path / "cut", builtin_head(), Silent(), None, PerfectDetector(truth)).dataset
    assert Label.CLOTH in cut.foreign
    assert Label.CLOTH not in kept.foreign
    assert kept.head.joint_names == (*cut.head.joint_names, "torso")
    shown = [int((clip.load_rgba(clip.all_frames[0])[..., 3] > 127).sum()) for clip in (cut, kept)]
    assert shown[1] > shown[0] + 1000  # pixels of shoulders; both pictures are the whole frame


def test_a_video_without_a_face_is_one_sentence(clip: tuple[Path, Truth], tmp_path: Path) -> None:
    video, truth = clip
    with pytest.raises(InputError, match="no frame shows a usable face"):
        run(video, tmp_path / "out", PerfectDetector(truth, range(COUNT)))
    assert not (tmp_path / "out").exists()


def test_a_wrong_first_video_leaves_the_folder_to_the_right_one(tmp_path: Path) -> None:
    """No face in the first one; the second is tracked into the same folder, once."""
    short = talking(2)
    wrong = film(tmp_path / "wrong.mp4", short, range(2))
    with pytest.raises(InputError, match="no frame shows a usable face"):
        run(wrong, tmp_path / "out", PerfectDetector(short, range(2)))
    right = film(tmp_path / "right.mp4", short)
    first = run(right, tmp_path / "out", PerfectDetector(short))
    detector = PerfectDetector(short)
    assert run(right, tmp_path / "out", detector).quality == json.loads(json.dumps(first.quality))
    assert not detector.seen


def test_somebody_elses_dataset_is_not_overwritten(clip: tuple[Path, Truth], tmp_path: Path) -> None:
    video, truth = clip
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "dataset.json").write_text("{}")
    with pytest.raises(InputError, match="is not empty and no run of rgb claimed it"):
        run(video, tmp_path / "out", PerfectDetector(truth))


def test_work_on_another_video_is_not_continued(
    clip: tuple[Path, Truth], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    video, truth = clip
    monkeypatch.setattr(detection, "_CHUNK", 2)  # so that there is work when the run is interrupted
    detector = PerfectDetector(truth)
    detector.fails_at = 2
    with pytest.raises(KeyboardInterrupt):
        run(video, tmp_path / "out", detector)
    other = film(tmp_path / "other.mp4", talking(2))
    with pytest.raises(InputError, match="unfinished dataset of other inputs or settings"):
        run(other, tmp_path / "out", PerfectDetector(truth))


def test_a_span_outside_the_video_is_one_sentence(clip: tuple[Path, Truth], tmp_path: Path) -> None:
    video, truth = clip
    for options, words in (
        (TrackingOptions(start=60.0), "no frame between"),
        (TrackingOptions(3.0, 2.0), "does not come"),
    ):
        with pytest.raises(InputError, match=words):
            track(video, tmp_path / "out", builtin_head(), Silent(), options, PerfectDetector(truth))
