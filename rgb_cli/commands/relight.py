"""`rgb relight`: the avatar under any environment map."""

import math
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..console import Reporter
from ..options import (
    AvatarFolder,
    Device,
    DeviceOption,
    Force,
    Json,
    LongerSide,
    NoVisibility,
    Out,
    Quiet,
    Yaw,
    within,
)
from ..sequences import parse_range, written

if TYPE_CHECKING:
    from rgb_core.avatar import Avatar
    from rgb_core.rendering import Shot

_RATE, _COUNT = 25.0, 60  # frames per second, and frames, of the turning head
_Turns = Annotated[
    float,
    typer.Option("--turns", parser=within(-100, 100), metavar="N", help="Full turns of the light; 0 keeps it still."),
]
_Exposure = Annotated[
    float,
    typer.Option("--exposure", parser=within(-20, 20), metavar="STOPS", help="Brighter, or darker where negative."),
]
_FramesPerSecond = Annotated[
    float | None,
    typer.Option("--fps", parser=within(1, 240), metavar="FPS", help="Frames per second; default the clip's, or 25."),
]


def relight(
    avatar: AvatarFolder,
    envmap: Annotated[
        str,
        typer.Option(
            "--envmap",
            "-e",
            help="A built-in light (studio, window, sunset, ring, sun) or an .hdr, .exr, .png or .jpg file.",
        ),
    ],
    out: Out,
    dataset: Annotated[
        Path | None, typer.Option("--dataset", help="Follow this clip; without it the head turns left and right.")
    ] = None,
    frames: Annotated[str | None, typer.Option("--frames", help="Frames of the clip, as in 0:100.")] = None,
    count: Annotated[
        int | None, typer.Option("--count", min=1, max=100_000, help=f"Frames of the turning head; default {_COUNT}.")
    ] = None,
    turns: _Turns = 1.0,
    yaw: Yaw = 0.0,
    exposure: _Exposure = 0.0,
    plain: Annotated[bool, typer.Option("--plain", help="Black instead of the environment behind the head.")] = False,
    size: LongerSide = None,
    fps: _FramesPerSecond = None,
    no_visibility: NoVisibility = False,
    device: DeviceOption = Device.auto,
    force: Force = False,
    quiet: Quiet = False,
    as_json: Json = False,
) -> None:
    """Relight an avatar: PNG frames and a video under an environment map that turns around the head.

    Example: rgb relight avatar --envmap sunset -o relit
    """
    from rgb_core.avatar import load_avatar
    from rgb_core.devices import resolve_device
    from rgb_core.exporting.sequence import write_sequence
    from rgb_core.fingerprints import files_in
    from rgb_core.rendering import Renderer, Staging, at_size
    from rgb_core.scene import Light

    _check(dataset, frames, count)
    model = load_avatar(avatar)
    light = Light.load(envmap)
    shots, rate = _motion(model, dataset, frames, count)
    staging = Staging(light, turns, math.radians(yaw), exposure, not plain)
    renderer = Renderer(model.to(resolve_device(device)), False if no_visibility else None)
    reporter = Reporter(quiet, as_json)
    with reporter.live():
        files = write_sequence(
            renderer,
            at_size(shots, size),
            staging,
            out,
            fps or rate,
            reporter,
            [files_in(avatar), no_visibility],
            force,
        )
    reporter.result("relit", written(files))


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
