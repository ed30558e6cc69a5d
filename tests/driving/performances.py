"""A recording of Live Link Face whose values are known."""

import math
from pathlib import Path

from rgb_core.heads.arkit import ARKIT_NAMES

ANGLES = ("HeadYaw", "HeadPitch", "HeadRoll", *(f"{side}Eye{angle}" for side in ("Left", "Right")
          for angle in ("Yaw", "Pitch", "Roll")))  # fmt: skip


def performance(frame: int) -> dict[str, float]:
    """What the phone saw in a frame: a jaw that opens, a growing smile, a blink, a turning head."""
    return {
        "JawOpen": 0.5 * math.sin(frame / 4) ** 2,
        "MouthSmileLeft": frame / 12,
        "MouthSmileRight": frame / 12,
        "EyeBlinkLeft": float(frame in (5, 6)),
        "EyeBlinkRight": float(frame in (5, 6)),
        "HeadYaw": 0.3 * math.sin(frame / 3),
    }


def columns() -> list[str]:
    """The app's titles."""
    return ["Timecode", "BlendShapeCount", *(name[0].upper() + name[1:] for name in ARKIT_NAMES), *ANGLES]


def row(code: str, values: dict[str, float]) -> str:
    """A line of the CSV; what is not given is 0."""
    return ",".join([code, "61", *(f"{values.get(title, 0.0):.9f}" for title in columns()[2:])])


def write_take(path: Path, frames: int = 12, start: str = "\ufeff", ending: str = "\r\n") -> Path:
    """A recording as Windows may keep it, with a byte order mark."""
    lines = [",".join(columns()), *(row(f"12:00:00:{frame:02d}.000", performance(frame)) for frame in range(frames))]
    path.write_bytes((start + ending.join(lines) + ending).encode())
    return path
