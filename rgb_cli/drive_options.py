"""The options of `rgb animate` about who moves the head, and the shots they ask for."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NamedTuple

import typer

from .console import Reporter
from .options import within
from .sequences import parse_range

if TYPE_CHECKING:
    from rgb_core.avatar import Avatar
    from rgb_core.rendering import Shot

    from .film_options import FilmOptions

_PANEL = "Performance"
Drive = Annotated[
    Path,
    typer.Option(
        "--drive",
        metavar="SOURCE",
        help="What the avatar follows: a dataset folder, a Live Link Face .csv, a .json of coefficients, a .yaml of "
        "keyframes, or a video, which is tracked into OUT.tracking first, as in --drive take.csv.",
    ),
]
DriveFrames = Annotated[
    str | None,
    typer.Option(
        "--frames",
        rich_help_panel=_PANEL,
        help="Frames of what is followed, as in --frames 0:100; ::2 takes every second.",
    ),
]
Start = Annotated[
    float,
    typer.Option(
        "--start", parser=within(0, 1e6), metavar="SECONDS", rich_help_panel=_PANEL,
        help="Second of the source to begin at, as in --start 1.5.",
    ),
]  # fmt: skip
End = Annotated[
    float | None,
    typer.Option(
        "--end", parser=within(0, 1e6), metavar="SECONDS", rich_help_panel=_PANEL,
        help="Second of the source to end at, as in --end 4; of a video no more is tracked.",
    ),
]  # fmt: skip
NoNeutral = Annotated[
    bool,
    typer.Option(
        "--no-neutral", rich_help_panel=_PANEL,
        help="Keep what the performer's face does at rest, as the source has it.",
    ),
]  # fmt: skip
NoClamp = Annotated[
    bool,
    typer.Option(
        "--no-clamp", rich_help_panel=_PANEL,
        help="Let expressions and joints leave the range that the avatar was fitted to.",
    ),
]  # fmt: skip
Smooth = Annotated[
    float | None,
    typer.Option(
        "--smooth", parser=within(0.1, 100), metavar="FRAMES", rich_help_panel=_PANEL,
        help="How much noise is smoothed, as in --smooth 2: a standard deviation in frames of the source; default 1, "
        "and none for keyframes.",
    ),
]  # fmt: skip
NoSmooth = Annotated[bool, typer.Option("--no-smooth", rich_help_panel=_PANEL, help="Smooth nothing.")]


class Driving(NamedTuple):
    """The values of those options."""

    source: Path
    frames: str | None
    start: float
    end: float | None
    no_neutral: bool
    no_clamp: bool
    smooth: float | None
    no_smooth: bool


def driven(avatar: "Avatar", driving: Driving, out: Path, film: "FilmOptions") -> tuple[list["Shot"], float]:
    """The shots of an avatar that follows a source, and how many there are a second.

    Raises:
        InputError: when the source cannot drive the avatar, or no frame is chosen.
    """
    from rgb_core.driving import DriveOptions, load_motion, shots_of
    from rgb_core.errors import InputError

    if driving.no_smooth and driving.smooth is not None:
        raise InputError("--smooth and --no-smooth exclude each other: give one of them")
    options = DriveOptions(
        work=out.absolute().parent / f"{out.absolute().name}.tracking",
        start=driving.start,
        end=driving.end,
        neutral=not driving.no_neutral,
        smooth=0.0 if driving.no_smooth else driving.smooth,
        clamp=not driving.no_clamp,
        force=film.force,
    )
    reporter = Reporter(film.quiet, film.as_json)
    with reporter.live():
        motion = load_motion(driving.source, avatar, options, reporter)
    shots = shots_of(avatar, motion)
    return [shots[index] for index in parse_range(driving.frames, len(shots))], motion.fps
