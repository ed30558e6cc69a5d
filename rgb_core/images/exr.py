"""OpenEXR files: linear float images with R, G and B channels."""

import contextlib
import io
import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import OpenEXR
import torch
from torch import Tensor

from ..errors import InputError
from ..files import atomic_path, check_regular


def read_exr(path: Path) -> Tensor:
    """Read the R, G and B channels (half, float or integer) of an OpenEXR file as float32 [H, W, 3], top row first.

    Raises:
        InputError: when the file is missing, corrupt or lacks one of the channels.
    """
    check_regular(path)
    try:
        with _silenced(), OpenEXR.File(str(path), separate_channels=True) as file:
            pixels = {name: channel.pixels for name, channel in file.channels().items()}
    except Exception as error:  # the binding raises whatever the C++ library threw, with messages about its insides
        raise InputError(f"{path} is truncated, corrupt or not an OpenEXR file") from error
    missing = [name for name in "RGB" if name not in pixels]
    if missing:
        raise InputError(f"{path} has no channel {', '.join(missing)}; it holds {', '.join(sorted(pixels))}")
    if len({pixels[name].shape for name in "RGB"}) > 1:
        raise InputError(f"{path} stores its R, G and B channels at different resolutions")
    return torch.from_numpy(np.stack([pixels[name] for name in "RGB"], -1).astype(np.float32))


@contextlib.contextmanager
def _silenced() -> Iterator[None]:
    """Drop what the library says about damaged files: the binding on sys.stdout, its C++ core on the stderr stream."""
    stderr = os.dup(2)
    sink = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(sink, 2)
        with contextlib.redirect_stdout(io.StringIO()):
            yield
    finally:
        os.dup2(stderr, 2)
        os.close(stderr)
        os.close(sink)


def write_exr(path: Path, image: Tensor, half: bool = False) -> None:
    """Write [H, W, 3] linear RGB atomically, lossless ZIP compression, 32-bit floats or `half` floats.

    Raises:
        InputError: when the file cannot be written.
        ValueError: for another shape.
    """
    if image.ndim != 3 or image.shape[-1] != 3 or image.numel() == 0:
        raise ValueError(f"an .exr image is [H, W, 3], got {list(image.shape)}")
    pixels = np.ascontiguousarray(image.detach().cpu().numpy().astype(np.float16 if half else np.float32))
    header = {"compression": OpenEXR.ZIP_COMPRESSION, "type": OpenEXR.scanlineimage}
    with atomic_path(path) as temporary, OpenEXR.File(header, {"RGB": pixels}) as file:
        file.write(str(temporary))
