"""Malformed head.npz files."""

import functools
import pickle
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from rgb_core.heads import load_head, save_head
from tests.data.dataset_samples import tiny_head

from .cases import Case, written


def _changed(**values: Any) -> Callable[[Path], Path]:
    """A sound head with other arrays; None leaves one out."""

    def make(folder: Path) -> Path:
        path = folder / "head.npz"
        save_head(tiny_head(), path)
        with np.load(path) as archive:
            arrays = {**archive, **values}
        np.savez(path, **{key: value for key, value in arrays.items() if value is not None})
        return path

    return make


def _cut(folder: Path) -> Path:
    path = _changed()(folder)
    path.write_bytes(path.read_bytes()[:-40])
    return path


def _member(header: str, data: bytes = b"") -> Callable[[Path], Path]:
    """An archive whose key `format` is an array with a given header."""

    def make(folder: Path) -> Path:
        path = folder / "head.npz"
        line = header.encode() + b"\n"
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("format.npy", b"\x93NUMPY\x01\x00" + struct.pack("<H", len(line)) + line + data)
        return path

    return make


def _array(folder: Path) -> Path:
    with (folder / "head.npz").open("wb") as stream:
        np.save(stream, np.zeros(3))
    return folder / "head.npz"


class _Trap:
    """A pickle that would print when it is loaded."""

    def __reduce__(self) -> tuple[Any, tuple[str]]:
        return print, ("executed",)


_HEADER = "{{'descr': '<f4', 'fortran_order': False, 'shape': ({},), }}"
_case = functools.partial(Case, "head.npz", read=load_head)

CASES = [
    _case("file that is not there", make=lambda folder: folder / "head.npz", says="is no file"),
    _case("folder", make=lambda folder: folder, says="is no file"),
    _case("empty file", make=written("head.npz", b""), says="is not a readable .npz archive"),
    _case("pickle that runs code", make=written("head.npz", pickle.dumps(_Trap())), says="is not a readable .npz"),
    _case("object array that runs code", make=_changed(meta=np.array([_Trap()])), says="key 'meta' cannot be read"),
    _case("header that is an expression", make=_member("__import__('os').abort()"), says="key 'format' cannot be read"),
    _case("header of 5,000 brackets", make=_member("(" * 5000), says="key 'format' cannot be read"),
    _case("line break in the format", make=_changed(format=np.array("a\nb")), says="key 'format' is"),
    _case("array that claims 4 TB", make=_member(_HEADER.format(10**12)), says="key 'format' cannot be read"),
    _case("array of negative length", make=_member(_HEADER.format(-5)), says="key 'format' cannot be read"),
    _case("single array", make=_array, says="holds a single array"),
    _case("archive cut short", make=_cut, says="is not a readable .npz archive"),
    _case("missing key", make=_changed(faces=None), says="key 'faces' is missing"),
    _case("another format", make=_changed(format=np.array("obj")), says="key 'format' is 'obj'"),
    _case("version of the future", make=_changed(version=np.array(9)), says="key 'version' is 9"),
    _case("NaN vertex", make=_changed(vertices=np.full((4, 3), np.nan, "f4")), says="'vertices' holds a number that"),
    _case("integer vertices", make=_changed(vertices=np.zeros((4, 3), int)), says="must hold floating-point numbers"),
    _case("face beyond the vertices", make=_changed(faces=np.full((1, 3), 9, "i4")), says="holds 9 to 9, outside"),
    _case("basis of other vertices", make=_changed(expression_basis=np.zeros((2, 3, 3), "f4")), says="has shape"),
    _case("joints in a circle", make=_changed(joint_parents=np.array([1, 0], "i4")), says="runs in a circle"),
    _case("weights that do not sum to 1", make=_changed(skin_weights=np.ones((4, 2), "f4")), says="does not sum to 1"),
    _case("repeated names", make=_changed(joint_names=np.array(["a", "a"])), says="repeats a name"),
]
