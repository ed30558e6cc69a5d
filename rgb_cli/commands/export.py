"""`rgb export`: the avatar for other programs."""

from pathlib import Path
from typing import Annotated

import typer

from ..console import Reporter
from ..options import AvatarFolder, Json, Quiet


def export(
    avatar: AvatarFolder,
    out: Annotated[Path, typer.Option("--out", "-o", help="File to write.")],
    kind: Annotated[
        str | None,
        typer.Option(
            "--format", help="html (page), ply (3D Gaussian splats), glb or obj (mesh); default by file name."
        ),
    ] = None,
    dataset: Annotated[Path | None, typer.Option("--dataset", help="Take the pose from this clip.")] = None,
    frame: Annotated[str | None, typer.Option("--frame", help="Frame id of that clip; default its first.")] = None,
    envmap: Annotated[
        str | None,
        typer.Option("--envmap", "-e", help="Light of the splats; default the one the avatar was fitted under."),
    ] = None,
    quiet: Quiet = False,
    as_json: Json = False,
) -> None:
    """Write the avatar as one page to open in any browser; one posed, lit frame as splats; or the mesh.

    Example: rgb export avatar -o head.html
    """
    from rgb_core.avatar import load_avatar
    from rgb_core.data import load_dataset
    from rgb_core.errors import InputError
    from rgb_core.exporting import AVATAR_EXPORTERS, EXPORTERS
    from rgb_core.exporting.avatar_scene import export_scene
    from rgb_core.rendering import Renderer, clip_shots, turntable
    from rgb_core.scene import Light

    chosen = kind or out.suffix.removeprefix(".").lower()
    if chosen not in {**EXPORTERS, **AVATAR_EXPORTERS}:
        raise InputError(
            f"no export format '{chosen}': choose one of {', '.join({**AVATAR_EXPORTERS, **EXPORTERS})} with --format"
        )
    if frame is not None and dataset is None:
        raise InputError("--frame names a frame of a clip: give the clip with --dataset")
    model = load_avatar(avatar)
    result = {"file": str(out), "format": chosen, "gaussians": model.count}
    if chosen in AVATAR_EXPORTERS:
        if dataset is not None or envmap is not None:
            raise InputError(
                f"{chosen} holds the whole avatar: --dataset, --frame and --envmap choose one frame for a .ply"
            )
        AVATAR_EXPORTERS[chosen](model, out)
        Reporter(quiet, as_json).result("exported", {**result, "megabytes": round(out.stat().st_size / 1e6, 1)})
        return
    light = Light.load(envmap) if envmap else None
    if dataset is None:
        shot = turntable(model, 1)[0]
    else:
        clip = load_dataset(dataset)
        shot = clip_shots(model, clip, [clip.frame(frame) if frame else clip.all_frames[0]])[0]
    EXPORTERS[chosen](export_scene(Renderer(model), shot, light), out)
    Reporter(quiet, as_json).result("exported", result)
