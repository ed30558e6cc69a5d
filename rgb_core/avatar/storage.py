"""The avatar folder: avatar.safetensors, avatar.yaml, head.npz and light.hdr; nothing in it can execute.

The tensors are stored as `compact` says: within half a step of its 16-bit numbers, which no picture shows.
"""

from pathlib import Path
from typing import Any

import torch
import yaml

from ..data.dataset import LIGHT_FRAMES
from ..errors import InputError
from ..files import read_text, write_text
from ..heads import HeadModel, load_head, save_head
from ..images import write_hdr
from ..scene import Light
from ..tensor_files import read_tensors, write_tensors
from ..yaml_text import parse_yaml
from .attachment import Attachment
from .compact import compact, expand
from .deformation import SparseExpressions
from .model import DELTA_WIDTH, NEUTRAL, Avatar
from .portrait import Portrait
from .trained_range import TrainedRange

FORMAT, VERSION = "rgb-avatar", 4
_PLAIN = 3  # the version that held every number in full
_INDICES = ("attachment.face_id", "expressions.offsets", "expressions.expression")
_LARGEST_PORTRAIT = 8192  # pixels of a side
TENSORS, DESCRIPTION, HEAD, LIGHT = "avatar.safetensors", "avatar.yaml", "head.npz", "light.hdr"


def avatar_tensors(avatar: Avatar) -> dict[str, torch.Tensor]:
    """Every tensor of the avatar but its head, by the names it is stored under."""
    tensors = {f"neutral.{name}": value for name, value in avatar.neutral.items()}
    tensors |= {f"attachment.{name}": value for name, value in vars(avatar.attachment).items()}
    tensors |= {f"expressions.{name}": value for name, value in vars(avatar.expressions).items()}
    tensors |= {"deltas": avatar.deltas, "delta_scale": avatar.delta_scale, "light": avatar.light.radiance}
    return {name: value.detach().contiguous() for name, value in tensors.items()}


def avatar_from_tensors(tensors: dict[str, torch.Tensor], carried: bool, **fields: Any) -> Avatar:
    """The inverse of `avatar_tensors`.

    Args:
        carried: whether the camera carries the light.
        fields: the avatar's other attributes.

    Raises:
        KeyError: when a tensor is missing.
    """

    def group(prefix: str) -> dict[str, torch.Tensor]:
        return {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}

    return Avatar(
        attachment=Attachment(**group("attachment.")),
        neutral={name: tensors[f"neutral.{name}"] for name in NEUTRAL},
        expressions=SparseExpressions(**group("expressions.")),
        deltas=tensors["deltas"],
        delta_scale=tensors["delta_scale"],
        light=Light(tensors["light"], carried=carried),
        **fields,
    )


def save_avatar(avatar: Avatar, folder: str | Path, provenance: dict[str, Any]) -> None:
    """Write the avatar folder; `provenance` (preset, dataset, versions, metrics) goes into avatar.yaml as it is."""
    folder = Path(folder)
    write_tensors(folder / TENSORS, compact(avatar_tensors(avatar)))
    save_head(avatar.head, folder / HEAD)
    write_hdr(folder / LIGHT, avatar.light.radiance.permute(1, 2, 0))
    description = {
        "format": FORMAT,
        "version": VERSION,
        "name": avatar.name,
        "gaussians": avatar.count,
        "expressions": list(avatar.head.expression_names),
        "light_size": list(avatar.light.size),
        "antialias": avatar.antialias,
        "one_bounce": avatar.one_bounce,
        "traced_bounce": avatar.traced_bounce,
        "visibility": avatar.visibility,
        "light_frame": "camera" if avatar.light.carried else "world",
        "focal_scale": avatar.focal_scale,
        "portrait": avatar.portrait.to_dict(),
        "provenance": provenance,
    }
    if avatar.trained is not None:
        description["trained_range"] = avatar.trained.to_dict()
    write_text(folder / DESCRIPTION, yaml.safe_dump(description, sort_keys=False, allow_unicode=True))


def load_avatar(folder: str | Path) -> Avatar:
    """Read an avatar folder.

    Raises:
        InputError: naming the file that is missing, truncated, of another version or inconsistent.
    """
    folder = Path(folder)
    description = _read_description(folder)
    path = folder / TENSORS
    tensors, _ = read_tensors(path, "fit the avatar again")
    if description["version"] != _PLAIN:
        tensors = expand(tensors, path)
    head = load_head(folder / HEAD)
    _check_tensors(tensors, head, path)
    try:
        avatar = avatar_from_tensors(
            tensors,
            name=str(description["name"]),
            head=head,
            portrait=Portrait.from_dict(description["portrait"]),
            antialias=bool(description["antialias"]),
            one_bounce=bool(description["one_bounce"]),
            traced_bounce=bool(description.get("traced_bounce", False)),
            visibility=bool(description["visibility"]),
            carried=_light_frame(description, folder / DESCRIPTION) == "camera",
            focal_scale=float(description["focal_scale"]),
            trained=TrainedRange.from_dict(description["trained_range"]) if "trained_range" in description else None,
        )
    except KeyError as error:
        raise InputError(f"{path} or {DESCRIPTION} lacks {error}; fit the avatar again") from error
    except (TypeError, ValueError, RuntimeError, OverflowError) as error:
        problem = " ".join(str(error).split())
        raise InputError(f"{path} or {DESCRIPTION} is damaged ({problem}); fit the avatar again") from error
    _check_portrait(avatar, folder / DESCRIPTION)
    if avatar.trained is not None and (wrong := avatar.trained.misfit(head)):
        raise InputError(f"{folder / DESCRIPTION}: trained_range: {wrong}")
    return avatar


def read_provenance(folder: Path) -> dict[str, Any]:
    """What avatar.yaml remembers about the making of an avatar.

    Raises:
        InputError: as `load_avatar`.
    """
    return dict(_read_description(Path(folder)).get("provenance") or {})


def _read_description(folder: Path) -> dict[str, Any]:
    path = folder / DESCRIPTION
    if not folder.is_dir():
        raise InputError(f"no avatar folder at {folder}; make one with `rgb fit-gaussians` or `rgb demo`")
    if not path.exists():
        raise InputError(f"{folder} is not an avatar: it has no {DESCRIPTION}; its fit may not have finished")
    description = parse_yaml(read_text(path), str(path))
    if not isinstance(description, dict) or description.get("format") != FORMAT:
        raise InputError(f"{path} is not an avatar description: its format is not '{FORMAT}'")
    version = description.get("version")
    if version not in (_PLAIN, VERSION):
        raise InputError(f"{path}: version {version} is not supported; this program reads {_PLAIN} and {VERSION}")
    return description


def _light_frame(description: dict[str, Any], path: Path) -> str:
    value = str(description["light_frame"])
    if value not in LIGHT_FRAMES:
        raise InputError(f"{path}: light_frame is {value!r}, not one of {LIGHT_FRAMES}")
    return value


def _check_tensors(tensors: dict[str, torch.Tensor], head: HeadModel, path: Path) -> None:
    """Every tensor's type, shape and values, before anything is built from it.

    Raises:
        InputError: naming the first tensor that is missing or does not fit the others and the head.
    """
    count, pairs, (rows, columns) = _lengths(tensors)
    shapes: dict[str, tuple[int, ...]] = {f"neutral.{name}": (count, width) for name, width in NEUTRAL.items()}
    shapes |= {
        "attachment.face_id": (count,),
        "attachment.barycentric": (count, 3),
        "expressions.offsets": (count + 1,),
        "expressions.expression": (pairs,),
        "expressions.consistency": (pairs,),
        "expressions.initial": (pairs, 10),
        "deltas": (pairs, DELTA_WIDTH),
        "delta_scale": (DELTA_WIDTH,),
        "light": (3, rows, columns),
    }
    if unknown := sorted(tensors.keys() - shapes.keys()):
        raise InputError(f"{path} holds a tensor '{unknown[0]}', which no avatar has; fit the avatar again")
    for name, shape in shapes.items():
        if name not in tensors:
            raise InputError(f"{path} lacks '{name}'; fit the avatar again")
        value = tensors[name]
        kind = torch.int64 if name in _INDICES else torch.float32
        if value.dtype != kind:
            raise InputError(f"{path}: {name} holds {value.dtype}, expected {kind}")
        if tuple(value.shape) != shape or 0 in (rows, columns):
            raise InputError(f"{path}: {name} has shape {list(value.shape)}, expected {list(shape)}")
        if not bool(torch.isfinite(value).all()):
            raise InputError(f"{path}: {name} holds a number that is not finite")
    offsets = tensors["expressions.offsets"]
    in_range = (
        _indexes(tensors["attachment.face_id"], len(head.faces))
        and _indexes(tensors["expressions.expression"], len(head.expression_names))
        and int(offsets[0]) == 0
        and int(offsets[-1]) == pairs
        and bool((offsets.diff() >= 0).all())
    )
    if not in_range:
        raise InputError(f"{path}: its indices do not fit {HEAD}; the two files belong to different avatars")


def _lengths(tensors: dict[str, torch.Tensor]) -> tuple[int, int, tuple[int, int]]:
    """Gaussians, pairs of Gaussian and expression, and the size of the light, as the first tensor of each says."""
    position, pairs, light = (tensors.get(name) for name in ("neutral.position", "expressions.expression", "light"))
    size = tuple(light.shape[-2:]) if light is not None and light.ndim >= 2 else (0, 0)
    count = len(position) if position is not None and position.ndim else 0
    return count, len(pairs) if pairs is not None and pairs.ndim else 0, (size[0], size[1])


def _check_portrait(avatar: Avatar, path: Path) -> None:
    portrait, camera = avatar.portrait, avatar.portrait.camera
    shapes: dict[str, tuple[torch.Tensor, tuple[int, ...]]] = {
        "portrait.intrinsics": (torch.tensor(camera.intrinsics), (4,)),
        "portrait.world_to_camera": (camera.world_to_camera, (3, 4)),
        "portrait.joints": (portrait.joints, (avatar.head.joint_count, 3)),
        "portrait.translation": (portrait.translation, (3,)),
        "focal_scale": (torch.tensor(avatar.focal_scale), ()),
    }
    for name, (value, shape) in shapes.items():
        if tuple(value.shape) != shape:
            raise InputError(f"{path}: {name} has shape {list(value.shape)}, expected {list(shape)}")
        if not bool(torch.isfinite(value).all()):
            raise InputError(f"{path}: {name} holds a number that is not finite")
    if avatar.focal_scale <= 0 or min(camera.intrinsics[:2]) <= 0:
        raise InputError(f"{path}: focal_scale and the focal lengths of the portrait must be positive")
    if not (0 < camera.width <= _LARGEST_PORTRAIT and 0 < camera.height <= _LARGEST_PORTRAIT):
        raise InputError(
            f"{path}: the portrait is {camera.width} x {camera.height} pixels; sides are 1 to {_LARGEST_PORTRAIT}"
        )


def _indexes(index: torch.Tensor, size: int) -> bool:
    """Whether every element of `index` lies in [0, size)."""
    return bool(((index >= 0) & (index < size)).all())
