"""`rgb track`: a video becomes a native dataset."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..console import Reporter
from ..options import LARGEST_SIDE, Force, Json, Out, Quiet, Torso, within
from ..verdicts import judge

if TYPE_CHECKING:
    from rgb_core.heads import HeadModel

Video = Annotated[
    Path, typer.Argument(metavar="VIDEO", help="Video of one person's head: a file, or a folder of pictures.")
]
HeadFile = Annotated[Path | None, typer.Option("--head", help="Head model (head.npz); without it the built-in one.")]
Focal = Annotated[
    float | None,
    typer.Option("--focal", parser=within(1, 1e6), metavar="PIXELS", help="Focal length, where it is known."),
]
Start = Annotated[
    float,
    typer.Option("--start", parser=within(0, 1e6), metavar="SECONDS", help="First second of the video that is used."),
]
End = Annotated[
    float | None, typer.Option("--end", parser=within(0, 1e6), metavar="SECONDS", help="Second at which to stop.")
]
Stride = Annotated[int, typer.Option("--stride", min=1, max=100_000, help="Use every so many frames.")]
Size = Annotated[
    int, typer.Option("--size", min=64, max=LARGEST_SIDE, help="Longer side of the pictures at most, pixels.")
]
Fps = Annotated[
    float | None,
    typer.Option("--fps", parser=within(1, 1000), metavar="N", help="Frames per second of a folder of pictures; 25."),
]
Parsing = Annotated[
    Path | None, typer.Option("--parsing", help="ONNX file of a face-parsing network (19 CelebAMask classes).")
]
TorsoOption = Annotated[
    Torso, typer.Option("--torso", help="cut: the head alone; keep: neck, shoulders and clothes as they are.")
]
Strict = Annotated[bool, typer.Option("--strict", help="Stop where the verdict on the clip has a red line.")]
Preview = Annotated[bool, typer.Option("--preview", help="Write a video of landmarks, mesh, matte and labels.")]


def head_model(path: Path | None) -> "HeadModel":
    """The head model of `--head`."""
    from rgb_core.heads import builtin_head, load_head

    return load_head(path) if path else builtin_head()


def track(
    video: Video,
    out: Out,
    head: HeadFile = None,
    focal: Focal = None,
    start: Start = 0.0,
    end: End = None,
    stride: Stride = 1,
    size: Size = 512,
    fps: Fps = None,
    parsing: Parsing = None,
    torso: TorsoOption = Torso.cut,
    preview: Preview = False,
    strict: Strict = False,
    force: Force = False,
    quiet: Quiet = False,
    as_json: Json = False,
) -> None:
    """Track a head: landmarks, matte, labels, pose and expression. Run again to continue after an interruption.

    The first run installs the face detector into a private environment, unless mediapipe is installed already.

    Example: rgb track clip.mp4 -o subject --preview
    """
    from rgb_core.tracking import TrackingOptions
    from rgb_core.tracking import track as track_video

    options = TrackingOptions(start, end, stride, size, focal, preview, fps, parsing, torso is Torso.keep)
    reporter = Reporter(quiet, as_json)
    with reporter.live():
        tracked = track_video(video, out, head_model(head), reporter, options, force=force)
    if as_json:
        reporter.result("tracked", {"folder": str(out), **tracked.quality})
    judge(reporter, tracked.quality, not as_json, strict)
