"""Pickles that want something else than to be data."""

import collections
import functools
import operator
import os
import pickle
import struct
from pathlib import Path

import numpy as np
import scipy.sparse


def call(module: str, name: str, argument: bytes) -> bytes:
    """`module.name(argument)` in protocol 0."""
    return b"c" + module.encode() + b"\n" + name.encode() + b"\n(" + argument + b"tR."


def text(value: str) -> bytes:
    return b"V" + value.encode() + b"\n"


def array(shape: bytes, dtype: bytes = b"f8", contents: bytes = b"C\x08" + bytes(8)) -> bytes:
    """An array by its state, to lie in."""
    return (
        b"\x80\x04cnumpy._core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85C\x01b\x87R(K\x01" + shape
        + b"cnumpy\ndtype\n\x8c" + bytes([len(dtype)]) + dtype + b"\x89\x88\x87R\x89" + contents + b"tb."
    )  # fmt: skip


def many_of(pickled: bytes) -> bytes:
    """A list of 1000 copies; each may refer to a million bytes as memo 255, or to as much text as memo 254."""
    body = pickled[2:-1] if pickled[:1] == b"\x80" else pickled[:-1]
    size = struct.pack("<I", 1 << 20)
    large = b"B" + size + bytes(1 << 20) + b"q\xff0X" + size + b"a" * (1 << 20) + b"q\xfe0"
    return b"\x80\x03" + large + b"](" + body * 1000 + b"e."


class Attack:
    """Pickles as a call of `function` on `arguments`."""

    def __init__(self, function, *arguments, state=None):
        self.function, self.arguments, self.state = function, arguments, state

    def __reduce__(self):
        return (self.function, self.arguments) if self.state is None else (self.function, self.arguments, self.state)


def attacks(canary: Path) -> dict[str, bytes]:
    """Streams that would create `canary`, or take gigabytes or forever, in an unpickler that believes them."""
    touch = f"touch {canary}"
    code = f"open({str(canary)!r}, 'w')"
    shape = b"K\x01\x85"
    return {
        "GLOBAL os.system": call("os", "system", text(touch)),
        "GLOBAL posix.system": call("posix", "system", text(touch)),
        "GLOBAL subprocess": call("subprocess", "check_output", b"(V" + touch.encode() + b"\nl"),
        "GLOBAL builtins.eval": call("builtins", "eval", text(code)),
        "GLOBAL builtins.exec": call("builtins", "exec", text(code)),
        "Python 2 builtins": call("__builtin__", "eval", text(code)),
        "builtins.open": pickle.dumps(Attack(open, str(canary), "w")),
        "builtins.getattr": pickle.dumps(Attack(getattr, "x", "upper")),
        "builtins.__import__": call("builtins", "__import__", text("antigravity")),
        "STACK_GLOBAL": b"\x80\x04\x8c\x05posix\x8c\x06system\x93(" + text(touch) + b"tR.",
        "STACK_GLOBAL with a number": b"\x80\x04K\x01\x8c\x06system\x93(" + text(touch) + b"tR.",
        "STACK_GLOBAL dotted": b"\x80\x04\x8c\x05numpy\x8c\x10ndarray.__reduce\x93)R.",
        "INST": b"(" + text(touch) + b"ios\nsystem\n.",
        "OBJ": b"(cos\nsystem\n" + text(touch) + b"o.",
        "NEWOBJ": b"\x80\x02csubprocess\nPopen\n" + text(touch) + b"\x85\x81.",
        "NEWOBJ_EX": b"\x80\x04csubprocess\nPopen\n)}\x8c\x04args" + text(touch) + b"s\x92.",
        "name with line breaks": b"\x80\x04\x8c\x09os\nerror:\x8c\x06s\x1b[2J\n\x93.",
        "name with markup": b"c[/]os[/bold]\nsystem\n.",
        "extension code": b"\x80\x02\x82\x01.",
        "out-of-band buffer": b"\x80\x05\x97.",
        "never called": b"cos\nsystem\n0N.",
        "inside a list": pickle.dumps([1, [2, {"x": Attack(os.system, touch)}]]),
        "as a dictionary key": b"}cnumpy\nndarray\nK\x01s.",
        "as an argument": pickle.dumps(Attack(collections.OrderedDict, [("a", Attack(os.system, touch))])),
        "as a state": pickle.dumps(Attack(collections.OrderedDict, state={"x": Attack(os.system, touch)})),
        "as an array's contents": pickle.dumps(np.array([Attack(os.system, touch)], dtype=object)),
        "as an array's type": pickle.dumps(Attack(np.dtype, Attack(os.system, touch))),
        "as a scalar's type": pickle.dumps(Attack(np.float64(1).__reduce__()[0], Attack(os.system, touch), b"")),
        "inside chumpy": b"cchumpy.ch\nCh\n)\x81}V_cache\n" + call("os", "system", text(touch))[:-1] + b"sb.",
        "chumpy look-alike": call("chumpyx.ch", "Ch", b""),
        "chumpy by a path": call("chumpy.ch;os", "system", text(touch)),
        "numpy.load": pickle.dumps(Attack(np.load, str(canary), None, True)),
        "numpy.fromfile": call("numpy", "fromfile", text("/etc/hostname")),
        "numpy.testing's exec": call("numpy.testing._private.utils", "runstring", text(code)),
        "numpy.f2py": call("numpy.f2py.crackfortran", "getlincoef", text(code)),
        "numpy.ndarray called": call("numpy", "ndarray", b"(I9999999\nI9999999\nt"),
        "numpy.memmap": pickle.dumps(Attack(np.memmap, str(canary), "u1", "w+")),
        "torch.load": call("torch", "load", text(str(canary))),
        "torch.hub": call("torch.hub", "load", text("a/b") + text("c")),
        "torch storage called": call("torch", "FloatStorage", b"I999999999\n"),
        "torch tensor on nothing": call("torch._utils", "_rebuild_tensor_v2", b"NI0\n(I1\nt(I1\ntI00\nN"),
        "functools.partial": pickle.dumps(functools.partial(os.system, touch)),
        "operator.methodcaller": pickle.dumps(operator.methodcaller("system", touch)),
        "itertools behind a list": call("itertools", "repeat", b"I1\n"),
        "copyreg of another class": call("copyreg", "_reconstructor", b"csubprocess\nPopen\ncbuiltins\nobject\nN"),
        "copyreg of no class": call("copyreg", "_reconstructor", b"I1\ncbuiltins\nobject\nN"),
        "copyreg of object": call("copyreg", "_reconstructor", b"cbuiltins\nobject\ncbuiltins\nobject\nN"),
        "copyreg.add_extension": call("copyreg", "add_extension", text("os") + text("system") + b"I1\n"),
        "codec that runs": call("_codecs", "encode", text(touch) + text("unicode_escape")),
        "codec registration": call("_codecs", "register", b"N"),
        "weakref": call("weakref", "ref", b"N"),
        "result called": b"ccollections\nOrderedDict\n)R)R.",
        "text called": text("os.system") + b"(" + text(touch) + b"tR.",
        "state for a list": b"](V__class__\nI1\nt" + b"b.",
        "persistent id": b"P" + touch.encode() + b"\n.",
        "bare global": b"cnumpy\nndarray\n.",
        "memo far away": b"\x80\x04Nr\xff\xff\xff\xffj\xfe\xff\xff\xff.",
        "memo never stored": b"h\x05.",
        "four gigabytes of bytes": b"\x80\x04B\xff\xff\xff\xff.",
        "exabytes of bytes": b"\x80\x04\x8e" + b"\xff" * 7 + b"\x0f.",
        "exabytes of text": b"\x80\x04\x8d" + b"\xff" * 7 + b"\x0f.",
        "text of negative length": b"T\xff\xff\xff\xff.",
        "exabyte frame": b"\x80\x04\x95" + b"\xff" * 7 + b"\x0fK\x01",
        "integer without end": b"\x80\x02\x8b\xff\xff\xff\x7f.",
        "integer of many digits": b"L" + b"9" * 5000 + b"L\n.",
        "array of terabytes": array(b"\x8a\x05\x00\x00\x00\x00\x01\x85"),
        "array of zeros times terabytes": array(b"K\x00\x8a\x05\x00\x00\x00\x00\x01\x86", contents=b"C\x01a"),
        "array of negative size": array(b"J\xff\xff\xff\xff\x85"),
        "array cut short": array(b"K\x02\x85"),
        "array too full": array(b"K\x01\x85", b"f4"),
        "array of structures": array(shape, b"f8,f8"),
        "array of void": array(shape, b"V8"),
        "array of expressions": array(shape, b"(9999999,99999)f8"),
        "array of objects from bytes": array(shape, b"O8"),
        "array of times": array(shape, b"M8[s]"),
        "dtype with metadata": pickle.dumps(np.dtype("f8", metadata={"x": Attack(os.system, touch)})),
        "dtype with fields": pickle.dumps(np.zeros(2, [("a", "f8"), ("b", "i4")])),
        "sparse of terabytes": pickle.dumps(scipy.sparse.coo_matrix((10**7, 10**6))),
        "sparse of text": pickle.dumps(sparse_with(data=np.array(["a", "b", "c"]))),
        "sparse of a dictionary": pickle.dumps(sparse_with(data={"x": 1})),
        "sparse with half an index": pickle.dumps(sparse_with(indices=np.array([0.5, 1, 2]))),
        "sparse without indices": pickle.dumps(sparse_with(indices=None)),
        "sparse with a short index": pickle.dumps(sparse_with(indices=np.array([0, 1]))),
        "sparse of three dimensions": pickle.dumps(sparse_with(_shape=(1, 1, 1))),
        "array type of a list": array(shape).replace(b"\x8c\x02f8", b"](K\x01K\x02e"),
        "sparse index outside": pickle.dumps(sparse_with(indices=np.array([0, 1, 7]))),
        "sparse index below zero": pickle.dumps(sparse_with(indices=np.array([0, 1, -1]))),
        "sparse rows of eternity": pickle.dumps(sparse_with(indptr=np.array([0, 1, 2, 2**40]))),
        "the same array for ever": many_of(array(b"J\x00\x00\x10\x00\x85", b"u1", b"h\xff")),
        "the same bytes for ever": many_of(b"c_codecs\nencode\nh\xfeX\x06\x00\x00\x00latin1\x86R."),
        "the same sparse for ever": many_of(pickle.dumps(scipy.sparse.coo_matrix((2000, 2000)), 2)),
        "list inside itself": b"]q\x00h\x00a.",
        "dictionary inside itself": b"}q\x00K\x01h\x00s.",
        "a thousand lists deep": b"]" * 1000 + b"a" * 999 + b".",
        "lists doubling": b"]q\x00K\x01a" + b"".join(b"]q%c(h%ch%ce" % (i, i - 1, i - 1) for i in range(1, 90)) + b".",
        "millions of opcodes": b"N0" * 510_000 + b"N.",
        "key that is a list": b"}]K\x01s.",
        "key without a value": b"}(K\x01u.",
        "items for a number": b"K\x01K\x02a.",
        "pop from nothing": b"0.",
        "mark without end": b"(.",
        "tuple from nothing": b"\x87.",
        "no mark": b"t.",
        "only a stop": b".",
        "nothing": b"",
        "no stop": b"K\x01",
        "quotes that do not match": b"S'abc\"\n.",
        "broken UTF-8": b"\x80\x04\x8c\x01\xff.",
        "broken float": b"Fabc\n.",
        "broken integer": b"Iabc\n.",
        "html page": b"<!DOCTYPE html><html>Please log in</html>",
        "Git LFS pointer": b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 53023716\n",
    }  # fmt: skip


def sparse_with(**parts: object) -> scipy.sparse.csc_matrix:
    """A sparse identity with some of its parts replaced."""
    matrix = scipy.sparse.csc_matrix(np.eye(3))
    vars(matrix).update(parts)
    return matrix
