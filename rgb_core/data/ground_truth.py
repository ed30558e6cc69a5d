"""What a synthetic subject knows about itself: read by evaluation, never by training."""

from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from ..errors import InputError
from ..images import downsample, read_png
from ..scene import Light
from .pixels import load_rgba
from .ply import read_ply
from .records import Record, read_json

_COEFFICIENTS = "coefficients.json"
_PER_FRAME = {"mesh": ".ply", "albedo": ".png", "normal": ".png"}


@dataclass(frozen=True, eq=False)
class TrueMotion:
    """The exact coefficients behind a synthetic clip, of the model that made it."""

    identity: Tensor
    """[S], of the generator's own model."""
    pivot: Tensor
    """[3] metres, the point that the root rotation turns about."""
    expression: dict[str, Tensor]
    """[E] by frame id."""
    root: dict[str, Tensor]
    """[3] axis-angle by frame id."""
    translation: dict[str, Tensor]
    """[3] metres by frame id."""


@dataclass(frozen=True)
class GroundTruth:
    """The folder `ground_truth/` of a dataset whose images are `size` (width, height)."""

    folder: Path
    size: tuple[int, int]

    @property
    def frame_ids(self) -> tuple[str, ...]:
        """Frames that have at least one file here, sorted."""
        found = {path.stem for kind, suffix in _PER_FRAME.items() for path in (self.folder / kind).glob(f"*{suffix}")}
        return tuple(sorted(found | {path.stem for path in (self.folder / "relit").glob("*/*.png")}))

    @property
    def relit_names(self) -> tuple[str, ...]:
        """Environments that frames were relit under, sorted."""
        return tuple(sorted(path.name for path in (self.folder / "relit").glob("*") if path.is_dir()))

    def relit_ids(self, name: str) -> tuple[str, ...]:
        """Frames that exist under the environment `name`, sorted."""
        return tuple(sorted(path.stem for path in (self.folder / "relit" / name).glob("*.png")))

    def light(self) -> Light:
        """The light of the clip, in the world frame."""
        return Light.load(self.folder / "envmap.hdr")

    def mesh_path(self, frame_id: str) -> Path:
        """The .ply of a frame's true surface.

        Raises:
            InputError: when the frame has none.
        """
        path = self.folder / "mesh" / f"{frame_id}.ply"
        if not path.is_file():
            raise InputError(f"{path} does not exist: frame {frame_id} has no true mesh")
        return path

    def mesh(self, frame_id: str) -> tuple[Tensor, Tensor]:
        """Vertices [V, 3] in world metres and faces [F, 3] of a frame's true surface."""
        return read_ply(self.mesh_path(frame_id))

    def albedo(self, frame_id: str, size: tuple[int, int] | None = None) -> Tensor:
        """uint8 [H, W, 4] straight-alpha sRGB encoding of the diffuse albedo, as `Dataset.load_rgba`."""
        return load_rgba(self.folder / "albedo" / f"{frame_id}.png", self.size, size)

    def relit(self, name: str, frame_id: str, size: tuple[int, int] | None = None) -> Tensor:
        """uint8 [H, W, 4] straight-alpha sRGB of a frame under the environment `name`, as `Dataset.load_rgba`."""
        return load_rgba(self.folder / "relit" / name / f"{frame_id}.png", self.size, size)

    def normal(self, frame_id: str, size: tuple[int, int] | None = None) -> Tensor:
        """float32 [H, W, 4]: unit world-space normal (0 where alpha is 0) and alpha; averaged by alpha when reduced."""
        image = read_png(self.folder / "normal" / f"{frame_id}.png", 4, self.size)
        alpha = image[..., 3:]
        image = torch.cat([(2 * image[..., :3] - 1) * alpha, alpha], -1)
        if size is not None:
            image = downsample(image, *size)
        return torch.cat([torch.nn.functional.normalize(image[..., :3], dim=-1), image[..., 3:]], -1)

    @property
    def has_coefficients(self) -> bool:
        """Whether the exact coefficients are known."""
        return (self.folder / _COEFFICIENTS).is_file()

    def coefficients(self) -> TrueMotion:
        """The exact coefficients of all frames.

        Raises:
            InputError: when the file is missing or malformed.
        """
        path = self.folder / _COEFFICIENTS
        record = Record(read_json(path), str(path))
        frames = Record(record.get("frames"), f"{path}, frames")
        parsed = {name: Record(values, f"{path}, frame {name}") for name, values in frames.values.items()}
        return TrueMotion(
            identity=_vector(record, "identity"),
            pivot=_vector(record, "pivot", 3),
            expression={name: _vector(frame, "expression") for name, frame in parsed.items()},
            root={name: _vector(frame, "root", 3) for name, frame in parsed.items()},
            translation={name: _vector(frame, "translation", 3) for name, frame in parsed.items()},
        )


def _vector(record: Record, key: str, length: int | None = None) -> Tensor:
    values = record.array(key, (len(record.items(key)) if length is None else length,))
    return torch.from_numpy(values).float()
