"""Only regular files are opened, what would not fit is refused before memory is taken, and a full disk is said."""

import json
import os
import pickle
import resource
import shutil
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import scipy.sparse
import torch

from rgb_core.avatar import load_avatar
from rgb_core.avatar.storage import DESCRIPTION, TENSORS
from rgb_core.data import load_dataset, read_ply
from rgb_core.data.dataset import examine_dataset
from rgb_core.data.records import read_json
from rgb_core.driving.coefficients import read_coefficients
from rgb_core.driving.keyframes import read_keyframes
from rgb_core.driving.livelink import read_livelink
from rgb_core.errors import InputError
from rgb_core.fitting.checkpoint import FILE, load_checkpoint, save_checkpoint
from rgb_core.heads import load_any_head, load_head, load_restricted_pickle, save_head
from rgb_core.images import read_exr, read_hdr, read_png, write_png
from rgb_core.presets import load_preset
from rgb_core.progress import Silent
from rgb_core.tensor_files import read_tensors, write_tensors
from tests.data.dataset_samples import tiny_head, write_dataset
from tests.reliability.fit_cases import write_avatar

READERS: dict[str, Callable[[Path], object]] = {
    "a.json": read_json,
    "a.npz": load_head,
    "a.pkl": load_any_head,
    "b.pkl": load_restricted_pickle,
    "a.hdr": read_hdr,
    "a.exr": read_exr,
    "a.png": read_png,
    "a.ply": read_ply,
    "a.yaml": lambda path: load_preset(str(path)),
    "a.safetensors": lambda path: read_tensors(path, "write it again"),
    FILE: lambda path: load_checkpoint(path.parent),
    "take.csv": lambda path: read_livelink(path, Silent()),
    "play.yaml": lambda path: read_keyframes(path, tiny_head()),
    "motion.json": lambda path: read_coefficients(path, tiny_head()),
}


@pytest.mark.parametrize("kind", ["pipe", "device", "folder"])
@pytest.mark.parametrize("name", READERS)
def test_only_regular_files_are_opened(tmp_path: Path, name: str, kind: str):
    """A pipe would make the reader wait for ever, and /dev/zero has no end."""
    path = tmp_path / name
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "device":
        path.symlink_to("/dev/zero")
    else:
        path.mkdir()
    with pytest.raises(InputError):
        READERS[name](path)


@pytest.fixture
def little_memory():
    """Room for 1.5 GB more than is taken now: what would need it ends in a MemoryError."""
    before = resource.getrlimit(resource.RLIMIT_AS)
    taken = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (taken + (3 << 29), before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_AS, before)


def test_an_array_that_nobody_asks_for_is_not_loaded(tmp_path: Path, little_memory: None):
    path = tmp_path / "head.npz"
    save_head(tiny_head(), path)
    with zipfile.ZipFile(path, "a", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        header = b"{'descr': '|u1', 'fortran_order': False, 'shape': (400000000,), }\n"
        with archive.open("extra.npy", "w") as member:
            member.write(b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header)
            for _ in range(25):
                member.write(bytes(16_000_000))
    assert load_head(path).vertex_count == tiny_head().vertex_count


@pytest.mark.parametrize("kind", ["csc", "csr", "coo"])
def test_a_sparse_matrix_is_judged_before_it_is_unfolded(tmp_path: Path, little_memory: None, kind: str):
    """One byte a value on disk, forty in memory while rows and columns are worked out."""
    count = 30_000_000
    values = np.ones(count, np.int8)
    index = np.zeros(count, np.int8)
    matrix = scipy.sparse.coo_matrix(([1], ([0], [0])), shape=(2, 2)).asformat(kind)
    if kind == "coo":
        matrix.data, matrix.coords = values, (index, index)
    else:
        matrix.data, matrix.indices, matrix.indptr = values, index, np.array([0, count, count])
    (tmp_path / "a.pkl").write_bytes(pickle.dumps(matrix))
    with pytest.raises(InputError, match="MB of memory"):
        load_restricted_pickle(tmp_path / "a.pkl")


_HEADERS = [
    "{'descr': '', 'fortran_order': False, 'shape': ()}",
    "{'descr': ((((),),),), 'fortran_order': False, 'shape': (1,)}",
    "{'descr': [], 'fortran_order': False, 'shape': (1,)}",
    "{'descr': '<f4', 'fortran_order': False, 'shape': (1" + "0" * 30 + ",)}",
    "{'descr': '<f4', 'fortran_order': False, 'shape': (True,)}",
    "{'descr': '<f4', 'fortran_order': 3, 'shape': (1,)}",
    "{'descr': '<f4', 'fortran_order': False, 'shape': 1j}",
    "{[]: 1}",
    "{1j: '<f4', None: 0}",
    "{'descr': '<M8[s]', 'fortran_order': False, 'shape': (1,)}",
    "9" * 3000,
    "-" * 3000 + "1",
]


@pytest.mark.parametrize("header", _HEADERS, ids=range(len(_HEADERS)))
@pytest.mark.filterwarnings("error")
def test_a_malformed_header_of_an_array_is_a_sentence(tmp_path: Path, header: str):
    path = tmp_path / "head.npz"
    save_head(tiny_head(), path)
    with np.load(path) as archive:
        arrays = dict(archive)
    del arrays["vertices"]
    np.savez(path, **arrays)
    with zipfile.ZipFile(path, "a") as archive:
        line = header.encode()
        archive.writestr("vertices.npy", b"\x93NUMPY\x01\x00" + struct.pack("<H", len(line)) + line + bytes(4))
    with pytest.raises(InputError, match="key 'vertices' cannot be read"):
        load_head(path)


@pytest.mark.parametrize("name", ["neutral.position", "attachment.face_id", "deltas", "light", "expressions.offsets"])
@pytest.mark.parametrize("change", ["u8", "bf16", "f64", "bool", "axis", "scalar", "empty"])
def test_an_avatar_of_other_tensors_is_a_sentence(tmp_path: Path, name: str, change: str):
    avatar = write_avatar(tmp_path / "avatar")
    tensors, _ = read_tensors(avatar / TENSORS, "")
    kinds = {"u8": torch.uint8, "bf16": torch.bfloat16, "f64": torch.float64, "bool": torch.bool}
    if change in kinds:
        tensors[name] = tensors[name].to(kinds[change])
    else:
        changed = {"axis": tensors[name][None], "scalar": torch.ones(()), "empty": tensors[name][:0]}
        tensors[name] = changed[change].to(tensors[name].dtype)
        if change == "empty" and not tensors[name].numel() and name == "deltas":
            tensors[name] = torch.zeros(2, 1)
    write_tensors(avatar / TENSORS, tensors)
    with pytest.raises(InputError, match=TENSORS):
        load_avatar(avatar)


def test_a_portrait_of_any_size_takes_no_memory(tmp_path: Path):
    avatar = write_avatar(tmp_path / "avatar")
    text = (avatar / DESCRIPTION).read_text()
    width = next(line for line in text.splitlines() if "width:" in line)
    (avatar / DESCRIPTION).write_text(text.replace(width, "  width: 1000000000"))
    with pytest.raises(InputError, match="the portrait is 1000000000 x"):
        load_avatar(avatar)


_LAUGHS = "a: &a [x]\n" + "".join(
    f"{b}: &{b} [*{a}, *{a}, *{a}]\n" for a, b in zip("abcdefghijk", "bcdefghijkl", strict=True)
)


@pytest.mark.parametrize(
    "text",
    [
        _LAUGHS,
        "gaussians: !!int ''",
        "a: !!float ''",
        "{" + ", ".join(f"{n * (2**61 - 1)}: 0" for n in range(30_000)) + "}",
    ],
    ids=["aliases", "int tag", "float tag", "keys of one hash"],
)
def test_yaml_is_data_of_a_sensible_size(tmp_path: Path, text: str):
    (tmp_path / "a.yaml").write_text(text)
    with pytest.raises(InputError, match="YAML"):
        load_preset(str(tmp_path / "a.yaml"))


@pytest.mark.parametrize("room", [0, 1000, 50_000])
def test_a_full_disk_is_a_sentence_and_leaves_nothing(tmp_path: Path, room: int):
    tensors = {"values": torch.zeros(100_000)}
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (room, before[1]))
    try:
        with pytest.raises(InputError, match=r"cannot write .*checkpoint"):
            save_checkpoint(tmp_path, tensors, {"step": 1})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert not list(tmp_path.iterdir())


def test_an_avatar_can_be_read_by_whom_the_user_lets(tmp_path: Path):
    mask = os.umask(0o022)
    try:
        write_tensors(tmp_path / "a.safetensors", {"x": torch.ones(1)})
    finally:
        os.umask(mask)
    assert (tmp_path / "a.safetensors").stat().st_mode & 0o777 == 0o644


@pytest.mark.parametrize("meta", [[1], 3, "x", {}, {"step": "1"}])
def test_a_checkpoint_of_something_else_is_a_sentence(tmp_path: Path, meta: object):
    write_tensors(tmp_path / FILE, {"x": torch.ones(1)}, meta)
    with pytest.raises(InputError, match="delete it to start again"):
        load_checkpoint(tmp_path)


@pytest.mark.parametrize("name", ["../x.png", "a/../../x.png", "..\\x.png", "/etc/x.png", "C:\\x.png"])
def test_a_dataset_names_nothing_outside_of_it(tmp_path: Path, name: str):
    folder = write_dataset(tmp_path / "subject")
    shutil.copy(next((folder / "images").iterdir()), tmp_path / "x.png")
    _edit(folder, lambda record: record["frames"][0].update(image=name))
    with pytest.raises(InputError, match="leads out of"):
        load_dataset(folder)


@pytest.mark.parametrize("label", [0, 19, 255])
def test_label_maps_that_say_nothing_are_defects(tmp_path: Path, label: int):
    folder = write_dataset(tmp_path / "subject")
    write_png(folder / "semantic" / "00000.png", torch.full((12, 16), label, dtype=torch.uint8))
    dataset = load_dataset(folder)
    with pytest.raises(InputError, match=r"semantic/00000\.png (labels no pixel|holds the label)"):
        dataset.semantic(dataset.all_frames[0])


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"K": [1e-9, 1e-9, 8, 6]}, "focal lengths"),
        ({"K": [20, 20, 1e6, 6]}, "principal point"),
        ({"expression": [1e38, 0]}, "coefficients up to"),
        ({"joints": [[1e30, 0, 0], [0, 0, 0]]}, "radians up to"),
        ({"translation": [0, 0, 1e6]}, "metres up to"),
        ({"translation": [30.0, 0, 0]}, "beside the picture"),
    ],
)
def test_values_that_no_head_has_are_named(tmp_path: Path, change: dict, says: str):
    folder = write_dataset(tmp_path / "subject")
    _edit(folder, lambda record: record["frames"][0].update(change))
    with pytest.raises(InputError, match=says) as caught:
        load_dataset(folder)
    assert str(caught.value) in examine_dataset(folder)[1]


def _edit(folder: Path, change: Callable[[dict], object]) -> None:
    record = json.loads((folder / "dataset.json").read_text())
    change(record)
    (folder / "dataset.json").write_text(json.dumps(record))
