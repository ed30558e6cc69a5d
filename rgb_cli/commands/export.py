"""`rgb export`: the avatar for other programs."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..console import Reporter
from ..options import AvatarFolder, Json, Quiet
from ..sequences import parse_range

if TYPE_CHECKING:
    from rgb_core.avatar import Avatar
    from rgb_core.data import Dataset, Frame

_FORMATS = (
    "html (page to open in any browser), glb (head mesh with skin, expressions and textures), ply, spz or glb-splats "
    "(Gaussians, lit), obj (posed mesh); default by file name."
)


def export(
    avatar: AvatarFolder,
    out: Annotated[Path, typer.Option("--out", "-o", help="File to write.")],
    kind: Annotated[str | None, typer.Option("--format", help=_FORMATS)] = None,
    dataset: Annotated[
        Path | None, typer.Option("--dataset", help="Take the pose, or the motion of an html or glb, from this clip.")
    ] = None,
    frame: Annotated[str | None, typer.Option("--frame", help="Frame id of that clip; default its first.")] = None,
    frames: Annotated[
        str | None,
        typer.Option(
            "--frames",
            help="Frames of the clip, as in 0:100, for the motion of an html or glb; else a numbered file for each.",
        ),
    ] = None,
    envmap: Annotated[
        str | None,
        typer.Option("--envmap", "-e", help="Light of the Gaussians; default the one the avatar was fitted under."),
    ] = None,
    up: Annotated[
        str | None,
        typer.Option("--up", help="Axis that points up in the file: y, -y or z; default -y for ply, else y."),
    ] = None,
    quiet: Quiet = False,
    as_json: Json = False,
) -> None:
    """Write the avatar as one page for any browser, as a rigged mesh, or as Gaussians under one light.

    Example: rgb export avatar -o head.html
    """
    from rgb_core.avatar import load_avatar
    from rgb_core.data import load_dataset
    from rgb_core.exporting import AVATAR_EXPORTERS, UP_OF_FORMAT

    chosen = _format(kind, out)
    _check(chosen, up, dataset, frame, frames, envmap)
    model = load_avatar(avatar)
    clip = None if dataset is None else load_dataset(dataset)
    picked = [] if clip is None else [clip.all_frames[index] for index in parse_range(frames, len(clip.all_frames))]
    reporter = Reporter(quiet, as_json)
    if chosen in AVATAR_EXPORTERS:
        _whole(model, clip, picked, chosen, out)
        written = [out]
    else:
        if clip is not None and frames is None:
            picked = [clip.frame(frame) if frame else clip.all_frames[0]]
        written = _posed(
            model, clip, picked, frames is not None, chosen, out, envmap, up or UP_OF_FORMAT.get(chosen, "y")
        )
    size = round(sum(path.stat().st_size for path in written) / 1e6, 2)
    reporter.result(
        "exported",
        {"file": str(written[0]), "files": len(written), "format": chosen, "gaussians": model.count, "MB": size},
    )


def _format(named: str | None, out: Path) -> str:
    """The format that --format names, else the one that the file's name ends in.

    Raises:
        InputError: when there is no such format, or when the two contradict each other.
    """
    from rgb_core.errors import InputError, did_you_mean
    from rgb_core.exporting import AVATAR_EXPORTERS, EXPORTERS

    known = (*AVATAR_EXPORTERS, *EXPORTERS)
    ending = out.suffix.removeprefix(".").lower()
    chosen = named or ending
    if chosen not in known:
        raise InputError(
            f"no export format '{chosen}'{did_you_mean(chosen, known)}: choose one of {', '.join(known)} with --format"
        )
    if ending in known and ending not in (chosen, chosen.removesuffix("-splats")):
        raise InputError(f"--format {chosen} does not go with {out}, which ends in .{ending}: rename the file")
    return chosen


def _check(
    chosen: str, up: str | None, dataset: Path | None, frame: str | None, frames: str | None, envmap: str | None
) -> None:
    """Refuse options that do not go together."""
    from rgb_core.errors import InputError
    from rgb_core.exporting import AVATAR_EXPORTERS, UP_AXES

    if dataset is None and (frame is not None or frames is not None):
        raise InputError("--frame and --frames name frames of a clip: give the clip with --dataset")
    if frame is not None and frames is not None:
        raise InputError("--frame takes one frame and --frames several: give one of the two")
    if chosen == "obj" and envmap is not None:
        raise InputError("an obj holds no light: --envmap is for Gaussians")
    if up is not None and up not in UP_AXES:
        raise InputError(f"--up {up} is none of {', '.join(UP_AXES)}")
    if chosen in AVATAR_EXPORTERS and not (envmap is up is frame is None):
        raise InputError(
            f"{chosen} holds the whole avatar: --envmap is for Gaussians, --up and --frame for Gaussians and obj"
        )


def _whole(model: "Avatar", clip: "Dataset | None", frames: "list[Frame]", kind: str, out: Path) -> None:
    """Write a format of a whole avatar, with the motion of `frames` where there is a clip."""
    from rgb_core.exporting import AVATAR_EXPORTERS
    from rgb_core.heads import Motion, Pose
    from rgb_core.rendering import clip_shots

    motion = None
    if clip is not None:
        poses = [shot.pose for shot in clip_shots(model, clip, frames)]
        motion = Motion(clip.folder.name, Pose.stack(poses), clip.fps)
    AVATAR_EXPORTERS[kind](model, out, motion)


def _posed(
    model: "Avatar",
    clip: "Dataset | None",
    frames: "list[Frame]",
    numbered: bool,
    kind: str,
    out: Path,
    envmap: str | None,
    axis: str,
) -> list[Path]:
    """Write a format of one frame for each of `frames`, or of the upright head where there is no clip."""
    from rgb_core.exporting import EXPORTERS, UP_AXES
    from rgb_core.exporting.avatar_scene import export_scene, upright_shot
    from rgb_core.rendering import Renderer, clip_shots
    from rgb_core.scene import Light

    light = Light.load(envmap) if envmap else None
    renderer = Renderer(model)
    shots = [upright_shot(model)] if clip is None else clip_shots(model, clip, frames)
    written = []
    for index, shot in enumerate(shots):
        path = out.with_name(f"{out.stem}_{index:05d}{out.suffix}") if numbered else out
        EXPORTERS[kind](export_scene(renderer, shot, light).turned(UP_AXES[axis]), path)
        written.append(path)
    return written
