"""What the pictures say: mattes, colours and labels of the usable training frames, kept in memory as bytes."""

from dataclasses import dataclass

import torch
from torch import Tensor

from ..data import Dataset, Frame
from ..errors import InputError
from ..progress import Progress

HAIR = 17
_OUTER_LABELS = (1, 2, 3, 7, 8, 10, 12, 13, 14)  # skin, brows, ears, nose, lips, neck
_FOREIGN_LABELS = (6, 9, 15, 16, 18)  # glasses, earring, necklace, cloth, hat: no part of the mesh

_HAIR_COLOUR_WEIGHT = 0.3  # strands shine and shift; their colour says less than skin's
_OPAQUE = 250  # matte (of 255) from which a pixel shows the head alone
_LEAST_COVERAGE = 0.005  # share of a picture; a matte below it shows no head


@dataclass(frozen=True)
class Batch:
    """Targets of some frames at one resolution.

    Attributes:
        intrinsics: [B,4] pixels. world_to_camera: [B,3,4].
        alpha: [B,H,W] matte; mask_weight: [B,H,W] 0 where something foreign may hide or extend the head.
        colour: [B,H,W,3] sRGB; colour_weight: [B,H,W] 0 where colours do not belong to skin or hair.
    """

    intrinsics: Tensor
    world_to_camera: Tensor
    alpha: Tensor
    mask_weight: Tensor
    colour: Tensor
    colour_weight: Tensor


class Evidence:
    """The usable training frames at one size; `frames` lists them, `times` [N] are their places in the clip."""

    def __init__(self, dataset: Dataset, image_size: int, progress: Progress):
        """Read all pictures; frames whose matte is empty are named and skipped.

        Raises:
            InputError: when no frame can be used.
        """
        scale = min(1.0, image_size / max(dataset.width, dataset.height))
        self.size = round(dataset.width * scale), round(dataset.height * scale)
        order = {frame.id: index for index, frame in enumerate(dataset.all_frames)}
        frames, pictures, labels, skipped = [], [], [], []
        candidates = sorted(dataset.frames("train"), key=lambda frame: order[frame.id])
        progress.start("reading frames", len(candidates))
        for frame in candidates:
            rgba = dataset.load_rgba(frame, self.size)
            progress.advance()
            if (rgba[..., 3] > 127).float().mean() < _LEAST_COVERAGE:
                skipped.append(frame.id)
                continue
            frames.append(frame)
            pictures.append(rgba)
            labels.append(dataset.semantic(frame, self.size))
        if skipped:
            progress.message(f"skipped {len(skipped)} frames with an empty matte: {', '.join(skipped)}")
        if not frames:
            raise InputError(f"{dataset.folder} has no training frame whose alpha shows a head; add mattes")
        self.frames: list[Frame] = frames
        self.times = torch.tensor([order[frame.id] for frame in frames])
        self._pictures = torch.stack(pictures)
        self._labels = labels
        cameras = [frame.camera.resized(*self.size) for frame in frames]
        self.intrinsics = torch.tensor([camera.intrinsics for camera in cameras])
        self.world_to_camera = torch.stack([camera.world_to_camera for camera in cameras])

    def __len__(self) -> int:
        return len(self.frames)

    def batch(self, rows: Tensor, halve: bool = False) -> Batch:
        """Targets of the frames `rows` [B], at half the resolution where asked for (colours are then left out)."""
        picture = self._pictures[rows]
        alpha = picture[..., 3].float() / 255
        colour = picture[..., :3].float() / 255
        mask_weight = torch.ones_like(alpha)
        colour_weight = (picture[..., 3] >= _OPAQUE).float()
        for index, row in enumerate(rows.tolist()):
            labels = self._labels[row]
            if labels is not None:
                mask_weight[index][_among(labels, _FOREIGN_LABELS)] = 0
                colour_weight[index] *= _among(labels, _OUTER_LABELS).float() + _HAIR_COLOUR_WEIGHT * (labels == HAIR)
        intrinsics = self.intrinsics[rows]
        if halve:
            width, height = self.size[0] // 2, self.size[1] // 2
            scale = torch.tensor([width / self.size[0], height / self.size[1]])
            intrinsics = intrinsics * scale.repeat(2)
            alpha, mask_weight = (
                torch.nn.functional.adaptive_avg_pool2d(values[:, None], (height, width))[:, 0]
                for values in (alpha, mask_weight)
            )
            colour, colour_weight = colour[:, :0, :0], colour_weight[:, :0, :0]
        return Batch(intrinsics, self.world_to_camera[rows], alpha, mask_weight, colour, colour_weight)

    def hair(self, rows: Tensor) -> Tensor | None:
        """[B,H,W] 1 on hair, 0 on other parts of the head; None where a frame has no labels."""
        labels = [self._labels[row] for row in rows.tolist()]
        if any(values is None for values in labels):
            return None
        return torch.stack([(values == HAIR).float() for values in labels if values is not None])


def _among(labels: Tensor, chosen: tuple[int, ...]) -> Tensor:
    return torch.isin(labels, torch.tensor(chosen, dtype=labels.dtype))
