"""Scores anybody's relit pictures, PNG files in a folder, against a dataset's truth by the code that scores avatars."""

from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ..data import Dataset
from ..errors import InputError
from ..images import check_png, read_png, read_png_header, rgba_to_linear, srgb_bytes_to_linear
from ..progress import Progress
from .alignment import AlignedSet
from .records import relight_scores, relit_part_scores
from .truth import find_truth

FORMAT, VERSION = "rgb-relighting", 1
_NAMED = 3  # missing files that are named


def score_relit_pictures(folder: Path, dataset: Dataset, progress: Progress) -> dict[str, Any]:
    """Scores of `folder`/<light>/<frame id>.png for every test frame and light that the dataset has truth for.

    Pictures are 8-bit sRGB, RGB on black or RGBA with straight alpha, all of one size: the dataset's, or smaller in its
    proportions. Other files in the folder are not looked at.

    Returns:
        `relight` and `parts` as in metrics.json, with `subject`, `frames` (pictures that were scored) and `size`.

    Raises:
        InputError: when the dataset has no relit truth, or a picture is missing, damaged or of another size.
    """
    frames = dataset.frames("test")
    truth = find_truth(dataset, frames)
    if not truth.relit:
        raise InputError(f"{dataset.folder} has no true relit pictures of its test frames (ground_truth/relit)")
    wanted = [(name, frame) for frame in frames for name, known in truth.relit.items() if frame.id in known]
    files = [folder / name / f"{frame.id}.png" for name, frame in wanted]
    size = _common_size(folder, dataset, files)
    reduced = None if size == (dataset.width, dataset.height) else size
    relit: dict[str, AlignedSet] = {}
    progress.start("scoring pictures", len(files))
    for (name, frame), path in zip(wanted, files, strict=True):
        color, alpha = _linear(path)
        true = truth.files.relit(name, frame.id, reduced)
        shadow = truth.cast_shadow(frame, name, dataset.camera(frame, reduced))
        relit.setdefault(name, AlignedSet()).add(color, alpha, true, shadow, dataset.semantic(frame, reduced))
        progress.advance()
    return {
        "format": FORMAT,
        "version": VERSION,
        "subject": dataset.subject,
        "frames": len(files),
        "size": list(size),
        "relight": relight_scores(relit),
        "parts": relit_part_scores(relit),
    }


def _common_size(folder: Path, dataset: Dataset, files: list[Path]) -> tuple[int, int]:
    """(width, height) of all `files`."""
    missing = [path for path in files if not path.is_file()]
    if missing:
        names = ", ".join(path.relative_to(folder).as_posix() for path in missing[:_NAMED])
        more = f" and {len(missing) - _NAMED} more" if len(missing) > _NAMED else ""
        raise InputError(f"{folder} lacks {len(missing)} of {len(files)} pictures: {names}{more}")
    first = read_png_header(files[0])
    size, full = (first.width, first.height), (dataset.width, dataset.height)
    scale = max(size) / max(full)
    if scale > 1 or size != (round(full[0] * scale), round(full[1] * scale)):
        raise InputError(
            f"{files[0]} is {size[0]} x {size[1]}, but the dataset's pictures are {full[0]} x {full[1]}: predictions "
            "have that size, or a smaller one of the same proportions"
        )
    for path in files:
        check_png(path, size=size)
    return size


def _linear(path: Path) -> tuple[Tensor, Tensor]:
    """A picture as linear premultiplied colour [H, W, 3] and alpha [H, W]; one without alpha is on black already."""
    channels = read_png_header(path).channels
    if channels not in (3, 4):
        raise InputError(f"{path} is grey: save predictions as RGB on black or as RGBA")
    pixels = read_png(path, channels, dtype=torch.uint8)
    if channels == 4:
        linear = rgba_to_linear(pixels)
        return linear[..., :3], linear[..., 3]
    return srgb_bytes_to_linear(pixels), torch.ones(pixels.shape[:2])
