"""torch.save files and numpy files of objects: tensors come back as arrays, damage and code as one error."""

import io
import os
import pickle
import struct
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from pickle_attacks import Attack, call, text

from rgb_core.errors import InputError
from rgb_core.heads.foreign import load_frame_file, load_npy


def frame() -> dict:
    """As metrical-tracker's checkpoints, with tensors in the places where other trackers have them."""
    draw = np.random.default_rng(0)
    tensor = torch.arange(12.0).reshape(3, 4)
    return {
        "flame": {"exp": draw.normal(size=(1, 100)).astype(np.float32), "jaw": tensor, "eyes": tensor.t()},
        "camera": {"R": torch.nn.Parameter(tensor[1:]), "fl": torch.ones(1).expand(2, 3)},
        "opencv": {"K": np.eye(3)[None], "t": tensor.half(), "e": torch.zeros(0, 3)},
        "img_size": np.array([512, 512]),
        "size": tensor.shape,
        "frame_id": "00007",
        "global_step": 42,
        "flags": torch.tensor([True, False]),
    }


def same(found: Any, wanted: Any) -> bool:
    if isinstance(wanted, dict):
        return (
            isinstance(found, dict) and found.keys() == wanted.keys() and all(same(found[k], wanted[k]) for k in wanted)
        )
    if isinstance(wanted, torch.Tensor):
        wanted = wanted.detach().numpy()
    if isinstance(wanted, np.ndarray):
        return isinstance(found, np.ndarray) and found.dtype == wanted.dtype and np.array_equal(found, wanted)
    return found == wanted


@pytest.mark.parametrize("zipped", [True, False])
def test_frame_files(tmp_path: Path, zipped: bool):
    torch.save(frame(), tmp_path / "00007.frame", _use_new_zipfile_serialization=zipped)
    assert same(load_frame_file(tmp_path / "00007.frame"), frame())


def test_objects_in_numpy_files(tmp_path: Path):
    table = {"faces": np.arange(4), "tensor": torch.arange(6.0).reshape(2, 3), "number": 3}
    np.save(tmp_path / "file.npy", np.array(table, dtype=object))
    assert same(load_npy(tmp_path / "file.npy"), table)
    np.save(tmp_path / "file.npy", np.array([1, "a", None], dtype=object))
    assert load_npy(tmp_path / "file.npy").tolist() == [1, "a", None]
    np.save(tmp_path / "file.npy", np.eye(2))
    assert load_npy(tmp_path / "file.npy").tolist() == np.eye(2).tolist()


def rewritten(data: bytes, change) -> bytes:
    """A zip file with every member passed through `change(name, contents)`, which may drop it with None."""
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as source, zipfile.ZipFile(out, "w") as target:
        for name in source.namelist():
            contents = change(name, source.read(name))
            if contents is not None:
                target.writestr(name, contents)
    return out.getvalue()


def in_root(*replacements: tuple[bytes, bytes]):
    def change(name: str, contents: bytes) -> bytes:
        if name.endswith("data.pkl"):
            for old, new in replacements:
                assert old in contents
                contents = contents.replace(old, new)
        return contents

    return change


def zip_attacks(canary: Path) -> dict[str, bytes]:
    """Damaged torch.save files."""
    stream = io.BytesIO()
    torch.save({"t": torch.arange(12.0).reshape(3, 4)}, stream)
    good = stream.getvalue()
    stream = io.BytesIO()
    torch.save({"t": torch.arange(12.0)}, stream, _use_new_zipfile_serialization=False)
    legacy = stream.getvalue()
    stream = io.BytesIO()
    torch.save({"x": Attack(os.system, f"touch {canary}")}, stream)
    hostile = stream.getvalue()
    stream = io.BytesIO()
    torch.save({"x": Attack(os.system, f"touch {canary}")}, stream, _use_new_zipfile_serialization=False)
    hostile_legacy = stream.getvalue()
    stream = io.BytesIO()
    torch.save({"x": torch.zeros(3, dtype=torch.bfloat16)}, stream)
    bfloat = stream.getvalue()
    stream = io.BytesIO()
    torch.save([1, 2], stream)
    no_dictionary = stream.getvalue()
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("archive/data.pkl", pickle.dumps({"a": 1}, 2))
        archive.writestr("archive/data/0", bytes(4 << 20))
    bomb = stream.getvalue()
    return {
        "code in a zip": hostile,
        "code in a legacy file": hostile_legacy,
        "code before the magic": call("os", "system", text(f"touch {canary}")) + legacy,
        "bomb": bomb,
        "no root": rewritten(good, lambda name, contents: None if name.endswith("data.pkl") else contents),
        "no numbers": rewritten(good, lambda name, contents: None if name.endswith("data/0") else contents),
        "half the numbers": rewritten(good, lambda n, c: c[:24] if n.endswith("data/0") else c),
        "member outside": rewritten(good, in_root((b"X\x01\x00\x00\x000", b"X\x08\x00\x00\x00../../ab"))),
        "size beyond the numbers": rewritten(good, in_root((b"K\x03K\x04\x86", b"K\x04K\x04\x86"))),
        "stride beyond the numbers": rewritten(good, in_root((b"K\x04K\x01\x86", b"K\x05K\x01\x86"))),
        "stride below zero": rewritten(good, in_root((b"K\x04K\x01\x86", b"K\x04J\xff\xff\xff\xff\x86"))),
        "number of strides": rewritten(good, in_root((b"K\x04K\x01\x86", b"K\x04\x85"))),
        "tensor of terabytes": rewritten(good, in_root((SIZE, HUGE), (STRIDE, b"K\x00K\x00\x86"))),
        "other storage": rewritten(good, in_root((b"FloatStorage", b"QUInt8Storage"))),
        "big-endian": rewritten(good, lambda name, contents: b"big" if name.endswith("byteorder") else contents),
        "two roots": rewritten(good, lambda n, c: c) + b"",
        "bfloat16": bfloat,
        "no dictionary": no_dictionary,
        "cut zip": good[: len(good) // 2],
        "cut legacy": legacy[:-20],
        "legacy length": legacy[:-56] + struct.pack("<q", 2**60) + legacy[-48:],
        "legacy protocol": legacy.replace(b"M\xe9\x03.", b"M\xe8\x03.", 1),
        "text": b"hello",
        "nothing": b"",
    }  # fmt: skip


SIZE, STRIDE = b"K\x03K\x04\x86", b"K\x04K\x01\x86"
HUGE = b"J\xff\xff\xff\x7fJ\xff\xff\xff\x7f\x86"


@pytest.mark.parametrize("name", zip_attacks(Path("canary")))
def test_damaged_frames_are_refused(tmp_path: Path, name: str):
    canary = tmp_path / "canary"
    path = tmp_path / "00000.frame"
    data = zip_attacks(canary)[name]
    if name == "two roots":
        with zipfile.ZipFile(io.BytesIO(data)) as source, zipfile.ZipFile(path, "w") as target:
            for member in source.namelist():
                target.writestr(member, source.read(member))
            target.writestr("other/data.pkl", b"N.")
    else:
        path.write_bytes(data)
    with pytest.raises(InputError) as caught:
        load_frame_file(path)
    assert str(path) in str(caught.value)
    assert not canary.exists()


@pytest.mark.parametrize("zipped", [True, False])
def test_flipped_bytes_never_escape(tmp_path: Path, zipped: bool):
    path = tmp_path / "00000.frame"
    torch.save(frame(), path, _use_new_zipfile_serialization=zipped)
    good = path.read_bytes()
    draw = np.random.default_rng(0)
    refused = 0
    for _ in range(200):
        damaged = bytearray(good)
        for position in draw.integers(0, len(good), 6):
            damaged[position] ^= 1 << draw.integers(8)
        path.write_bytes(damaged)
        try:
            load_frame_file(path)
        except InputError:
            refused += 1
    assert refused > 50  # the others hit numbers or padding


def test_code_in_numpy_files(tmp_path: Path):
    canary = tmp_path / "canary"
    np.save(tmp_path / "file.npy", np.array([Attack(os.system, f"touch {canary}")], dtype=object))
    with pytest.raises(InputError, match=r"file\.npy asks for 'posix\.system'"):
        load_npy(tmp_path / "file.npy")
    (tmp_path / "file.npy").write_bytes(b"\x93NUMPY\x01\x00\x10\x00{'descr': print}")
    with pytest.raises(InputError, match=r"file\.npy is no readable numpy file"):
        load_npy(tmp_path / "file.npy")
    assert not canary.exists()
