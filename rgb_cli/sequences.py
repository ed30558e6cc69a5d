"""What `relight` and `animate` share: frames and a video in a folder."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from .console import Reporter

if TYPE_CHECKING:
    import torch

    from rgb_core.rendering import Renderer, Shot, Staging


def parse_range(text: str | None, count: int) -> range:
    """`0:100` or `0:100:2` of `count` frames; everything where None.

    Raises:
        InputError: when it is not a range or selects no frame.
    """
    from rgb_core.errors import InputError

    try:
        parts = [int(part) if part else None for part in text.split(":")] if text else [None]
        chosen = range(count)[slice(*parts)] if len(parts) > 1 or parts[0] is None else range(count)[parts[0] :][:1]
    except (ValueError, TypeError) as error:
        raise InputError(f"--frames {text} is not a range such as 0:100 or 0:100:2") from error
    if not len(chosen):
        raise InputError(f"--frames {text} selects none of the {count} frames")
    return chosen


def write_sequence(
    renderer: "Renderer", shots: "list[Shot]", staging: "Staging", out: Path, fps: float, reporter: Reporter
) -> dict[str, str | int]:
    """Render, write out/frames/00000.png and out/video.mp4, and return what was written."""
    from rgb_core.exporting import write_video
    from rgb_core.images import write_png
    from rgb_core.rendering import render_pictures

    def written() -> Iterator["torch.Tensor"]:
        for index, picture in enumerate(render_pictures(renderer, shots, staging)):
            write_png(out / "frames" / f"{index:05d}.png", picture)
            reporter.advance()
            yield picture

    with reporter.live():
        reporter.start("rendering", len(shots))
        write_video(out / "video.mp4", written(), fps)
    return {"video": str(out / "video.mp4"), "frames": len(shots), "folder": str(out / "frames")}
