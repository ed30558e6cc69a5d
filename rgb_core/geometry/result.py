"""What stage 1 hands on: the personalised head, the refined tracking, and the folder that holds them."""

import dataclasses
import json
import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
import yaml

from ..data import Dataset, Frame
from ..errors import InputError
from ..files import read_text, write_text
from ..heads import HeadModel, Pose, load_head, save_head
from ..tensors import to_device
from ..yaml_text import parse_yaml

FORMAT = "rgb-geometry"
VERSION = 1
HEAD_FILE, RECORD_FILE, TRACKING_FILE = "head.npz", "geometry.yaml", "tracking.json"
TRACKING_FORMAT = "rgb-tracking"
_DAMAGE = (OSError, KeyError, TypeError, ValueError, AttributeError, OverflowError, RecursionError)
"""What values of other types and sizes than `save_geometry` wrote make Python raise."""


@dataclass(frozen=True, eq=False)
class Geometry:
    """A subject's mesh and tracking."""

    head: HeadModel
    """The personalised model; identity is baked into its template."""
    focal_scale: float = 1.0
    """Factor on the focal lengths of all frames."""
    tracking: dict[str, Pose] = field(default_factory=dict)
    """Refined coefficients by frame id; frames that are not in it keep the dataset's."""
    metrics: dict[str, float] = field(default_factory=dict)
    """What geometry.yaml reports."""

    def to(self, device: torch.device) -> "Geometry":
        """The same with all tensors on `device`."""
        return to_device(self, device)

    def refined(self, frames: tuple[Frame, ...] | list[Frame]) -> list[Frame]:
        """The frames with refined coefficients where they have them, and the focal length scaled in all of them."""
        refined = []
        for frame in frames:
            camera = frame.camera.with_scaled_focal(self.focal_scale)
            pose = self.tracking.get(frame.id, frame.pose)
            refined.append(dataclasses.replace(frame, camera=camera, pose=pose))
        return refined


def unrefined(dataset: Dataset) -> Geometry:
    """The dataset's head model as it is, identity baked into the template, with the dataset's own tracking."""
    return Geometry(dataset.head.with_identity(dataset.shape).with_fixed_joints())


def save_geometry(geometry: Geometry, folder: Path, provenance: dict[str, Any]) -> None:
    """Write head.npz, tracking.json and, last, geometry.yaml; each file appears whole or not at all."""
    save_head(geometry.head, folder / HEAD_FILE)
    frames = {
        name: {key: values.tolist() for key, values in vars(found).items()} for name, found in geometry.tracking.items()
    }
    tracking = {"format": TRACKING_FORMAT, "version": 1, "focal_scale": geometry.focal_scale, "frames": frames}
    write_text(folder / TRACKING_FILE, json.dumps(tracking))
    record = {
        "format": FORMAT,
        "version": VERSION,
        "head_model": HEAD_FILE,
        "tracking": TRACKING_FILE,
        "provenance": provenance,
        "metrics": geometry.metrics,
    }
    write_text(folder / RECORD_FILE, yaml.safe_dump(record, sort_keys=False))


def load_geometry(folder: str | Path) -> Geometry:
    """Read a folder written by `fit_geometry`.

    Raises:
        InputError: naming the file that is missing or damaged.
    """
    folder = Path(folder)
    path = folder / RECORD_FILE
    if not path.is_file():
        raise InputError(f"{folder} is not a finished geometry folder: it has no {RECORD_FILE}; run rgb fit-geometry")
    try:
        record = parse_yaml(read_text(path), str(path))
        if record["format"] != FORMAT or record["version"] != VERSION:
            raise InputError(f"{path} is {record['format']} {record['version']}, expected {FORMAT} {VERSION}")
        metrics = {str(key): float(value) for key, value in record["metrics"].items()}
    except _DAMAGE as error:
        raise _damaged(path, error) from error
    head = load_head(folder / HEAD_FILE)
    focal_scale, tracking = _load_tracking(folder / TRACKING_FILE, head)
    return Geometry(head, focal_scale, tracking, metrics)


def _load_tracking(path: Path, head: HeadModel) -> tuple[float, dict[str, Pose]]:
    shapes = {
        "expression": (len(head.expression_names),),
        "joints": (head.joint_count, 3),
        "translation": (3,),
    }
    try:
        record = json.loads(read_text(path))
        if record["format"] != TRACKING_FORMAT:
            raise InputError(f"{path} is {record['format']!r}, expected {TRACKING_FORMAT}; run rgb fit-geometry again")
        focal_scale = float(record["focal_scale"])
        if not (math.isfinite(focal_scale) and focal_scale > 0):
            raise InputError(f"{path}: focal_scale is {focal_scale}, not positive; run rgb fit-geometry again")
        tracking = {}
        for name, values in record["frames"].items():
            tensors = {key: torch.tensor(values[key], dtype=torch.float32) for key in shapes}
            if any(tensors[key].shape != shape or not tensors[key].isfinite().all() for key, shape in shapes.items()):
                raise InputError(f"{path}: frame {name} does not fit {HEAD_FILE}; run rgb fit-geometry again")
            tracking[name] = Pose(**tensors)
    except _DAMAGE as error:
        raise _damaged(path, error) from error
    return focal_scale, tracking


def _damaged(path: Path, error: Exception) -> InputError:
    """The sentence, on one line, about a file that is not what `save_geometry` wrote."""
    return InputError(f"{path} is damaged ({' '.join(str(error).split())}); run rgb fit-geometry again")
