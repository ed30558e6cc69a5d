"""Pictures of an avatar to a folder: numbered PNG files and a video; an interrupted run continues."""

from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ..fingerprints import fingerprint
from ..images import read_png, write_png
from ..output_folder import OutputFolder
from ..progress import Progress
from ..rendering import Renderer, Shot, Staging, render_pictures
from .video import write_video

_WRITERS = 4  # threads that compress pictures while the next ones are drawn
_WAITING = 16  # pictures that may wait for them


@dataclass(frozen=True)
class SequenceFiles:
    """What was written."""

    folder: Path
    """Of the pictures 00000.png, 00001.png, ..."""
    video: Path
    frames: int


def write_sequence(
    renderer: Renderer,
    shots: Sequence[Shot],
    staging: Staging,
    out: Path,
    fps: float,
    progress: Progress,
    drawn: Any,
    force: bool = False,
) -> SequenceFiles:
    """Draw `shots` into out/frames and out/video.mp4; pictures of an interrupted run are kept.

    Args:
        fps: pictures a second of the video.
        drawn: what the renderer draws, for `fingerprints.fingerprint`: the avatar's files, and whether it has shadows.
        force: replace the pictures of another avatar or other settings.

    Raises:
        InputError: when the folder holds something else, or a file cannot be written.
    """
    files = SequenceFiles(out / "frames", out / "video.mp4", len(shots))
    light = renderer.light if staging.light is None else staging.light
    identity = fingerprint(
        drawn=drawn,
        light=[light.radiance, light.turn, light.carried],
        staging=[staging.turns, staging.yaw, staging.exposure, staging.background],
        shots=[[*shot.pose.tensors, *shot.camera.lens, shot.camera.world_to_camera] for shot in shots],
        fps=fps,
    )
    with OutputFolder.claim(out, "pictures", identity, force) as folder:
        if folder.finished:
            progress.message(f"{out} holds the finished pictures of the same avatar and settings")
            return files
        write_video(files.video, _pictures(renderer, list(shots), staging, files, progress), fps)
        folder.finish()
    return files


def _pictures(
    renderer: Renderer, shots: list[Shot], staging: Staging, files: SequenceFiles, progress: Progress
) -> Iterator[Tensor]:
    """All pictures in order: those on disk, then those that are drawn and written now."""
    done = 0
    while done < len(shots) and _path(files, done).is_file():
        done += 1
    progress.start("rendering", len(shots), done)
    for index in range(done):
        yield read_png(_path(files, index), 3, dtype=torch.uint8)
    writing: list[Future[None]] = []
    with ThreadPoolExecutor(_WRITERS) as writers:
        for index, picture in enumerate(render_pictures(renderer, shots, staging, done), done):
            writing.append(writers.submit(write_png, _path(files, index), picture))
            while len(writing) > _WAITING:
                writing.pop(0).result()
            progress.advance()
            yield picture
        for pending in writing:
            pending.result()


def _path(files: SequenceFiles, index: int) -> Path:
    return files.folder / f"{index:05d}.png"
