"""Archives: sound ones are read, hostile and damaged ones refused in one sentence before anything is written."""

import contextlib
import os
import zipfile
from pathlib import Path, PurePosixPath

import pytest
from archive_samples import masks, patched, png, with_link, write_zip
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rgb_core.data.archives import Archive, Limits, check_free_space
from rgb_core.errors import InputError

MIB = 1 << 20


def test_a_zip_and_a_folder_hold_the_same(tmp_path: Path):
    entries = {"a/1.png": png(), "a/b/2.png": b"", "3.txt": b"x" * 3000}
    path = write_zip(tmp_path / "a.zip", {"a/": b"", **entries})
    (tmp_path / "all").mkdir()
    with zipfile.ZipFile(path) as archive:
        archive.extractall(tmp_path / "all")
    for source in (path, tmp_path / "all"):
        with Archive(source) as archive:
            assert archive.sizes == {PurePosixPath(name): len(data) for name, data in entries.items()}
            for name, data in entries.items():
                copy = tmp_path / f"{source.name}-{Path(name).name}"
                archive.extract(PurePosixPath(name), copy)
                assert copy.read_bytes() == data


HOSTILE_NAMES = [
    "../up.png",
    "a/../../up.png",
    "/etc/passwd",
    "//host/share",
    "C:/windows.png",
    "..\\up.png",
    "a/./b.png",
    "a//b.png",
    "line\nbreak.png",
    "\u202egnp.exe",
]


@pytest.mark.parametrize("name", HOSTILE_NAMES)
def test_names_that_leave_the_destination_are_refused(tmp_path: Path, name: str):
    with pytest.raises(InputError, match=r"a\.zip: entry '.*' (would be written outside|has a character)") as caught:
        Archive(write_zip(tmp_path / "a.zip", {"good.png": png(), name: png()}))
    assert "\n" not in str(caught.value)


def truncated(path: Path) -> Path:
    path.write_bytes(path.read_bytes()[:-30])
    return path


def encrypted(path: Path) -> Path:
    return patched(write_zip(path, masks("a")), 8, b"\x01\x00")


def bomb(path: Path) -> Path:
    return write_zip(path, {"a/0.png": b"\0" * (4 * MIB)})


def repeated(path: Path) -> Path:
    return patched(write_zip(path, {"a.png": png(), "b.png": png()}), 46, b"a")


def no_archive(path: Path) -> Path:
    path.write_bytes(b"PK\x03\x04 and nothing more")
    return path


REFUSED = {
    "truncated": (lambda path: truncated(write_zip(path, masks("a"))), "was cut short"),
    "no archive": (no_archive, "not a readable .zip"),
    "encrypted": (encrypted, "'a/00000.png' is encrypted"),
    "link": (with_link, "'bala/00001.png' is a link"),
    "bomb": (bomb, "'a/0.png' unpacks to .* times its size"),
    "repeated name": (repeated, "'a.png' is there twice"),
    "odd method": (lambda path: write_zip(path, masks("a"), zipfile.ZIP_LZMA), "unusual method"),
    "NUL in a name": (
        lambda path: patched(write_zip(path, {"abcd.png": png()}), 46, b"a\x00"),
        r"'a\\x00cd.png' has a character",
    ),
    "bad name encoding": (
        lambda path: patched(patched(write_zip(path, {"abcd.png": png()}), 8, b"\x00\x08"), 46, b"\xff\xfe"),
        "not a readable .zip",
    ),
}


@pytest.mark.parametrize("kind", REFUSED)
def test_unsafe_archives_are_refused_when_opened(tmp_path: Path, kind: str):
    make, says = REFUSED[kind]
    with pytest.raises(InputError, match=says):
        Archive(make(tmp_path / "a.zip"))


def test_limits_on_count_and_sizes(tmp_path: Path):
    path = write_zip(tmp_path / "a.zip", {"a": bytes(100), "b": bytes(100)}, zipfile.ZIP_STORED)
    for limits, says in [
        (Limits(files=1), "more than 1 files"),
        (Limits(file_bytes=99), "'a' has"),
        (Limits(total_bytes=199), "unpacks to more than"),
    ]:
        with pytest.raises(InputError, match=says):
            Archive(path, limits)
    with Archive(path, Limits(files=2, file_bytes=100, total_bytes=200)) as archive:
        assert len(archive.sizes) == 2


@pytest.mark.parametrize("declared", [10, 5000])
def test_a_file_that_lies_about_its_size_is_found(tmp_path: Path, declared: int):
    path = write_zip(tmp_path / "a.zip", {"a": b"x" * 1000})
    patched(path, 24, declared.to_bytes(4, "little"))
    with Archive(path) as archive, pytest.raises(InputError, match="entry 'a' is"):
        archive.extract(PurePosixPath("a"), tmp_path / "copy")
    assert not (tmp_path / "copy").exists() or (tmp_path / "copy").stat().st_size <= max(declared, 1000)


def test_a_flipped_bit_is_found(tmp_path: Path):
    path = write_zip(tmp_path / "a.zip", {"a": bytes(range(256))}, zipfile.ZIP_STORED)
    data = bytearray(path.read_bytes())
    data[100] ^= 1
    path.write_bytes(data)
    with Archive(path) as archive, pytest.raises(InputError, match="'a' is damaged"):
        archive.extract(PurePosixPath("a"), tmp_path / "copy")


def test_links_and_pipes_in_a_folder_are_refused(tmp_path: Path):
    for name, make in [("link", lambda path: path.symlink_to("/etc/passwd")), ("pipe", os.mkfifo)]:
        folder = tmp_path / f"folder-{name}"
        folder.mkdir()
        make(folder / name)
        with pytest.raises(InputError, match=f"entry '{name}' is a link or a device"):
            Archive(folder)


def test_nothing_there(tmp_path: Path):
    with pytest.raises(InputError, match="does not exist"):
        Archive(tmp_path / "none.zip")


def test_a_full_disk_is_found_before_writing(tmp_path: Path):
    with pytest.raises(InputError, match="has room for"):
        check_free_space(tmp_path, 1 << 60)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(cut=st.integers(0, 400), position=st.integers(0, 400), value=st.integers(0, 255))
def test_any_damage_is_read_or_refused(tmp_path: Path, cut: int, position: int, value: int):
    whole = write_zip(tmp_path / "whole.zip", masks("bala")).read_bytes()
    data = bytearray(whole)
    data[position % len(data)] = value
    path = tmp_path / "damaged.zip"
    path.write_bytes(data[: len(data) - cut])
    with contextlib.suppress(InputError), Archive(path) as archive:  # any other exception fails the test
        for entry in archive.sizes:
            (tmp_path / "copy").unlink(missing_ok=True)
            archive.extract(entry, tmp_path / "copy")
