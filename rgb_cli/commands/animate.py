"""`rgb animate`: the avatar driven by another clip."""

import math
from pathlib import Path
from typing import Annotated

import typer

from ..console import Reporter
from ..options import AvatarFolder, Device, DeviceOption, Force, Json, LongerSide, Out, Quiet, Yaw
from ..sequences import parse_range, written


def animate(
    avatar: AvatarFolder,
    drive: Annotated[Path, typer.Option("--drive", help="Dataset folder whose motion the avatar follows.")],
    out: Out,
    frames: Annotated[str | None, typer.Option("--frames", help="Frames of the driving clip, as in 0:100.")] = None,
    envmap: Annotated[
        str | None, typer.Option("--envmap", "-e", help="Light; without it the one the avatar was fitted under.")
    ] = None,
    yaw: Yaw = 0.0,
    size: LongerSide = None,
    device: DeviceOption = Device.auto,
    force: Force = False,
    quiet: Quiet = False,
    as_json: Json = False,
) -> None:
    """Drive an avatar with the expressions and head motion of another clip, also of another head model.

    ARKit names carry over between models; unnamed expressions go by least squares on vertices.

    Example: rgb animate avatar --drive other_subject -o animated
    """
    from rgb_core.avatar import load_avatar
    from rgb_core.data import load_dataset
    from rgb_core.devices import resolve_device
    from rgb_core.exporting.sequence import write_sequence
    from rgb_core.fingerprints import files_in
    from rgb_core.rendering import Renderer, Staging, at_size, retarget
    from rgb_core.scene import Light

    where = resolve_device(device)
    model = load_avatar(avatar)
    clip = load_dataset(drive)
    light = Light.load(envmap) if envmap else None
    chosen = [clip.all_frames[index] for index in parse_range(frames, len(clip.all_frames))]
    shots = at_size(retarget(model, clip, chosen), size)
    staging = Staging(light, yaw=math.radians(yaw), background=envmap is not None)
    reporter = Reporter(quiet, as_json)
    with reporter.live():
        files = write_sequence(
            Renderer(model.to(where)), shots, staging, out, clip.fps, reporter, files_in(avatar), force
        )
    reporter.result("animated", written(files))
