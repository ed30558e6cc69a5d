"""Angles between predicted and true normals, by part of the head."""

import torch
from torch import Tensor

from ..scene.labels import BARE_SKIN, Label, has_label


class NormalAngles:
    """Angles pooled over the pixels of all frames that the head covers fully and that are not on its outline."""

    def __init__(self) -> None:
        self._angles: dict[str, list[Tensor]] = {"mean_angle_deg": [], "skin_deg": [], "hair_deg": []}

    def add(self, normal: Tensor, truth: Tensor, labels: Tensor | None) -> Tensor:
        """Take in one frame and return its angles [H, W] in degrees, 0 where none counts.

        Args:
            normal: [H, W, 3] predicted, of any length; where it is 0 nothing was drawn: 90 degrees.
            truth: [H, W, 4] unit world-space normal and alpha in 0 to 1.
            labels: uint8 [H, W] semantic labels, where the frame has them.
        """
        inside = erode(truth[..., 3] >= 1)
        unit = torch.nn.functional.normalize(normal.double(), dim=-1)
        cosine = (unit * torch.nn.functional.normalize(truth[..., :3].double(), dim=-1)).sum(-1)
        angle = torch.rad2deg(torch.acos(cosine.clamp(-1, 1)))
        self._angles["mean_angle_deg"].append(angle[inside])
        if labels is not None:
            self._angles["skin_deg"].append(angle[inside & has_label(labels, BARE_SKIN)])
            self._angles["hair_deg"].append(angle[inside & has_label(labels, (Label.HAIR,))])
        return torch.where(inside, angle, 0.0).float()

    def scores(self) -> dict[str, float | None]:
        """Mean angle in degrees over all pixels, those of skin and those of hair; None without such pixels."""
        pooled = {key: torch.cat([torch.zeros(0, dtype=torch.float64), *parts]) for key, parts in self._angles.items()}
        return {key: values.mean().item() if len(values) else None for key, values in pooled.items()}


def erode(mask: Tensor) -> Tensor:
    """bool [H, W] shrunk by one pixel: a pixel stays if its 3 x 3 neighbourhood is set; outside nothing is."""
    padded = torch.nn.functional.pad(mask, (1, 1, 1, 1))
    return padded.unfold(0, 3, 1).unfold(1, 3, 1).all(-1).all(-1)
