"""head.npz: what goes in comes out, and every malformed file is one clear error."""

import dataclasses
import re
from pathlib import Path

import numpy as np
import pytest
import torch
from head_samples import random_head

from rgb_core.errors import InputError
from rgb_core.heads import load_head, save_head


def arrays_of(path: Path) -> dict[str, np.ndarray]:
    with np.load(path) as archive:
        return dict(archive)


@pytest.fixture
def path(tmp_path):
    """A good head.npz."""
    target = tmp_path / "head.npz"
    save_head(random_head(dtype=torch.float32), target)
    return target


@pytest.mark.parametrize("regressed", [False, True])
def test_round_trip(tmp_path, regressed):
    head = random_head(regressed=regressed, dtype=torch.float32)
    save_head(head, tmp_path / "deep" / "head.npz")
    loaded = load_head(tmp_path / "deep" / "head.npz")
    for field in dataclasses.fields(head):
        before, after = getattr(head, field.name), getattr(loaded, field.name)
        if field.name == "joint_positions" and regressed:  # recomputed when read: float32 sums in another order
            torch.testing.assert_close(after, before)
        elif isinstance(before, torch.Tensor):
            assert after.dtype == before.dtype
            assert torch.equal(after, before), field.name
        else:
            assert after == before, field.name
    assert sorted(p.name for p in (tmp_path / "deep").iterdir()) == ["head.npz"]


def test_optional_parts_may_be_absent(tmp_path):
    head = dataclasses.replace(random_head(dtype=torch.float32), uv=None, uv_faces=None, landmarks68=None, meta="")
    save_head(head, tmp_path / "head.npz")
    loaded = load_head(tmp_path / "head.npz")
    assert loaded.uv is loaded.uv_faces is loaded.landmarks68 is loaded.joint_regressor is None


def test_bases_are_halved_only_without_loss(tmp_path):
    head = random_head(dtype=torch.float32)
    coarse = dataclasses.replace(head, expression_basis=head.expression_basis.half().float())
    save_head(coarse, tmp_path / "head.npz")
    stored = arrays_of(tmp_path / "head.npz")
    assert stored["expression_basis"].dtype == np.float16
    assert stored["shape_basis"].dtype == np.float32
    assert torch.equal(load_head(tmp_path / "head.npz").expression_basis, coarse.expression_basis)


def edit(key, change):
    def apply(arrays):
        arrays[key] = change(arrays[key])

    return apply


def put(key, value):
    return lambda arrays: arrays.__setitem__(key, np.asarray(value))


def drop(key):
    return lambda arrays: arrays.pop(key)


def with_item(index, value):
    def change(array):
        array = array.copy()
        array[index] = value
        return array

    return change


MALFORMED = {
    "wrong format": (put("format", "rgb-dataset"), "format"),
    "format is no string": (put("format", 3), "format"),
    "newer version": (put("version", 2), "version"),
    "version is text": (put("version", "1"), "version"),
    "no vertices": (drop("vertices"), "vertices"),
    "no regions": (drop("region"), "region"),
    "vertices are flat": (edit("vertices", lambda a: a[:, :2]), "vertices"),
    "vertices are integers": (edit("vertices", lambda a: a.astype(int)), "vertices"),
    "vertex is NaN": (edit("vertices", with_item((0, 0), np.nan)), "vertices"),
    "float64 overflows": (edit("vertices", lambda a: with_item((0, 0), 1e300)(a.astype(float))), "vertices"),
    "face beyond the end": (edit("faces", with_item((0, 0), 12)), "faces"),
    "face below zero": (edit("faces", with_item((0, 0), -1)), "faces"),
    "faces are floats": (edit("faces", lambda a: a.astype(float)), "faces"),
    "quads": (edit("faces", lambda a: np.c_[a, a[:, :1]]), "faces"),
    "shape basis of another head": (edit("shape_basis", lambda a: a[:, 1:]), "shape_basis"),
    "expression without a name": (edit("expression_names", lambda a: a[:2]), "expression_basis"),
    "expression name twice": (edit("expression_names", with_item(0, "b")), "expression_names"),
    "names are numbers": (put("expression_names", [1, 2, 3]), "expression_names"),
    "expression is infinite": (edit("expression_basis", with_item((0, 0, 0), np.inf)), "expression_basis"),
    "half of the correctives": (edit("pose_basis", lambda a: a[:9]), "pose_basis"),
    "no joints": (drop("joint_positions"), "joint_positions"),
    "joint list empty": (put("joint_names", np.array([], dtype=str)), "joint_names"),
    "too few joints": (edit("joint_positions", lambda a: a[:2]), "joint_positions"),
    "parents in a circle": (put("joint_parents", np.array([-1, 2, 1])), "joint_parents"),
    "own parent": (put("joint_parents", np.array([0, 0, 1])), "joint_parents"),
    "parent unknown": (put("joint_parents", np.array([-1, 0, 3])), "joint_parents"),
    "weights sum to 1.1": (edit("skin_weights", lambda a: a * 1.1), "skin_weights"),
    "negative weight": (edit("skin_weights", with_item((0,), [-1.0, 1.0, 1.0])), "skin_weights"),
    "region unknown": (edit("region", with_item(0, 10)), "region"),
    "uv without faces": (drop("uv_faces"), "uv"),
    "uv index beyond the end": (edit("uv_faces", with_item((0, 0), 12)), "uv_faces"),
    "landmarks missing": (edit("landmarks68", lambda a: a[:51]), "landmarks68"),
    "landmark beyond the end": (edit("landmarks68", with_item(0, 12)), "landmarks68"),
    "regressor of another head": (put("joint_regressor", np.zeros((3, 11), np.float32)), "joint_regressor"),
    "name is a list": (put("name", ["a", "b"]), "name"),
}


@pytest.mark.parametrize("case", MALFORMED)
def test_malformed_arrays_name_the_file_and_the_key(path, case):
    change, key = MALFORMED[case]
    arrays = arrays_of(path)
    change(arrays)
    np.savez(path, **arrays)
    with pytest.raises(InputError, match=re.escape(f"{path}: key '{key}'")) as caught:
        load_head(path)
    assert "\n" not in str(caught.value)


def test_pickled_objects_are_not_loaded(path):
    arrays = arrays_of(path) | {"meta": np.array([{"code": print}], dtype=object)}
    np.savez(path, **arrays)
    with pytest.raises(InputError, match="key 'meta' cannot be read"):
        load_head(path)


@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 0.99])
def test_truncated_file(path, share):
    data = path.read_bytes()
    path.write_bytes(data[: int(share * len(data))])
    with pytest.raises(InputError, match=re.escape(str(path))):
        load_head(path)


def test_flipped_bytes_never_escape_as_another_error(path):
    data = path.read_bytes()
    generator = np.random.default_rng(0)
    refused = 0
    for _ in range(60):
        damaged = bytearray(data)
        for position in generator.integers(0, len(data), 8):
            damaged[position] ^= 0xFF
        path.write_bytes(damaged)
        try:
            load_head(path)
        except InputError:
            refused += 1
    assert refused > 50  # a zip checks its contents, so few damages go unnoticed


def test_files_that_are_no_archives(tmp_path):
    for name, write in {
        "text.npz": lambda p: p.write_text("hello"),
        "array.npz": lambda p: p.open("wb").write(b"") or np.save(p.open("wb"), np.zeros(3)),
    }.items():
        write(tmp_path / name)
        with pytest.raises(InputError, match=name):
            load_head(tmp_path / name)
    with pytest.raises(InputError, match="is no file"):
        load_head(tmp_path / "absent.npz")
    with pytest.raises(InputError, match="is no file"):
        load_head(tmp_path)


def test_failed_write_leaves_nothing(tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(InputError, match="cannot write"):
        save_head(random_head(), tmp_path / "file" / "head.npz")
