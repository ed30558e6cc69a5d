"""`rgb head`: convert a head model to head.npz, and say what a head model holds."""

from collections import Counter
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..console import Reporter
from ..options import Json, Quiet

if TYPE_CHECKING:
    from rgb_core.heads import HeadModel

head = typer.Typer(
    help="Convert head models of other programs, or say what one holds.\n\nExample: rgb head info head.npz",
    no_args_is_help=True,
)


class FlameVersion(StrEnum):
    """Which FLAME a file holds."""

    flame2020 = "flame2020"
    flame2023 = "flame2023"


@head.command()
def convert(
    source: Annotated[
        Path, typer.Argument(metavar="SOURCE", help="FLAME's .pkl or .npz, the ICT-FaceKit folder, or a head.npz.")
    ],
    out: Annotated[Path, typer.Option("--out", "-o", help="The head.npz to write.")],
    eyelids: Annotated[
        Path | None, typer.Option("--eyelids", help="FLAME: folder with l_eyelid.npy and r_eyelid.npy.")
    ] = None,
    masks: Annotated[Path | None, typer.Option("--masks", help="FLAME: FLAME_masks.pkl, for the regions.")] = None,
    landmarks: Annotated[
        Path | None, typer.Option("--landmarks", help="FLAME: landmark_embedding.npy, for the 68 landmarks.")
    ] = None,
    version: Annotated[
        FlameVersion | None, typer.Option("--version", help="FLAME: which one it is, where the file does not tell.")
    ] = None,
    quiet: Quiet = False,
    as_json: Json = False,
) -> None:
    """Read a head model of any kind, running nothing from it, and write it as head.npz.

    Example: rgb head convert FLAME2020/generic_model.pkl -o head.npz --eyelids blendshapes --masks FLAME_masks.pkl
    """
    from rgb_core.errors import InputError
    from rgb_core.heads import load_any_head, save_head
    from rgb_core.heads.foreign import is_flame, load_flame

    if is_flame(source):
        model = load_flame(source, eyelids, masks, landmarks, version)
    elif any(option is not None for option in (eyelids, masks, landmarks, version)):
        raise InputError(f"{source} is no FLAME file: --eyelids, --masks, --landmarks and --version go with FLAME only")
    else:
        model = load_any_head(source)
    save_head(model, out)
    Reporter(quiet, as_json).result("converted", {"file": str(out), **_summary(model)})


@head.command()
def info(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A head.npz, FLAME's file or the ICT-FaceKit folder.")],
    as_json: Json = False,
) -> None:
    """Say what a head model of any kind holds.

    Example: rgb head info head.npz
    """
    from rgb_core.heads import load_any_head

    Reporter(as_json=as_json).result(str(file), _summary(load_any_head(file)))


def _summary(model: "HeadModel") -> dict[str, Any]:
    size = (model.vertices.max(0).values - model.vertices.min(0).values).tolist()
    from rgb_core.heads.regions import Region

    counts = Counter(model.region.tolist())
    return {
        "name": model.name,
        "vertices": model.vertex_count,
        "triangles": len(model.faces),
        "identity shapes": len(model.shape_basis),
        "expressions": len(model.expression_names),
        "pose correctives": len(model.pose_basis),
        "joints": ", ".join(model.joint_names),
        "landmarks": "none" if model.landmarks68 is None else str(len(model.landmarks68)),
        "texture coordinates": "none" if model.uv is None else str(len(model.uv)),
        "size": " x ".join(f"{1000 * length:.0f}" for length in size) + " mm",
        "vertices by region": {Region(code).title: count for code, count in sorted(counts.items())},
        "about": model.meta,
    }
