"""Driving an avatar: every kind of performance becomes a motion of the avatar's own head.

To add a kind, write a module with its reader and add a line to `SOURCES`.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from ..avatar import Avatar
from ..data import load_dataset
from ..data.dataset import FILE_NAME
from ..errors import InputError
from ..heads import Motion
from ..progress import Progress
from ..rendering import Shot
from ..tracking.detect.detector import FaceDetector
from ..tracking.detect.picture_folder import SUFFIXES
from .coefficients import read_coefficients
from .keyframes import read_keyframes
from .livelink import read_livelink
from .recording import Recording
from .retarget import follow_clip, follow_recording
from .tidy import DEFAULT_SMOOTHING, Tidying, tidy
from .video import track_performance


@dataclass(frozen=True)
class DriveOptions:
    """What a user can choose about a performance."""

    work: Path
    """Folder for what has to be kept of it: the tracking of a video."""
    start: float = 0.0
    """Second to begin at."""
    end: float | None = None
    """Second to end at; None is the end."""
    neutral: bool = True
    """See `Tidying`."""
    smooth: float | None = None
    """See `Tidying`; None smooths what was recorded by the usual amount, and what was written by hand not at all."""
    clamp: bool = True
    """See `Tidying`."""
    force: bool = False
    """Replace the tracking of another video."""
    detector: FaceDetector | None = field(default=None, repr=False)
    """What finds faces in a video; None for the usual one."""


class Source(NamedTuple):
    """One kind of performance."""

    what: str
    """What a user gives."""
    matches: Callable[[Path], bool]
    """Whether an existing file or folder is of this kind."""
    read: Callable[[Path, Avatar, DriveOptions, Progress], Motion]
    """The motion of the avatar, not yet tidied."""
    recorded: bool = True
    """False where somebody wrote the numbers, which then mean what they say."""
    cut: bool = False
    """Whether `read` has left out what lies before the start and after the end."""


def load_motion(path: Path, avatar: Avatar, options: DriveOptions, progress: Progress) -> Motion:
    """What a dataset folder, a file or a video makes the avatar do.

    Raises:
        InputError: when the source is of no kind that is known, cannot be read, or has nothing that the avatar can do.
    """
    path = Path(path)
    if not path.exists():
        kinds = ", ".join(source.what for source in SOURCES)
        raise InputError(f"{path} does not exist; an avatar is driven by one of: {kinds}")
    source = next(source for source in SOURCES if source.matches(path))
    motion = source.read(path, avatar, options, progress)
    usual = DEFAULT_SMOOTHING if source.recorded else 0.0
    smooth = usual if options.smooth is None else options.smooth
    tidied = tidy(motion, avatar, Tidying(options.neutral and source.recorded, smooth, options.clamp), progress)
    return tidied if source.cut else _between(tidied, options)


def shots_of(avatar: Avatar, motion: Motion) -> list[Shot]:
    """Every frame of a motion before the camera of the avatar's portrait."""
    return [Shot(motion.poses.rows(index), avatar.portrait.camera) for index in range(motion.frames)]


def _between(motion: Motion, options: DriveOptions) -> Motion:
    """The frames from the start to the end."""
    first = round(options.start * motion.fps)
    last = motion.frames if options.end is None else min(round(options.end * motion.fps), motion.frames)
    if first >= last:
        raise InputError(
            f"no frame of {motion.name}, which lasts {motion.frames / motion.fps:.2f} s, lies between --start and --end"
        )
    return Motion(motion.name, motion.poses.rows(slice(first, last)), motion.fps)


def _suffix(*suffixes: str) -> Callable[[Path], bool]:
    return lambda path: path.suffix.lower() in suffixes and not path.is_dir()


def _is_dataset(path: Path) -> bool:
    """Folders but those of pictures alone, which are videos."""
    if not path.is_dir():
        return False
    return (path / FILE_NAME).exists() or not any(file.suffix.lower() in SUFFIXES for file in path.iterdir())


SOURCES: tuple[Source, ...] = (
    Source(
        "the folder of a dataset",
        _is_dataset,
        lambda path, avatar, options, progress: follow_clip(avatar, load_dataset(path, pictures=False)),
    ),
    Source(
        "a .csv of Live Link Face",
        _suffix(".csv"),
        lambda path, avatar, options, progress: follow_recording(avatar, read_livelink(path, progress)),
    ),
    Source(
        "a .json of coefficients",
        _suffix(".json"),
        lambda path, avatar, options, progress: follow_recording(avatar, read_coefficients(path, avatar.head)),
    ),
    Source(
        "a .yaml of keyframes",
        _suffix(".yaml", ".yml"),
        lambda path, avatar, options, progress: follow_recording(avatar, read_keyframes(path, avatar.head)),
        recorded=False,
    ),
    Source(
        "a video",
        lambda path: True,
        lambda path, avatar, options, progress: track_performance(
            path, avatar, options.work, (options.start, options.end), progress, options.detector, options.force
        ),
        cut=True,
    ),
)
"""In the order in which they are asked; the first that matches reads."""

__all__ = [
    "SOURCES",
    "DriveOptions",
    "Motion",
    "Recording",
    "Source",
    "load_motion",
    "shots_of",
]
