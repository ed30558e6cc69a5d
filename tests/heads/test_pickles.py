"""Pickles are read as data: what models and trackers write comes back, anything else is one error and runs nothing."""

import collections
import pickle
import pickletools
import sys
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
import scipy.sparse
from flame_samples import chumpy_array, chumpy_class, forget_chumpy
from hypothesis import given, settings
from hypothesis import strategies as st
from pickle_attacks import attacks

from rgb_core.errors import InputError
from rgb_core.heads.foreign import load_restricted_pickle
from rgb_core.heads.foreign.pickle_nodes import PickleError
from rgb_core.heads.foreign.pickle_values import ChumpyExpression, pickled_value

MEMORY_LIMIT = 700 << 20
"""Bytes that a refused file may take at most: the limit of all values and the file itself; attacks ask for far more."""

HARMLESS = {
    "float array": np.linspace(0, 1, 12).reshape(3, 4),
    "column-major": np.asfortranarray(np.arange(6).reshape(2, 3)),
    "float32": np.arange(3, dtype=np.float32),
    "big-endian": np.arange(5, dtype=">i4"),
    "half": np.ones(2, np.float16),
    "booleans": np.array([True, False]),
    "texts": np.array(["a", "longer"]),
    "empty": np.zeros((0, 3)),
    "no dimensions": np.array(3.5),
    "numpy scalar": np.float32(0.25),
    "numpy integer": np.int64(-7),
    "dictionary": {"a": 1, 2: 2.5, 3: None, "nested": [1, (2, (3, 4, 5, 6)), {}]},
    "ordered": collections.OrderedDict([("z", 1), ("a", [2])]),
    "integers": [0, -1, 255, 256, 65536, -(2**31), 2**40, -(2**70)],
    "floats": [0.0, -1.5, 1e300, float("inf")],
    "text": "Übergröße 𝛽 \n 'quoted' \\",
    "bytes": b"\x00\xff\n",
    "no bytes": b"",
}


@pytest.mark.parametrize("protocol", range(6))
@pytest.mark.parametrize("name", HARMLESS)
def test_values_come_back(tmp_path: Path, name: str, protocol: int):
    value = HARMLESS[name]
    (tmp_path / "file.pkl").write_bytes(pickle.dumps(value, protocol))
    found = load_restricted_pickle(tmp_path / "file.pkl")
    if isinstance(value, np.ndarray):
        assert found.dtype == value.dtype
        assert found.flags.f_contiguous == value.flags.f_contiguous
        np.testing.assert_array_equal(found, value)
    else:
        assert found == value
        assert type(found) in (type(value), dict)


@pytest.mark.parametrize("protocol", range(6))
@pytest.mark.parametrize("kind", ["csc", "csr", "coo"])
def test_sparse_matrices_become_dense(tmp_path: Path, kind: str, protocol: int):
    dense = np.random.default_rng(0).integers(0, 3, (5, 40)) * 0.5
    for build in (f"{kind}_matrix", f"{kind}_array"):
        (tmp_path / "file.pkl").write_bytes(pickle.dumps(getattr(scipy.sparse, build)(dense), protocol))
        np.testing.assert_array_equal(load_restricted_pickle(tmp_path / "file.pkl"), dense)


@pytest.mark.parametrize("protocol", range(6))
def test_chumpy_without_chumpy(tmp_path: Path, protocol: int):
    values = np.arange(12.0).reshape(3, 4)
    select = chumpy_class("chumpy.reordering.Select")()
    select.__dict__ = {"a": chumpy_array(values), "idxs": np.array([0, 5, 7]), "preferred_shape": (3, 1)}
    formula = chumpy_class("chumpy.ch.add")()
    formula.__dict__ = {"a": chumpy_array(values), "b": 2}
    data = pickle.dumps({"x": chumpy_array(values), "picked": select, "sum": formula}, protocol)
    forget_chumpy()
    (tmp_path / "file.pkl").write_bytes(data)
    found = load_restricted_pickle(tmp_path / "file.pkl")
    np.testing.assert_array_equal(found["x"], values)
    np.testing.assert_array_equal(found["picked"], [[0], [5], [7]])
    assert isinstance(found["sum"], ChumpyExpression)
    assert found["sum"].name == "chumpy.ch.add"
    assert not any(name.split(".")[0] == "chumpy" for name in sys.modules)


def test_old_numpy_and_python_2_spellings(tmp_path: Path):
    """A Python 2 pickle: byte strings for texts and contents, numpy.core for numpy._core."""
    contents = np.array([1.5, -2.0]).tobytes()
    data = (
        b"\x80\x02}q\x00(U\x01kcnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85U\x01b\x87R"
        b"(K\x01K\x02\x85cnumpy\ndtype\nU\x02f8K\x00K\x01\x87R(K\x03U\x01<NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb\x89"
        + b"U\x10"
        + contents
        + b"tbU\x04nameU\x03\xe4\xf6\xfcu."
    )
    assert list(pickletools.genops(data))
    (tmp_path / "file.pkl").write_bytes(data)
    found = load_restricted_pickle(tmp_path / "file.pkl")
    assert found["k"].tolist() == [1.5, -2.0]
    assert found["name"] == "äöü"
    assert load_restricted_pickle(tmp_path / "file.pkl", encoding="bytes")[b"name"] == b"\xe4\xf6\xfc"


@pytest.mark.parametrize("name", attacks(Path("canary")))
def test_everything_else_is_refused_and_runs_nothing(tmp_path: Path, name: str):
    canary = tmp_path / "canary"
    path = tmp_path / "model.pkl"
    path.write_bytes(attacks(canary)[name])
    before = set(sys.modules)
    tracemalloc.start()
    try:
        with pytest.raises(InputError) as caught:
            load_restricted_pickle(path)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert str(caught.value).startswith(str(path))
    assert str(caught.value).isprintable()
    assert "[/" not in str(caught.value)  # the console would take it for markup
    assert not canary.exists()
    assert set(sys.modules) - before <= {"rgb_core.heads.foreign.torch_files"}
    assert peak < MEMORY_LIMIT
    assert sorted(item.name for item in tmp_path.iterdir()) == ["model.pkl"]


def test_the_refused_global_is_named(tmp_path: Path):
    (tmp_path / "model.pkl").write_bytes(attacks(tmp_path / "canary")["GLOBAL os.system"])
    with pytest.raises(InputError, match=r"asks for 'os\.system'"):
        load_restricted_pickle(tmp_path / "model.pkl")


@pytest.mark.parametrize("what", ["array", "bytes", "sparse"])
def test_memory_is_accounted_for(what: str, tmp_path: Path):
    """Thousands of harmless values out of one piece of the file."""
    with pytest.raises(PickleError, match="more than 512 MB of memory"):
        pickled_value(attacks(tmp_path)[f"the same {what} for ever"])


def test_the_canary_can_die(tmp_path: Path):
    """The attacks are real: Python's own unpickler runs them."""
    for name in (
        "GLOBAL os.system",
        "INST",
        "OBJ",
        "STACK_GLOBAL",
        "builtins.open",
        "functools.partial",
        "inside a list",
    ):
        canary = tmp_path / name.replace(" ", "_").replace(".", "_")
        value = pickle.loads(attacks(canary)[name])
        if name == "functools.partial":
            value()
        assert canary.exists(), name


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=200))
def test_random_bytes_never_escape(data: bytes):
    with pytest.raises(PickleError):
        pickled_value(b"c" + data)  # a global first: never a whole harmless pickle


def test_damaged_model_files_never_escape():
    draw = np.random.default_rng(0)
    good = pickle.dumps({"a": np.arange(30.0), "s": scipy.sparse.csc_matrix(np.eye(5)), "l": [1, "x", None]}, 2)
    refused = 0
    for _ in range(400):
        damaged = bytearray(good)
        for position in draw.integers(0, len(good), 3):
            damaged[position] = draw.integers(256)
        try:
            pickled_value(bytes(damaged))
        except PickleError:
            refused += 1
    for end in range(len(good)):
        with pytest.raises(PickleError):
            pickled_value(good[:end])
    assert refused > 150  # the others hit numbers, which may be anything


def test_missing_and_oversized_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    for absent in (tmp_path / "absent.pkl", tmp_path):
        with pytest.raises(InputError, match="cannot read"):
            load_restricted_pickle(absent)
    with (tmp_path / "large.pkl").open("wb") as stream:
        stream.truncate((512 << 20) + 1)  # sparse: takes no room
    with pytest.raises(InputError, match="bytes, more than"):
        load_restricted_pickle(tmp_path / "large.pkl")
