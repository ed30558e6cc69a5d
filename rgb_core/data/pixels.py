"""Pixels of dataset images, at their own size or reduced in linear premultiplied light."""

from pathlib import Path

import torch
from torch import Tensor

from ..errors import InputError
from ..images import downsample_labels, linear_to_rgba, read_png, rgba_to_linear
from ..images.png import open_png
from ..images.resize import sparse_overlap, uniform_edges
from ..scene.labels import Label


def check_reduction(stored: tuple[int, int], size: tuple[int, int]) -> None:
    """Refuse a (width, height) that images of the `stored` size cannot be reduced to.

    Raises:
        InputError: when it is empty or larger.
    """
    if not (0 < size[0] <= stored[0] and 0 < size[1] <= stored[1]):
        raise InputError(f"images of {stored[0]} x {stored[1]} pixels cannot be reduced to {size[0]} x {size[1]}")


def load_linear(path: Path, stored: tuple[int, int], size: tuple[int, int] | None) -> Tensor:
    """float32 [H, W, 4] linear premultiplied."""
    if size is None or size == stored:
        return rgba_to_linear(read_png(path, 4, stored, torch.uint8))
    check_reduction(stored, size)
    linear = open_png(path, 4, stored).changed(lambda strip: rgba_to_linear(torch.from_numpy(strip)).numpy())
    columns, rows = (
        sparse_overlap(uniform_edges(old), uniform_edges(new)) for old, new in zip(stored, size, strict=True)
    )
    return linear.averaged(rows, columns)


def load_rgba(path: Path, stored: tuple[int, int], size: tuple[int, int] | None) -> Tensor:
    """uint8 [H, W, 4] straight-alpha sRGB: the file's own bytes unless it is reduced."""
    if size is None or size == stored:
        return read_png(path, 4, stored, torch.uint8)
    return linear_to_rgba(load_linear(path, stored, size))


def load_labels(path: Path, stored: tuple[int, int], size: tuple[int, int] | None) -> Tensor:
    """uint8 [H, W] labels; reduced by majority.

    Raises:
        InputError: when the file is damaged, holds a number that is no label, or labels nothing.
    """
    labels = read_png(path, 1, stored, torch.uint8)[..., 0]
    highest = int(labels.max())
    if highest >= len(Label):
        raise InputError(f"{path} holds the label {highest}; labels are 0 to {len(Label) - 1}")
    if highest == Label.BACKGROUND:
        raise InputError(f"{path} labels no pixel as part of a person; label the frame, or leave its map out")
    if size is None or size == stored:
        return labels
    check_reduction(stored, size)
    return downsample_labels(labels, *size)
