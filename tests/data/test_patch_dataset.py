"""`rgb patch-dataset`: the right masks in the right folders, whole or not at all."""

import zipfile
from pathlib import Path

import pytest
from archive_samples import make_subject, masks, patched, png, with_link, write_zip

from rgb_core.data.semantic_patch import find_subjects, patch_dataset
from rgb_core.errors import InputError
from rgb_core.progress import Silent


def tree(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*")}


def patch(source: Path, folder: Path) -> dict[str, str]:
    results = patch_dataset(source, folder, Silent())
    return {str((result.subject / result.folder).relative_to(folder)): result.status for result in results}


def test_subjects_are_found_by_what_they_hold(tmp_path: Path):
    make_subject(tmp_path / "release/bala")
    make_subject(tmp_path / "release/own/any name")
    make_subject(tmp_path / "release/no pictures", images=())
    (tmp_path / "release/empty/images").mkdir(parents=True)
    (tmp_path / "release/link").symlink_to(tmp_path / "release/bala")
    names = [path.name for path in find_subjects(tmp_path)]
    assert names == ["bala", "any name"]
    assert find_subjects(tmp_path / "release/bala") == [tmp_path / "release/bala"]
    with pytest.raises(InputError, match="has no subject"):
        find_subjects(tmp_path / "release/empty")
    with pytest.raises(InputError, match="is not a folder"):
        find_subjects(tmp_path / "none")


@pytest.mark.parametrize("layout", ["bala", "bala/semantic", "semantic/bala", "deep/down/bala/semantic", "BALA"])
@pytest.mark.parametrize("packed", [True, False])
def test_layouts_of_masks(tmp_path: Path, layout: str, packed: bool):
    folder = make_subject(tmp_path / "data/bala").parent
    make_subject(tmp_path / "data/malte_1")
    source = write_zip(tmp_path / "masks.zip", {**masks(layout), "README.txt": b"hello"})
    if not packed:
        with zipfile.ZipFile(source) as archive:
            archive.extractall(source.with_suffix(""))
        source = source.with_suffix("")
    assert patch(source, folder) == {"bala/semantic": "written", "malte_1/semantic": "missing"}
    assert tree(folder / "bala/semantic") == {"00000.png", "00001.png", "00002.png"}
    assert (folder / "bala/semantic/00002.png").read_bytes() == png(value=2)
    assert oct((folder / "bala/semantic").stat().st_mode)[-3:] == "755"


def test_both_resolutions(tmp_path: Path):
    folder = make_subject(tmp_path / "data/own", images=("images", "images.HQ")).parent
    source = write_zip(tmp_path / "m.zip", {**masks("own/semantic"), **masks("own/semantic.HQ", size=(16, 12))})
    assert patch(source, folder) == {"own/semantic": "written", "own/semantic.HQ": "written"}
    assert (folder / "own/semantic.HQ/00000.png").read_bytes() == png((16, 12), value=0)


def test_a_plain_folder_serves_the_pictures_there_are(tmp_path: Path):
    folder = make_subject(tmp_path / "data/own", images=("images.HQ",)).parent
    assert patch(write_zip(tmp_path / "m.zip", masks("own", size=(16, 12))), folder) == {"own/semantic.HQ": "written"}


@pytest.mark.parametrize("layout", ["", "semantic", "release/semantic"])
def test_one_subject_needs_no_name(tmp_path: Path, layout: str):
    folder = make_subject(tmp_path / "data/bala").parent
    source = write_zip(tmp_path / "m.zip", masks(layout))
    assert patch(source, folder) == {"bala/semantic": "written"}
    two = make_subject(tmp_path / "two/bala").parent
    make_subject(two / "biden")
    with pytest.raises(InputError, match="has no masks for bala, biden"):
        patch(source, two)


def test_what_is_there_stays(tmp_path: Path):
    folder = make_subject(tmp_path / "data/bala").parent
    (folder / "bala/semantic").mkdir()
    (folder / "bala/semantic/mine.png").write_bytes(b"mine")
    make_subject(folder / "biden")
    source = write_zip(tmp_path / "m.zip", {**masks("bala"), **masks("biden")})
    assert patch(source, folder) == {"bala/semantic": "kept", "biden/semantic": "written"}
    assert tree(folder / "bala/semantic") == {"mine.png"}
    assert patch(source, folder) == {"bala/semantic": "kept", "biden/semantic": "kept"}


def damaged_late(path: Path) -> Path:
    """The checksum of the last mask is wrong: everything before it is already written when that shows."""
    write_zip(path, masks("bala"), zipfile.ZIP_STORED)
    data = bytearray(path.read_bytes())
    data[data.rfind(b"IDAT") + 6] ^= 1
    path.write_bytes(data)
    return path


BAD_SOURCES = {
    "damaged in its last mask": (damaged_late, "is damaged"),
    "zip slip": (lambda path: write_zip(path, {**masks("bala"), "../../out.png": png()}), "outside the destination"),
    "link": (with_link, "is a link"),
    "encrypted": (lambda path: patched(write_zip(path, masks("bala")), 8, b"\x01\x00"), "is encrypted"),
    "mask of another size": (
        lambda path: write_zip(path, masks("bala", size=(4, 4))),
        r"bala/00000.png is 4 x 4 pixels, but .*images/00000.png is 8 x 6",
    ),
    "coloured mask": (
        lambda path: write_zip(path, {"bala/00000.png": png(mode="RGB")}),
        r"m\.zip: bala/00000.png is RGB, expected grey",
    ),
    "no PNG": (lambda path: write_zip(path, {"bala/00000.png": b"GIF89a"}), r"m\.zip: bala/00000.png is not a PNG"),
    "masks of another clip": (lambda path: write_zip(path, {"bala/9.png": png()}), "is named like a picture"),
    "two folders": (lambda path: write_zip(path, {**masks("bala"), **masks("old/bala")}), "several folders"),
    "other subjects": (lambda path: write_zip(path, masks("justin")), "has no masks for bala, biden; .* in justin"),
    "no masks": (lambda path: write_zip(path, {"README.txt": b""}), "PNG files in none"),
}


@pytest.mark.parametrize("kind", BAD_SOURCES)
def test_a_bad_source_changes_nothing(tmp_path: Path, kind: str):
    folder = make_subject(tmp_path / "data/bala").parent
    make_subject(folder / "biden")
    make, says = BAD_SOURCES[kind]
    source = make(tmp_path / "m.zip")
    before = tree(tmp_path)
    with pytest.raises(InputError, match=says) as caught:
        patch(source, folder)
    assert "\n" not in str(caught.value)
    assert tree(tmp_path) == before
