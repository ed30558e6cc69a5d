"""Malformed archives of masks, read by `rgb patch-dataset`."""

import functools
import zipfile
from collections.abc import Callable
from pathlib import Path

from rgb_core.data.semantic_patch import patch_dataset
from rgb_core.progress import Silent
from tests.data.archive_samples import make_subject, masks, patched, png, with_link, write_zip

from .cases import Case

MIB = 1 << 20


def _source(make: Callable[[Path], Path]) -> Callable[[Path], Path]:
    """An archive beside a subject that waits for masks."""

    def both(folder: Path) -> Path:
        make_subject(folder / "data" / "bala")
        return make(folder / "masks.zip")

    return both


def _entries(entries: dict[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> Callable[[Path], Path]:
    return _source(lambda path: write_zip(path, entries, method))


def _cut(path: Path) -> Path:
    write_zip(path, masks("bala"))
    path.write_bytes(path.read_bytes()[:-30])
    return path


def _flipped(path: Path) -> Path:
    write_zip(path, masks("bala"), zipfile.ZIP_STORED)
    data = bytearray(path.read_bytes())
    data[data.rfind(b"IDAT") + 6] ^= 1
    path.write_bytes(data)
    return path


def _text(path: Path) -> Path:
    path.write_text("hello")
    return path


def _folder_with_link(path: Path) -> Path:
    folder = path.with_suffix("")
    (folder / "bala").mkdir(parents=True)
    (folder / "bala/00000.png").symlink_to("/etc/passwd")
    return folder


def _no_subject(path: Path) -> Path:
    (path.parent / "data/bala/checkpoint/00000.frame").unlink()
    (path.parent / "data/bala/checkpoint/00001.frame").unlink()
    (path.parent / "data/bala/checkpoint/00002.frame").unlink()
    return write_zip(path, masks("bala"))


def _patch(source: Path) -> object:
    return patch_dataset(source, source.parent / "data", Silent())


_case = functools.partial(Case, "archive of masks", read=_patch)

CASES = [
    _case("file that is not there", make=_source(lambda path: path), says="does not exist"),
    _case("text named .zip", make=_source(_text), says="is not a readable .zip archive"),
    _case("archive cut short", make=_source(_cut), says="was cut short"),
    _case("flipped bit", make=_source(_flipped), says="is damaged"),
    _case("zip slip", make=_entries({**masks("bala"), "../../out.png": png()}), says="outside the destination"),
    _case("absolute path", make=_entries({**masks("bala"), "/etc/cron.png": png()}), says="outside the destination"),
    _case("Windows path", make=_entries({**masks("bala"), "..\\out.png": png()}), says="not every system allows"),
    _case("line break in a name", make=_entries({"bala/a\nb.png": png()}), says="not every system allows"),
    _case(
        "name that is no UTF-8",
        make=_source(
            lambda path: patched(patched(write_zip(path, {"abcd.png": png()}), 8, b"\x00\x08"), 46, b"\xff\xfe")
        ),
        says="is not a readable .zip archive",
    ),
    _case("link in an archive", make=_source(with_link), says="is a link or a device"),
    _case("link in a folder", make=_source(_folder_with_link), says="is a link or a device"),
    _case(
        "encrypted",
        make=_source(lambda path: patched(write_zip(path, masks("bala")), 8, b"\x01\x00")),
        says="is encrypted",
    ),
    _case("bomb", make=_entries({"bala/00000.png": bytes(4 * MIB)}), says="looks like a bomb"),
    _case(
        "file larger than a mask can be",
        make=_source(lambda path: patched(write_zip(path, {"bala/0.png": png()}), 24, (1 << 30).to_bytes(4, "little"))),
        says="times its size",
    ),
    _case(
        "size that is a lie",
        make=_source(lambda path: patched(write_zip(path, masks("bala")), 24, (9).to_bytes(4, "little"))),
        says="is damaged",
    ),
    _case(
        "the same name twice",
        make=_source(lambda path: patched(write_zip(path, {"bala/0.png": png(), "bala/1.png": png()}), 46, b"bala/0")),
        says="is there twice",
    ),
    _case("masks in colour", make=_entries({"bala/00000.png": png(mode="RGB")}), says="is RGB, expected grey"),
    _case("masks of another size", make=_entries(masks("bala", size=(4, 4))), says="is 4 x 4 pixels, but"),
    _case("masks of another subject", make=_entries(masks("justin")), says="has no masks for bala"),
    _case("masks of another clip", make=_entries({"bala/9.png": png()}), says="is named like a picture"),
    _case(
        "two folders for a subject", make=_entries({**masks("bala"), **masks("old/bala")}), says="has several folders"
    ),
    _case("folder without subjects", make=_source(_no_subject), says="has no subject"),
]
