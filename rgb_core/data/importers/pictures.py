"""Pixels of a source: images and mattes of any kind become RGBA PNG; what already is one is linked or copied."""

import os
import shutil
from pathlib import Path

import numpy as np
import torch
from PIL import ExifTags, Image, ImageOps
from torch import Tensor

from ...errors import InputError
from ...files import atomic_path, check_regular
from ...images import PngHeader, read_png, read_png_header, write_png
from ...scene.labels import Label

_OPAQUE = 255
_LYING = range(5, 9)  # EXIF orientations that swap width and height
_FORMATS = {".jpg": "JPEG", ".jpeg": "JPEG", ".bmp": "BMP"}


def picture_header(path: Path) -> PngHeader:
    """Size and channels of a picture without decoding it.

    Raises:
        InputError: when it is missing, damaged or of an unknown kind.
    """
    if path.suffix.lower() not in _FORMATS:
        return read_png_header(path)
    with _open(path) as image:
        width, height = image.size
        if image.getexif().get(ExifTags.Base.Orientation, 1) in _LYING:
            width, height = height, width
        return PngHeader(width, height, 1 if image.mode == "L" else 3)


def read_rgba(image: Path, mask: Path | None, size: tuple[int, int]) -> Tensor:
    """uint8 [H, W, 4], straight alpha: the image's own matte, else `mask` (the first channel of a colour one).

    Raises:
        InputError: when a file is damaged or of another size, or when there is no matte.
    """
    return _matted(_read(image, size), image, mask, size)


def _matted(pixels: Tensor, image: Path, mask: Path | None, size: tuple[int, int]) -> Tensor:
    """The `pixels` of `image` with a matte: the same tensor where they have their own."""
    if pixels.shape[-1] == 4 and (mask is None or not bool((pixels[..., 3] == _OPAQUE).all())):
        return pixels
    if pixels.shape[-1] not in (3, 4):
        raise InputError(f"{image} is a grey picture; give the colour frames of the clip")
    if mask is None:
        raise InputError(
            f"{image} has no alpha and there is no mask of it; matte the clip first (RGBA or a mask folder)"
        )
    return torch.cat([pixels[..., :3], _read_mask(mask, size)], -1)


def _read_mask(path: Path, size: tuple[int, int]) -> Tensor:
    """uint8 [H, W, 1] matte of a mask file.

    Raises:
        InputError: when the file is damaged, or keeps the matte in another way.
    """
    pixels = _read(path, size)
    matte = pixels[..., :1]
    in_alpha = pixels.shape[-1] in (2, 4) and bool((pixels[..., -1] != pixels[0, 0, -1]).any())
    if in_alpha and bool((matte == matte[0, 0]).all()):
        raise InputError(f"{path} has its matte in the alpha channel; save the alpha as a grey picture")
    if int(matte.max()) == 1:
        raise InputError(f"{path} holds 0 and 1 where a mask holds 0 and 255; multiply it by 255")
    return matte


def read_labels(path: Path, size: tuple[int, int]) -> Tensor:
    """uint8 [H, W] CelebAMask-HQ labels; a map of another size is sampled at the pixel centres.

    Raises:
        InputError: when the file is damaged, coloured, or holds a number that is no label.
    """
    pixels = read_png(path, dtype=torch.uint8)
    colours = pixels[..., :3] if pixels.shape[-1] >= 3 else pixels[..., :1]
    if not torch.equal(colours.amin(-1), colours.amax(-1)):
        raise InputError(f"{path} is a coloured picture; a label map holds one number per pixel")
    labels = colours[..., 0]
    if int(labels.max()) >= len(Label):
        raise InputError(f"{path} holds the label {int(labels.max())}; labels are 0 to {len(Label) - 1}")
    rows, columns = labels.shape
    across = (torch.arange(size[0]) * 2 + 1) * columns // (2 * size[0])
    down = (torch.arange(size[1]) * 2 + 1) * rows // (2 * size[1])
    return labels[down][:, across].contiguous()


def place_rgba(image: Path, mask: Path | None, size: tuple[int, int], out: Path, copy: bool) -> None:
    """Write the RGBA PNG of a frame to `out`; an RGBA PNG that needs no change is linked, or copied on request.

    Every picture is decoded once, so that a damaged one is found here and not in the middle of training.

    Raises:
        InputError: as `read_rgba`, or when the file cannot be written.
    """
    stored = _read(image, size)
    pixels = _matted(stored, image, mask, size)
    if pixels is stored:
        _place(image, out, copy)
    else:
        write_png(out, pixels)


def _place(source: Path, out: Path, copy: bool) -> None:
    """Hard link, else symbolic link where the disks differ; a link to the file itself, never to another link."""
    real = Path(os.path.realpath(source))
    with atomic_path(out) as temporary:
        if copy:
            shutil.copyfile(real, temporary)
            return
        try:
            os.link(real, temporary)
        except OSError:
            os.symlink(real, temporary)


def _read(path: Path, size: tuple[int, int]) -> Tensor:
    """uint8 [H, W, C] of a picture that must have `size`."""
    if path.suffix.lower() not in _FORMATS:
        return read_png(path, None, size, torch.uint8)
    header = picture_header(path)
    if (header.width, header.height) != size:
        raise InputError(f"{path} is {header.width} x {header.height} pixels, expected {size[0]} x {size[1]}")
    with _open(path) as image:
        try:
            upright = ImageOps.exif_transpose(image)  # a camera that was held the other way says so here
            pixels = np.array(upright.convert("L" if image.mode == "L" else "RGB"))
        except (OSError, SyntaxError, ValueError) as error:
            raise InputError(f"{path} is truncated or corrupt: {error}") from error
    return torch.from_numpy(pixels.reshape(size[1], size[0], -1))


def _open(path: Path) -> Image.Image:
    check_regular(path)
    try:
        return Image.open(path, formats=[_FORMATS[path.suffix.lower()]])
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise InputError(f"{path} cannot be read as a picture: {getattr(error, 'strerror', None) or error}") from error
