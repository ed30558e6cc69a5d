"""What a tracked clip is good for, in sentences: what will limit the avatar, and what to film differently."""

from collections.abc import Mapping
from typing import Any, NamedTuple

GREEN, YELLOW, RED = "green", "yellow", "red"


class Finding(NamedTuple):
    """One thing about a clip: `level` is green (good), yellow (will limit the avatar) or red (film again)."""

    level: str
    about: str
    sentence: str


class _Scale(NamedTuple):
    """Values from which on a figure is yellow and red; where `red` is smaller, falling below them is."""

    yellow: float
    red: float

    def level(self, value: float) -> str:
        sign = 1 if self.red > self.yellow else -1
        if sign * value >= sign * self.red:
            return RED
        return YELLOW if sign * value >= sign * self.yellow else GREEN


_FRAMES = _Scale(100, 30)
_LEFT_OUT = _Scale(0.1, 0.4)  # share of the frames
_OTHERS = _Scale(0.001, 0.5)
_FACE = _Scale(140, 60)  # pixels
_YAW = _Scale(25, 12)  # degrees from the farthest left to the farthest right
_PITCH = _Scale(12, 4)
_MOUTH = _Scale(0.25, 0.1)  # of jawOpen
_LANDMARKS = _Scale(0.02, 0.04)  # of the face's size
_OVERLAP = _Scale(0.9, 0.8)
_JITTER = _Scale(0.5, 1.5)  # degrees per frame squared, of 25 frames a second
_USUAL_RATE = 25.0
_CLIPPED = _Scale(0.02, 0.1)  # share of the face's pixels
_DARK = _Scale(45, 20)  # median of the face, of 255
_LIGHT = _Scale(0.06, 0.15)  # change of the face's brightness that turning does not explain
_BEHIND = _Scale(8, 25)  # change of the background, of 255
_BLURRED = _Scale(0.1, 0.4)  # share of the frames


def verdict(record: Mapping[str, Any]) -> list[Finding]:
    """Findings about the record of `quality.json`, the worst first."""
    found = [*_about_frames(record), *_about_motion(record), *_about_pictures(record), *_about_fit(record)]
    return sorted(found, key=lambda finding: (RED, YELLOW, GREEN).index(finding.level))


def _judged(about: str, scale: _Scale, value: float, good: str, bad: str) -> Finding:
    level = scale.level(value)
    return Finding(level, about, good if level == GREEN else bad)


def _about_frames(record: Mapping[str, Any]) -> list[Finding]:
    decoded, kept = record["frames"]["decoded"], record["frames"]["kept"]
    lost = 1 - kept / decoded
    others = record["frames_with_other_faces"] / decoded
    size = record["face_size_px"]
    reasons = ", ".join(record["dropped"]) or "none"
    return [
        _judged("length", _FRAMES, kept, f"{kept} frames are enough",
                f"{kept} frames only: film ten to twenty seconds"),
        _judged("frames left out", _LEFT_OUT, lost, f"{kept} of {decoded} frames are used",
                f"{lost:.0%} of the frames are left out ({reasons}): keep the face in the picture"),
        _judged("other people", _OTHERS, others, "nobody else is in the picture",
                f"{others:.0%} of the frames show somebody else: film one person alone"),
        _judged("size", _FACE, size, f"the face is {size:.0f} pixels large",
                f"the face is {size:.0f} pixels large: go nearer, or film at a higher resolution"),
    ]  # fmt: skip


def _about_motion(record: Mapping[str, Any]) -> list[Finding]:
    yaw, pitch = (record["coverage"][key][1] - record["coverage"][key][0] for key in ("yaw_deg", "pitch_deg"))
    found = [
        _judged("turning", _YAW, yaw, f"the head turns by {yaw:.0f} degrees",
                f"the head turns by {yaw:.0f} degrees only: light and albedo will not separate, sides will be guessed; "
                "film again, turning left and right"),
        _judged("nodding", _PITCH, pitch, f"the head nods by {pitch:.0f} degrees",
                f"the head nods by {pitch:.0f} degrees only: film again, looking up and down"),
    ]  # fmt: skip
    opened = record["mouth_opens"]
    if opened is not None:
        found.append(
            _judged("mouth", _MOUTH, opened, "the mouth opens wide enough to show its inside",
                    "the mouth hardly opens: its inside will be guessed; film again, talking and laughing")
        )  # fmt: skip
    return found


def _about_pictures(record: Mapping[str, Any]) -> list[Finding]:
    look = record["pictures"]
    clipped, dark, light = look["clipped_share"], look["face_median"], look["light_change"]
    return [
        _judged("exposure", _CLIPPED, clipped, "the face is well exposed",
                f"{clipped:.0%} of the face is overexposed: white skin has no albedo; lower the exposure"),
        _judged("brightness", _DARK, dark, "the face is bright enough",
                f"the face is dark ({dark:.0f} of 255): noise will be taken for texture; add light"),
        _judged("light", _LIGHT, light, "the light stands still",
                f"the face's brightness changes by {light:.0%} beyond what turning does: the light or the exposure "
                "moves; fix both"),
        _judged("camera", _BEHIND, look["background_change"], "the background stands still",
                f"the background changes (by {look['background_change']:.0f} of 255): a moving camera is taken for a "
                "moving head and light; use a tripod"),
        _judged("sharpness", _BLURRED, look["blurred_share"], "the frames are evenly sharp",
                f"{look['blurred_share']:.0%} of the frames are blurred by motion or focus: turn slowly, "
                "lock the focus"),
    ]  # fmt: skip


def _about_fit(record: Mapping[str, Any]) -> list[Finding]:
    error = record["landmark_error_px"]["all"]["median"] / record["face_size_in_pictures_px"]
    overlap = record["face_overlap"]["mean"]
    jitter = record["jitter"]["rotation_deg"] * (record["fps"] / _USUAL_RATE) ** 2
    return [
        _judged("landmarks", _LANDMARKS, error, f"landmarks are met within {error:.1%} of the face",
                f"landmarks are missed by {error:.1%} of the face: glasses, hair or hands may hide it"),
        _judged("outline", _OVERLAP, overlap, "the mesh fills the face's outline",
                f"mesh and face overlap by {overlap:.2f} only: the outline of the avatar will be soft"),
        _judged("steadiness", _JITTER, jitter, "the pose is steady",
                f"the pose trembles by {jitter:.1f} degrees: the clip is noisy, dark or fast"),
    ]  # fmt: skip
