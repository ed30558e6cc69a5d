"""Malformed inputs made by chance from sound ones; `python -m tests.reliability.generated 20000` tries many.

Every input is a sound file with bytes flipped, cut, repeated, inserted or exchanged for what parsers trip over. Reading
it must either succeed or end in one sentence, run nothing, write nothing, warn of nothing and take bounded time.
"""

import json
import pickle
import random
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from rgb_core.avatar import load_avatar
from rgb_core.avatar.storage import DESCRIPTION, TENSORS
from rgb_core.data import load_dataset, read_ply
from rgb_core.driving.coefficients import read_coefficients
from rgb_core.driving.keyframes import read_keyframes
from rgb_core.driving.livelink import read_livelink
from rgb_core.errors import InputError, InputWarning
from rgb_core.fitting.checkpoint import FILE, load_checkpoint, save_checkpoint
from rgb_core.geometry import load_geometry
from rgb_core.geometry.result import RECORD_FILE, TRACKING_FILE
from rgb_core.heads import (
    Motion,
    Pose,
    load_frame_file,
    load_head,
    load_restricted_pickle,
    motion_record,
    save_head,
)
from rgb_core.images import read_exr, read_hdr, read_png, write_exr, write_hdr, write_png
from rgb_core.presets import load_preset
from rgb_core.progress import Silent
from tests.data.dataset_samples import tiny_head, write_dataset
from tests.driving.performances import write_take

from .fit_cases import write_avatar, write_geometry
from .tripwire import watched

LONGEST = 20.0  # seconds for one small input, on a machine that does much else
_SPECIAL = (
    b"",
    b"\0",
    b"nan",
    b"1e999",
    b"-1",
    b"{",
    b"\xff\xfe",
    b"\x1b[2J",
    b"../",
    b"!!int ''",
    b"[" * 5000,
    b"9" * 5000,
)


@dataclass(frozen=True)
class Target:
    """A reader, the file that is changed, and what the reader takes."""

    name: str
    make: Callable[[Path], Path]
    read: Callable[[Path], object]
    given: Callable[[Path], Path]


def _single(name: str, write: Callable[[Path], object], read: Callable[[Path], object]) -> Target:
    def make(folder: Path) -> Path:
        write(folder / name)
        return folder / name

    return Target(name, make, read, lambda path: path)


def _member(write: Callable[[Path], Path], name: str, read: Callable[[Path], object]) -> Target:
    return Target(name, lambda folder: write(folder / "whole") / name, read, lambda path: folder_of(path, name))


def folder_of(path: Path, name: str) -> Path:
    """The folder that the member `name` at `path` belongs to."""
    return path.parents[len(Path(name).parts) - 1]


def _ply(path: Path) -> None:
    text = "ply\nformat ascii 1.0\nelement vertex 3\nproperty float x\nproperty float y\nproperty float z\n"
    text += "element face 1\nproperty list uchar int vertex_indices\nend_header\n0 0 0\n1 0 0\n0 1 0\n3 0 1 2\n"
    path.write_text(text)


def _pickle(path: Path) -> None:
    path.write_bytes(pickle.dumps({"v": np.arange(12.0).reshape(4, 3), "names": ["a", "b"], "n": 3}))


def _checkpoint(folder: Path) -> Path:
    save_checkpoint(folder, {"x": torch.arange(9.0)}, {"step": 3})
    return folder


def _picture(folder: Path) -> torch.Tensor:
    dataset = load_dataset(folder)
    return dataset.image(dataset.all_frames[0])


def _settings(path: Path) -> None:
    path.write_text("gaussians: {steps: 10}\ngeometry: {steps: 3}\n")


def _motion(path: Path) -> None:
    head = tiny_head()
    poses = Pose.stack([Pose.rest(len(head.expression_names), head.joint_count)] * 3)
    path.write_text(json.dumps(motion_record(Motion("m", poses, 25.0), head)))


def _keyframes(path: Path) -> None:
    keys = "  0: {jaw: 0, head: {yaw: 3}}\n  0.5: {expression: {eyeBlink: 1}, eyes: {pitch: 2}}\n"
    path.write_text("format: rgb-keyframes\nversion: 1\nkeys:\n" + keys)


_NOISE = torch.rand(8, 16, 3, generator=torch.Generator().manual_seed(0))
TARGETS = (
    _member(write_dataset, "dataset.json", load_dataset),
    _member(write_dataset, "images/00000.png", _picture),
    _single("head.npz", lambda path: save_head(tiny_head(), path), load_head),
    _member(write_geometry, RECORD_FILE, load_geometry),
    _member(write_geometry, TRACKING_FILE, load_geometry),
    _member(write_avatar, DESCRIPTION, load_avatar),
    _member(write_avatar, TENSORS, load_avatar),
    _member(_checkpoint, FILE, load_checkpoint),
    _single("a.hdr", lambda path: write_hdr(path, _NOISE), read_hdr),
    _single("a.exr", lambda path: write_exr(path, _NOISE), read_exr),
    _single("a.png", lambda path: write_png(path, _NOISE), read_png),
    _single("a.ply", _ply, read_ply),
    _single("a.pkl", _pickle, load_restricted_pickle),
    _single("a.frame", lambda path: torch.save({"exp": torch.ones(4)}, path), load_frame_file),
    _single("a.yaml", _settings, lambda p: load_preset(str(p))),
    _single("take.csv", write_take, lambda path: read_livelink(path, Silent())),
    _single("motion.json", _motion, lambda path: read_coefficients(path, tiny_head())),
    _single("play.yaml", _keyframes, lambda path: read_keyframes(path, tiny_head())),
)  # fmt: skip


def changed(data: bytes, chance: random.Random) -> bytes:
    """`data` with one to four accidents."""
    for _ in range(chance.randint(1, 4)):
        start = chance.randrange(len(data) + 1)
        end = min(len(data), start + chance.choice((1, 2, 8, 64)))
        kind = chance.randrange(6)
        if kind == 0:
            data = data[:start]
        elif kind == 1:
            data = data[:start] + bytes(chance.randrange(256) for _ in range(end - start)) + data[end:]
        elif kind == 2:
            data = data[:start] + data[start:end] * chance.choice((2, 100)) + data[end:]
        elif kind == 3:
            data = data[:start] + chance.choice(_SPECIAL) + data[end:]
        elif kind == 4:
            data = data[:start] + data[end:]
        else:
            other = chance.randrange(len(data) + 1)
            data = data[:start] + data[other : other + 16] + data[end:]
    return data


def faults(count: int, seed: int) -> Iterator[str]:
    """What went wrong in `count` inputs: the seed of the input, its reader, and the fault."""
    for index in range(count):
        target = TARGETS[index % len(TARGETS)]
        with tempfile.TemporaryDirectory() as name:
            path = target.make(Path(name))
            path.write_bytes(changed(path.read_bytes(), random.Random(f"{seed} {index}")))
            if fault := _fault(target, path, Path(name)):
                yield f"{target.name}, input {index} of seed {seed}: {fault}"


def _fault(target: Target, path: Path, folder: Path) -> str | None:
    begin = time.monotonic()
    with warnings.catch_warnings(), watched(folder) as seen:
        warnings.simplefilter("error")
        warnings.simplefilter("ignore", InputWarning)
        warnings.simplefilter("ignore", ResourceWarning)
        try:
            target.read(target.given(path))
        except InputError as error:
            if not str(error).isprintable() or len(str(error)) > 1200:
                return f"a message that a terminal cannot show: {json.dumps(str(error))[:300]}"
        except Exception as error:
            return f"{type(error).__name__}: {error}"
    if seen:
        return f"did {seen[0]}"
    return None if time.monotonic() - begin < LONGEST else "took too long"


if __name__ == "__main__":
    found = list(faults(int(sys.argv[1]) if len(sys.argv) > 1 else 5000, int(time.time())))
    print("\n".join(found) or "nothing found")
    raise SystemExit(bool(found))
