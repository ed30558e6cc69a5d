"""Subjects as trackers leave them, and archives of masks, sound and hostile."""

import io
import stat
import zipfile
from pathlib import Path

import numpy as np
from PIL import Image


def png(size: tuple[int, int] = (8, 6), mode: str = "L", value: int = 1) -> bytes:
    """A PNG of one value; `size` is (width, height)."""
    channels = () if mode in "LP" else (len(mode),)
    buffer = io.BytesIO()
    Image.fromarray(np.full((size[1], size[0], *channels), value, np.uint8), mode).save(buffer, "PNG")
    return buffer.getvalue()


def make_subject(folder: Path, images: tuple[str, ...] = ("images",), frames: int = 3) -> Path:
    """A folder with checkpoints and pictures; `images.HQ` has twice the pixels."""
    (folder / "checkpoint").mkdir(parents=True)
    for name in images:
        (folder / name).mkdir()
    for frame in range(frames):
        (folder / "checkpoint" / f"{frame:05d}.frame").write_bytes(b"")
        for name in images:
            size = (16, 12) if name.endswith("HQ") else (8, 6)
            (folder / name / f"{frame:05d}.png").write_bytes(png(size, "RGBA"))
    return folder


def write_zip(path: Path, entries: dict[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> Path:
    """An archive of `entries` by name, names exactly as given."""
    with zipfile.ZipFile(path, "w", method) as archive:
        for name, data in entries.items():
            archive.writestr(zipfile.ZipInfo(name), data, method)
    return path


def masks(folder: str, frames: int = 3, size: tuple[int, int] = (8, 6)) -> dict[str, bytes]:
    """Entries `folder/00000.png` ... with a different label each."""
    return {f"{folder}/{frame:05d}.png".lstrip("/"): png(size, value=frame) for frame in range(frames)}


def with_link(path: Path) -> Path:
    """An archive whose second entry is a symbolic link to /etc/passwd."""
    write_zip(path, {"bala/00000.png": png()})
    info = zipfile.ZipInfo("bala/00001.png")
    info.create_system = 3
    info.external_attr = (stat.S_IFLNK | 0o777) << 16
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr(info, "/etc/passwd")
    return path


def patched(path: Path, offset_in_header: int, value: bytes) -> Path:
    """`path` with bytes of every central directory header replaced: what an archive declares, not what it holds."""
    data = bytearray(path.read_bytes())
    start = data.find(b"PK\x01\x02")
    while start >= 0:
        data[start + offset_in_header : start + offset_in_header + len(value)] = value
        start = data.find(b"PK\x01\x02", start + 4)
    path.write_bytes(data)
    return path
