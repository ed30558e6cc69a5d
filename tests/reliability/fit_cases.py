"""Malformed results of fits (geometry folders, avatars, checkpoints) and presets."""

import functools
import json
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
import yaml
from safetensors.torch import load_file, save_file

from rgb_core.avatar import load_avatar
from rgb_core.avatar.attachment import Attachment
from rgb_core.avatar.deformation import SparseExpressions
from rgb_core.avatar.model import DELTA_WIDTH, NEUTRAL, Avatar
from rgb_core.avatar.portrait import Portrait
from rgb_core.avatar.storage import DESCRIPTION, TENSORS, save_avatar
from rgb_core.fitting.checkpoint import FILE, load_checkpoint, save_checkpoint
from rgb_core.geometry import Geometry, load_geometry
from rgb_core.geometry.result import HEAD_FILE, RECORD_FILE, TRACKING_FILE, TRACKING_FORMAT, save_geometry
from rgb_core.heads import Pose
from rgb_core.presets import load_preset
from rgb_core.scene import Light
from tests.data.dataset_samples import CAMERA, tiny_head

from .cases import DEEP, Case, written

_COUNT = 3  # Gaussians


def tiny_avatar() -> Avatar:
    """A whole avatar of three Gaussians without learned expressions."""
    none = SparseExpressions(
        offsets=torch.zeros(_COUNT + 1, dtype=torch.int64),
        expression=torch.zeros(0, dtype=torch.int64),
        consistency=torch.zeros(0),
        initial=torch.zeros(0, 10),
    )
    return Avatar(
        name="tiny",
        head=tiny_head(),
        attachment=Attachment(torch.zeros(_COUNT, dtype=torch.int64), torch.full((_COUNT, 3), 1 / 3)),
        neutral={name: torch.zeros(_COUNT, width) for name, width in NEUTRAL.items()},
        expressions=none,
        deltas=torch.zeros(0, DELTA_WIDTH),
        delta_scale=torch.ones(DELTA_WIDTH),
        light=Light(torch.ones(3, 4, 8)),
        portrait=Portrait(CAMERA, torch.zeros(2, 3), torch.zeros(3)),
    )


def write_avatar(folder: Path) -> Path:
    """The folder of `tiny_avatar`."""
    save_avatar(tiny_avatar(), folder, {})
    return folder


def write_geometry(folder: Path) -> Path:
    """A whole geometry folder with one tracked frame."""
    save_geometry(Geometry(tiny_head(), 1.0, {"00000": Pose.rest(2, 2)}, {"silhouette_iou": 0.9}), folder, {})
    return folder


def _without(write: Callable[[Path], Path], name: str) -> Callable[[Path], Path]:
    def make(folder: Path) -> Path:
        (write(folder / "whole") / name).unlink()
        return folder / "whole"

    return make


def _with(write: Callable[[Path], Path], name: str, data: bytes | str) -> Callable[[Path], Path]:
    def make(folder: Path) -> Path:
        written(name, data)(write(folder / "whole"))
        return folder / "whole"

    return make


def _cut(write: Callable[[Path], Path], name: str) -> Callable[[Path], Path]:
    def make(folder: Path) -> Path:
        path = write(folder / "whole") / name
        path.write_bytes(path.read_bytes()[:-9])
        return folder / "whole"

    return make


def _tensors(**values: torch.Tensor) -> Callable[[Path], Path]:
    """An avatar with other tensors; an empty one leaves the tensor out."""

    def make(folder: Path) -> Path:
        path = write_avatar(folder / "whole") / TENSORS
        tensors = {**load_file(path), **{name.replace("__", "."): value for name, value in values.items()}}
        save_file({name: value for name, value in tensors.items() if value.ndim}, path)
        return folder / "whole"

    return make


def _short(*shape: int) -> torch.Tensor:
    return torch.zeros(shape, dtype=torch.int16)


def _described(**values: Any) -> Callable[[Path], Path]:
    """An avatar with other values in its description."""

    def make(folder: Path) -> Path:
        path = write_avatar(folder / "whole") / DESCRIPTION
        path.write_text(yaml.safe_dump({**yaml.safe_load(path.read_text()), **values}))
        return folder / "whole"

    return make


def _tracking(**values: Any) -> Callable[[Path], Path]:
    frame = {"expression": [0, 0], "joints": [[0, 0, 0]] * 2, "translation": [0, 0, 0]}
    return _with(
        write_geometry,
        TRACKING_FILE,
        json.dumps({"format": TRACKING_FORMAT, "focal_scale": 1, "frames": {"0": {**frame, **values}}}),
    )


def _checkpoint(meta: str | None) -> Callable[[Path], Path]:
    def make(folder: Path) -> Path:
        save_file({"a": torch.zeros(3)}, folder / FILE, None if meta is None else {"rgb": meta})
        return folder

    return make


def _whole_checkpoint(folder: Path) -> Path:
    save_checkpoint(folder, {"a": torch.zeros(3)}, {"step": 1})
    return folder


def _preset(problem: str, text: bytes | str, says: str) -> Case:
    return Case("preset", problem, written("preset.yaml", text), lambda path: load_preset(str(path)), says)


def _override(overrides: list[str]) -> object:
    return load_preset("demo", overrides)


_geometry = functools.partial(Case, "geometry folder", read=load_geometry)
_avatar = functools.partial(Case, "avatar", read=load_avatar)
_check = functools.partial(Case, "checkpoint", read=load_checkpoint)
_CODE = "!!python/object/apply:os.abort []"
_OUT = torch.tensor(0.0)  # stands for a tensor that is left out

GEOMETRY_CASES = [
    _geometry(
        "folder that is not there", make=lambda folder: folder / "none", says="is not a finished geometry folder"
    ),
    _geometry("fit that did not finish", make=_without(write_geometry, RECORD_FILE), says="has no geometry.yaml"),
    _geometry("record that is no UTF-8", make=_with(write_geometry, RECORD_FILE, b"\xff\xfe"), says="not UTF-8 text"),
    _geometry("record that is a list", make=_with(write_geometry, RECORD_FILE, "- 1"), says="is damaged"),
    _geometry("empty record", make=_with(write_geometry, RECORD_FILE, ""), says="is damaged"),
    _geometry(
        "version of the future",
        make=_with(write_geometry, RECORD_FILE, "format: rgb-geometry\nversion: 9\nmetrics: {}"),
        says="is rgb-geometry 9, expected rgb-geometry 1",
    ),
    _geometry("no tracking", make=_without(write_geometry, TRACKING_FILE), says="tracking.json: No such file"),
    _geometry("tracking cut short", make=_cut(write_geometry, TRACKING_FILE), says="tracking.json is damaged"),
    _geometry("NaN in the tracking", make=_tracking(expression=[float("nan"), 0]), says="does not fit head.npz"),
    _geometry("coefficients too few", make=_tracking(expression=[0]), says="does not fit head.npz"),
    _geometry("ragged joints", make=_tracking(joints=[[0], [0, 1]]), says="tracking.json is damaged"),
    _geometry("record of 100,000 brackets", make=_with(write_geometry, RECORD_FILE, DEEP), says="nests more than"),
    _geometry("record that runs code", make=_with(write_geometry, RECORD_FILE, _CODE), says="it has the tag"),
    _geometry("tracking of 100,000 brackets", make=_with(write_geometry, TRACKING_FILE, DEEP), says="is damaged"),
    _geometry("number of 401 digits", make=_tracking(translation=[10**400, 0, 0]), says="tracking.json is damaged"),
    _geometry(
        "focal scale of NaN",
        make=_with(write_geometry, TRACKING_FILE, '{"format": "rgb-tracking", "focal_scale": NaN, "frames": {}}'),
        says="focal_scale is nan, not positive",
    ),
    _geometry("no head", make=_without(write_geometry, HEAD_FILE), says="head.npz is no file"),
    _geometry("head cut short", make=_cut(write_geometry, HEAD_FILE), says="is not a readable .npz archive"),
]

AVATAR_CASES = [
    _avatar("folder that is not there", make=lambda folder: folder / "none", says="no avatar folder"),
    _avatar("folder of something else", make=lambda folder: folder, says="is not an avatar: it has no avatar.yaml"),
    _avatar("description that runs code", make=_with(write_avatar, DESCRIPTION, _CODE), says="is not valid YAML"),
    _avatar("description that is no UTF-8", make=_with(write_avatar, DESCRIPTION, b"\xff"), says="is not UTF-8 text"),
    _avatar("another format", make=_with(write_avatar, DESCRIPTION, "format: splat"), says="not an avatar description"),
    _avatar(
        "version of the future",
        make=_with(write_avatar, DESCRIPTION, "format: rgb-avatar\nversion: 9"),
        says="version 9 is not supported",
    ),
    _avatar(
        "description without a camera",
        make=_with(write_avatar, DESCRIPTION, "format: rgb-avatar\nversion: 4\nname: a"),
        says="lacks 'portrait'",
    ),
    _avatar("description of 100,000 brackets", make=_with(write_avatar, DESCRIPTION, DEEP), says="is not valid YAML"),
    _avatar("focal scale of NaN", make=_described(focal_scale=float("nan")), says="focal_scale holds a number that"),
    _avatar("unknown light frame", make=_described(light_frame="moon"), says="light_frame is 'moon'"),
    _avatar("camera that is a list", make=_described(portrait=[]), says="is damaged"),
    _avatar("no tensors", make=_without(write_avatar, TENSORS), says="cannot read"),
    _avatar("tensors cut short", make=_cut(write_avatar, TENSORS), says="cannot read"),
    _avatar("missing tensor", make=_tensors(deltas=_OUT), says="lacks 'deltas'"),
    _avatar("tensor of another length", make=_tensors(neutral__albedo=torch.zeros(2, 3)), says="has shape [2, 3]"),
    _avatar("NaN tensor", make=_tensors(neutral__albedo=torch.full((_COUNT, 3), torch.nan)), says="is not finite"),
    _avatar("table without steps", make=_tensors(deltas__step=_OUT), says="lacks 'deltas.step'"),
    _avatar("too few steps", make=_tensors(deltas__step=torch.ones(2)), says="steps of shape [2]"),
    _avatar("learned rows too many", make=_tensors(deltas=_short(1, DELTA_WIDTH)), says="every pair with a share"),
    _avatar("single number for a tensor", make=_tensors(neutral__position=torch.zeros(1)), says="has shape [1]"),
    _avatar("flat light", make=_tensors(light=torch.zeros(3, 4)), says="light has shape [3, 4]"),
    _avatar(
        "indices that are no integers",
        make=_tensors(attachment__face_id=torch.zeros(_COUNT)),
        says="expected torch.int32",
    ),
    _avatar(
        "face beyond the head", make=_tensors(attachment__face_id=torch.full((_COUNT,), 9).int()), says="do not fit"
    ),
    _avatar("no head", make=_without(write_avatar, "head.npz"), says="head.npz is no file"),
]

CHECKPOINT_CASES = [
    _check("empty file", make=lambda folder: written(FILE, b"")(folder).parent, says="delete it to start again"),
    _check("noise", make=lambda folder: written(FILE, b"x" * 99)(folder).parent, says="delete it to start again"),
    _check(
        "header of an exabyte",
        make=lambda folder: written(FILE, struct.pack("<Q", 1 << 60) + b"{}")(folder).parent,
        says="delete it to start again",
    ),
    _check("cut short", make=lambda folder: _cut(_whole_checkpoint, FILE)(folder), says="delete it to start again"),
    _check("no step", make=_checkpoint(None), says="delete it to start again"),
    _check("step that is no JSON", make=_checkpoint("{"), says="delete it to start again"),
    _check("step of 100,000 brackets", make=_checkpoint(DEEP), says="delete it to start again"),
]

PRESET_CASES = [
    Case("preset", "unknown name", lambda _: "enormous", load_preset, "choose one of"),
    _preset("no YAML", "a: [1", "is not valid YAML"),
    _preset("YAML that runs code", _CODE, "is not valid YAML"),
    _preset("control characters", "a: \x01", "is not valid YAML"),
    _preset("no UTF-8", b"\xff\xfe\xfa", "is not UTF-8 text"),
    _preset("100,000 brackets", DEEP, "is not valid YAML"),
    _preset("number of 5,000 digits", "gaussians: {steps: " + "9" * 5000 + "}", "is not valid YAML"),
    _preset("month 99", "gaussians: {steps: 2001-99-01}", "is not valid YAML"),
    Case("preset", "override that is no YAML", lambda _: ["gaussians.steps=[1"], _override, "is not valid YAML"),
    _preset("list", "- 1", "must be a mapping"),
    _preset("unknown field", "gaussians: {stepz: 3}", "gaussians.stepz"),
    _preset("text for a number", "gaussians: {steps: many}", "gaussians.steps"),
    _preset("stage that is a number", "gaussians: 3", "gaussians: "),
]

CASES = [*GEOMETRY_CASES, *AVATAR_CASES, *CHECKPOINT_CASES, *PRESET_CASES]
