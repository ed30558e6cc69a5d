"""`rgb relight`: the avatar in any light."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..film_options import FilmOptions, make_film, with_film_options
from ..options import AvatarFolder, Out
from ..sequences import parse_range

if TYPE_CHECKING:
    from rgb_core.avatar import Avatar
    from rgb_core.rendering import Shot

_RATE, _COUNT = 25.0, 60  # frames per second, and frames, of the turning head


@with_film_options
def relight(
    avatar: AvatarFolder,
    out: Out,
    film: FilmOptions,
    dataset: Annotated[
        Path | None,
        typer.Option("--dataset", help="Follow this clip, as in --dataset demo/dataset; else the head turns."),
    ] = None,
    frames: Annotated[str | None, typer.Option("--frames", help="Frames of the clip, as in --frames 0:100.")] = None,
    count: Annotated[
        int | None,
        typer.Option(
            "--count", min=1, max=100_000, help=f"Frames of the turning head, as in --count 100; default {_COUNT}."
        ),
    ] = None,
) -> None:
    """Relight an avatar: pictures and a video of it in any light, which turns around the head once.

    Example: rgb relight avatar --envmap sunset -o relit

    Example: rgb relight avatar --lamp 60,20,10 --lamp -120,30,30,#4060ff,-1 -o lamps

    Example: rgb relight avatar -e window --turns 0 --orbit 360 --background none --format prores,png -o cutout

    Example: rgb relight avatar -o quick --size 256 --no-visibility --sheet --device cpu --force --quiet --json
    """
    _check(dataset, frames, count)

    def motion(model: "Avatar") -> "tuple[list[Shot], float]":
        return _motion(model, dataset, frames, count)

    make_film(avatar, out, film, motion, "relit", turns=1.0)


def _check(dataset: Path | None, frames: str | None, count: int | None) -> None:
    """Refuse options that contradict each other, before anything is read."""
    from rgb_core.errors import InputError

    if dataset is None and frames is not None:
        raise InputError(
            "--frames chooses frames of a clip: give the clip with --dataset, or --count for the turning head"
        )
    if dataset is not None and count is not None:
        raise InputError("--count is for the turning head, without --dataset; --frames chooses frames of the clip")


def _motion(model: "Avatar", dataset: Path | None, frames: str | None, count: int | None) -> "tuple[list[Shot], float]":
    """The shots of a clip, or of the turning head, and how many there are a second."""
    from rgb_core.data import load_dataset
    from rgb_core.rendering import clip_shots, turntable

    if dataset is None:
        return turntable(model, count or _COUNT), _RATE
    clip = load_dataset(dataset)
    chosen = [clip.all_frames[index] for index in parse_range(frames, len(clip.all_frames))]
    return clip_shots(model, clip, chosen), clip.fps
