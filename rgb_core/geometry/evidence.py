"""What the pictures say: mattes, colours, labels and normals of the usable training frames, kept on the device."""

from collections.abc import Collection
from dataclasses import dataclass

import torch
from torch import Tensor

from ..data import Dataset, Frame, FrameMaps
from ..devices import CPU
from ..errors import InputError
from ..progress import Progress
from ..scene.labels import BARE_SKIN, Label

_UNLABELLED = 255  # every pixel of a frame without labels

_HAIR_COLOUR_WEIGHT = 0.3  # strands shine and shift; their colour says less than skin's
_OPAQUE = 250  # matte (of 255) from which a pixel shows the head alone
_COVERAGE = (0.005, 0.98)  # shares of a picture between which a matte can be that of a head


@dataclass(frozen=True)
class Batch:
    """Targets of some frames at one resolution."""

    intrinsics: Tensor
    """[B,4] pixels."""
    world_to_camera: Tensor
    """[B,3,4]."""
    alpha: Tensor
    """[B,H,W] matte."""
    mask_weight: Tensor
    """[B,H,W] 0 where something foreign may hide or extend the head."""
    colour: Tensor
    """[B,H,W,3] sRGB."""
    colour_weight: Tensor
    """[B,H,W] 0 where colours do not belong to skin or hair."""
    normal: Tensor | None = None
    """[B,H,W,3] unit, world frame."""
    normal_weight: Tensor | None = None
    """[B,H,W] 0 where none is known; None without normal maps."""


class Evidence:
    """The usable training frames at one size; `frames` lists them, `times` [N] (CPU) are their places in the clip."""

    def __init__(
        self,
        dataset: Dataset,
        image_size: int,
        progress: Progress,
        device: torch.device = CPU,
        semantics: bool = True,
        normals: FrameMaps | None = None,
    ):
        """Read all pictures; frames whose matte is missing or empty are named and skipped.

        Args:
            semantics: use the labels, where frames have them.

        Raises:
            InputError: when no frame can be used, or a file is damaged.
        """
        scale = min(1.0, image_size / max(dataset.width, dataset.height))
        self.size = round(dataset.width * scale), round(dataset.height * scale)
        self.device = device
        order = {frame.id: index for index, frame in enumerate(dataset.all_frames)}
        frames, pictures, labels, normal_maps = [], [], [], []
        skipped: dict[str, str] = {}
        candidates = sorted(dataset.frames("train"), key=lambda frame: order[frame.id])
        progress.start("reading frames", len(candidates))
        for frame in candidates:
            progress.advance()
            rgba = dataset.load_rgba(frame, self.size)
            defect = _matte_defect(rgba[..., 3])
            if defect:
                skipped[frame.id] = defect
                continue
            found = dataset.semantic(frame, self.size) if semantics else None
            frames.append(frame)
            pictures.append(rgba)
            labels.append(torch.full(rgba.shape[:2], _UNLABELLED, dtype=torch.uint8) if found is None else found)
            if normals is not None:
                normal_maps.append(normals.load(frame, self.size))
        report_skipped(skipped, progress)
        if not frames:
            raise InputError(f"{dataset.folder} has no training frame whose alpha shows a head; add mattes")
        self.frames: list[Frame] = frames
        self.times = torch.tensor([order[frame.id] for frame in frames])
        self._pictures = torch.stack(pictures).to(device)
        self._labels = torch.stack(labels).to(device)
        self._normals = torch.stack(normal_maps).to(device) if normal_maps else None
        cameras = [frame.camera.resized(*self.size) for frame in frames]
        self.intrinsics = torch.tensor([camera.intrinsics for camera in cameras]).to(device)
        self.world_to_camera = torch.stack([camera.world_to_camera for camera in cameras]).to(device)
        self._mask_weight = _by_label(dict.fromkeys(dataset.foreign, 0.0), 1.0).to(device)
        known = dict.fromkeys((*BARE_SKIN, Label.LEFT_BROW, Label.RIGHT_BROW, _UNLABELLED), 1.0)
        self._colour_weight = _by_label({**known, Label.HAIR: _HAIR_COLOUR_WEIGHT}, 0.0).to(device)

    def __len__(self) -> int:
        return len(self.frames)

    def drop(self, ids: Collection[str]) -> None:
        """Forget the frames `ids`, which must not be all."""
        kept = [row for row, frame in enumerate(self.frames) if frame.id not in ids]
        index = torch.tensor(kept)
        self.frames, self.times = [self.frames[row] for row in kept], self.times[index]
        index = index.to(self.device)
        for name in ("_pictures", "_labels", "_normals", "intrinsics", "world_to_camera"):
            values = getattr(self, name)
            setattr(self, name, None if values is None else values[index])

    def batch(self, rows: Tensor, halve: bool = False) -> Batch:
        """Targets of the frames `rows` [B], at half the resolution where asked for (only mattes are then given)."""
        picture, labels = self._pictures[rows], self._labels[rows].long()
        alpha = picture[..., 3].float() / 255
        mask_weight = self._mask_weight[labels]
        intrinsics, world_to_camera = self.intrinsics[rows], self.world_to_camera[rows]
        if halve:
            width, height = self.size[0] // 2, self.size[1] // 2
            shrink = (width / self.size[0], height / self.size[1])
            intrinsics = torch.stack([intrinsics[:, i] * shrink[i % 2] for i in range(4)], dim=1)
            alpha, mask_weight = (
                torch.nn.functional.adaptive_avg_pool2d(values[:, None], (height, width))[:, 0]
                for values in (alpha, mask_weight)
            )
            none = alpha.new_zeros(len(alpha), 0, 0, 3)
            return Batch(intrinsics, world_to_camera, alpha, mask_weight, none, none[..., 0])
        colour = picture[..., :3].float() / 255
        colour_weight = (picture[..., 3] >= _OPAQUE).float() * self._colour_weight[labels]
        if self._normals is None:
            return Batch(intrinsics, world_to_camera, alpha, mask_weight, colour, colour_weight)
        stored = self._normals[rows].float()
        normal = torch.nn.functional.normalize(2 / 255 * stored[..., :3] - 1, dim=-1)
        normal_weight = (stored[..., 3] >= _OPAQUE).float() * (colour_weight > 0)
        return Batch(intrinsics, world_to_camera, alpha, mask_weight, colour, colour_weight, normal, normal_weight)

    def hair(self, rows: Tensor) -> Tensor | None:
        """[B,H,W] 1 on hair, 0 on other parts of the head; None where a frame has no labels."""
        labels = self._labels[rows]
        if bool((labels[:, 0, 0] == _UNLABELLED).any()):
            return None
        return (labels == Label.HAIR).float()


def report_skipped(skipped: dict[str, str], progress: Progress) -> None:
    """Name the frames that a fit leaves out, with the reason for each."""
    if skipped:
        reasons = "; ".join(f"{name} ({reason})" for name, reason in skipped.items())
        progress.message(f"skipped {len(skipped)} of the training frames: {reasons}")


def _matte_defect(alpha: Tensor) -> str | None:
    """Why a matte [H,W] in bytes cannot be that of a head; None where it can."""
    share = float((alpha > 127).float().mean())
    if share < _COVERAGE[0]:
        return "its matte is empty"
    return "it has no matte" if share > _COVERAGE[1] else None


def _by_label(values: dict[int, float], otherwise: float) -> Tensor:
    """[256] a value for every label."""
    table = torch.full((256,), otherwise)
    for label, value in values.items():
        table[label] = value
    return table
