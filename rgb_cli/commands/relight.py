"""`rgb relight`: the avatar under any environment map."""

import math
from pathlib import Path
from typing import Annotated

import typer

from ..console import Reporter
from ..options import AvatarFolder, Device, DeviceOption, Force, Json, NoVisibility, Out, Quiet
from ..sequences import parse_range, written


def relight(
    avatar: AvatarFolder,
    envmap: Annotated[
        str,
        typer.Option("--envmap", "-e", help="A built-in light (studio, window, sunset, ring, sun) or .hdr/.exr file."),
    ],
    out: Out,
    dataset: Annotated[
        Path | None, typer.Option("--dataset", help="Follow this clip; without it the head turns left and right.")
    ] = None,
    frames: Annotated[str | None, typer.Option("--frames", help="Frames of the clip, as in 0:100.")] = None,
    count: Annotated[int, typer.Option("--count", min=1, help="Frames of the turning head.")] = 60,
    turns: Annotated[float, typer.Option("--turns", help="Full turns of the light; 0 keeps it still.")] = 1.0,
    yaw: Annotated[
        float, typer.Option("--yaw", help="Degrees the light is turned about the vertical at the start.")
    ] = 0.0,
    exposure: Annotated[float, typer.Option("--exposure", help="Stops brighter (or darker, negative).")] = 0.0,
    plain: Annotated[bool, typer.Option("--plain", help="Black instead of the environment behind the head.")] = False,
    size: Annotated[int | None, typer.Option("--size", min=16, help="Pixels of the longer side.")] = None,
    fps: Annotated[float, typer.Option("--fps", min=1, help="Frames per second of the video.")] = 25.0,
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
    from rgb_core.data import load_dataset
    from rgb_core.devices import resolve_device
    from rgb_core.exporting.sequence import write_sequence
    from rgb_core.fingerprints import files_in
    from rgb_core.rendering import Renderer, Staging, at_size, clip_shots, turntable
    from rgb_core.scene import Light

    where = resolve_device(device)
    model = load_avatar(avatar)
    light = Light.load(envmap)
    if dataset is None:
        shots = turntable(model, count)
    else:
        clip = load_dataset(dataset)
        chosen = [clip.all_frames[index] for index in parse_range(frames, len(clip.all_frames))]
        shots = clip_shots(model, clip, chosen)
    staging = Staging(light, turns, math.radians(yaw), exposure, not plain)
    renderer = Renderer(model.to(where), False if no_visibility else None)
    reporter = Reporter(quiet, as_json)
    with reporter.live():
        files = write_sequence(
            renderer, at_size(shots, size), staging, out, fps, reporter, [files_in(avatar), no_visibility], force
        )
    reporter.result("relit", written(files))
