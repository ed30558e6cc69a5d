"""What is said about a clip, and how its pictures are looked at."""

import copy
from typing import Any

import pytest
import torch

from rgb_core.scene.labels import Label
from rgb_core.tracking.looks import FrameLook, frame_look, summarise
from rgb_core.tracking.verdict import GREEN, RED, YELLOW, verdict

GOOD: dict[str, Any] = {
    "frames": {"decoded": 300, "kept": 300},
    "dropped": {},
    "frames_with_other_faces": 0,
    "face_size_px": 300.0,
    "face_size_in_pictures_px": 150.0,
    "coverage": {"yaw_deg": [-30.0, 30.0], "pitch_deg": [-15.0, 15.0]},
    "mouth_opens": 0.6,
    "landmark_error_px": {"all": {"median": 1.0}},
    "face_overlap": {"mean": 0.95},
    "jitter": {"rotation_deg": 0.2},
    "fps": 25.0,
    "pictures": {
        "face_median": 140.0,
        "clipped_share": 0.0,
        "light_change": 0.01,
        "background_change": 1.0,
        "blurred_share": 0.0,
    },
}


def changed(path: str, value: Any) -> dict[str, Any]:
    record = copy.deepcopy(GOOD)
    *parents, last = path.split("/")
    place = record
    for parent in parents:
        place = place[parent]
    place[last] = value
    return record


def test_a_good_clip_is_green_throughout() -> None:
    assert {finding.level for finding in verdict(GOOD)} == {GREEN}


@pytest.mark.parametrize(
    ("path", "value", "level", "words"),
    [
        ("coverage/yaw_deg", [-3.0, 4.0], RED, "turns by 7 degrees only: light and albedo will not separate"),
        ("coverage/pitch_deg", [-4.0, 4.0], YELLOW, "nods by 8 degrees only"),
        ("frames/kept", 20, RED, "20 frames only"),
        ("frames_with_other_faces", 30, YELLOW, "show somebody else"),
        ("face_size_px", 50.0, RED, "go nearer"),
        ("mouth_opens", 0.15, YELLOW, "hardly opens"),
        ("pictures/clipped_share", 0.2, RED, "overexposed"),
        ("pictures/face_median", 30.0, YELLOW, "add light"),
        ("pictures/light_change", 0.1, YELLOW, "the light or the exposure moves"),
        ("pictures/background_change", 40.0, RED, "tripod"),
        ("pictures/blurred_share", 0.2, YELLOW, "lock the focus"),
        ("landmark_error_px/all/median", 4.5, YELLOW, "glasses, hair or hands"),
        ("jitter/rotation_deg", 2.0, RED, "trembles"),
    ],
)
def test_what_is_wrong_is_said_first(path: str, value: Any, level: str, words: str) -> None:
    first = verdict(changed(path, value))[0]
    assert first.level == level
    assert words in first.sentence


def test_a_slow_clip_does_not_tremble_because_its_frames_are_far_apart() -> None:
    slow = changed("jitter/rotation_deg", 8.0)
    slow["fps"] = 2.5
    assert {finding.level for finding in verdict(slow)} == {GREEN}


def look(brightness: float = 120.0, sharpness: float = 5.0, behind: float = 80.0) -> FrameLook:
    return FrameLook(0.9, brightness, brightness, 0.0, sharpness, torch.full((4, 4), behind).half())


def directions(yaw: torch.Tensor) -> torch.Tensor:
    return torch.stack([yaw.sin(), torch.zeros_like(yaw), yaw.cos()], 1)


def test_turning_in_a_light_that_stands_still_is_no_change_of_light() -> None:
    yaw = torch.linspace(-0.5, 0.5, 60)
    turned = [look(120 + 60 * float(angle.sin())) for angle in yaw]
    assert summarise(turned, directions(yaw))["light_change"] < 0.002  # of the 27 % that the turn changes
    flickers = [look(120 * (1.25 if frame % 2 else 0.75)) for frame in range(60)]
    assert summarise(flickers, directions(yaw))["light_change"] == pytest.approx(0.25, abs=0.03)


def test_blur_and_a_moving_background_are_seen() -> None:
    frames = [look(sharpness=1.0 if n % 4 == 0 else 5.0, behind=80.0 + n) for n in range(40)]
    found = summarise(frames, directions(torch.zeros(40)))
    assert found["blurred_share"] == pytest.approx(0.25)
    assert found["background_change"] == pytest.approx(18, abs=2.5)


def test_a_frame_is_looked_at_where_the_face_is() -> None:
    picture = torch.full((64, 64, 3), 30, dtype=torch.uint8)
    labels = torch.zeros(64, 64, dtype=torch.uint8)
    labels[16:48, 16:48] = Label.SKIN
    picture[16:48, 16:48] = 200
    picture[16:48, 16:24] = 255
    found = frame_look(picture, labels, labels > 0, 0.9)
    assert found.clipped == pytest.approx(0.25)
    assert found.median == pytest.approx(200, abs=1)
    assert found.brightness == pytest.approx(0.75 * 200 + 0.25 * 255, abs=1)
    known = found.background[found.background.isfinite()]
    assert 0 < len(known) < 256
    assert float((known - 30).abs().max()) < 0.5
