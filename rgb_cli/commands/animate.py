"""`rgb animate`: the avatar driven by another clip."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..film_options import FilmOptions, make_film, with_film_options
from ..options import AvatarFolder, Out
from ..sequences import parse_range

if TYPE_CHECKING:
    from rgb_core.avatar import Avatar
    from rgb_core.rendering import Shot


@with_film_options
def animate(
    avatar: AvatarFolder,
    drive: Annotated[
        Path, typer.Option("--drive", help="Dataset folder whose motion the avatar follows, as in --drive subject.")
    ],
    out: Out,
    film: FilmOptions,
    frames: Annotated[
        str | None, typer.Option("--frames", help="Frames of the driving clip, as in --frames 0:100.")
    ] = None,
) -> None:
    """Drive an avatar with the expressions and head motion of another clip, also of another head model.

    ARKit names carry over between models; unnamed expressions go by least squares on vertices.

    Example: rgb animate avatar --drive other_subject -o animated

    Example: rgb animate avatar --drive other_subject -e studio --background map --sheet -o studio

    Example: rgb animate avatar --drive clip -o quick --size 256 --no-visibility --device cpu --force --quiet --json
    """

    def motion(model: "Avatar") -> "tuple[list[Shot], float]":
        shots, fps = _driven(model, drive, frames)
        return shots, fps

    make_film(avatar, out, film, motion, "animated")


def _driven(model: "Avatar", drive: Path, frames: str | None) -> "tuple[list[Shot], float]":
    """The shots of a clip's motion on the avatar, and how many there are a second."""
    from rgb_core.data import load_dataset
    from rgb_core.rendering import retarget

    clip = load_dataset(drive)
    chosen = [clip.all_frames[index] for index in parse_range(frames, len(clip.all_frames))]
    return retarget(model, clip, chosen), clip.fps
