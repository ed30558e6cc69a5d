"""What the pictures of a clip are like: exposure, light, sharpness, and what happens behind the head."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d

from ..scene.labels import Label, has_label

_FACE = (Label.SKIN, Label.NOSE)
_WHITE = 250  # of 255, in the brightest channel
_BLURRED = 0.45  # of the sharpness that the sharper half of the clip has
_COARSE = 4  # pixels: the background is compared in squares, so that noise does not count


class FrameLook(NamedTuple):
    """One frame."""

    overlap: float
    """Overlap of mesh and matte, 0 to 1."""
    brightness: float
    """Mean of the face's luma, 0 to 255."""
    median: float
    """Median of the face's luma, 0 to 255."""
    clipped: float
    """Share of the face that is white."""
    sharpness: float
    """Contrast between neighbours there, of 255."""
    background: Tensor
    """[h, w] luma in squares, NaN at the head."""


def frame_look(picture: Tensor, labels: Tensor, person: Tensor, overlap: float) -> FrameLook:
    """The look of a picture uint8 [H, W, 3] with labels [H, W]; `person` [H, W] bool is in front of the background."""
    luma = picture.float() @ torch.tensor([0.299, 0.587, 0.114])
    face = has_label(labels, _FACE)
    shown = luma[face] if bool(face.any()) else luma.new_zeros(1)
    bright = picture.amax(-1)[face] if bool(face.any()) else picture.new_zeros(1)
    differences = (luma[1:, 1:] - luma[:-1, :-1]).abs()[face[1:, 1:]]
    free = avg_pool2d((~person).float()[None, None], _COARSE)[0, 0] == 1
    coarse = avg_pool2d(luma[None, None], _COARSE)[0, 0]
    return FrameLook(
        overlap,
        float(shown.mean()),
        float(shown.median()),
        float((bright >= _WHITE).float().mean()),
        float(differences.mean()) if differences.numel() else 0.0,
        torch.where(free, coarse, torch.nan).half(),
    )


def summarise(looks: Sequence[FrameLook], directions: Tensor) -> dict[str, Any]:
    """The pictures of a clip whose faces look into `directions` [N, 3].

    `light_change` is the deviation of the face's logarithmic brightness from what a quadratic function of the direction
    explains; a face that turns in a light that stands still changes its brightness smoothly with its direction.
    """
    brightness = torch.tensor([look.brightness for look in looks]).double().clamp_min(1.0).log()
    x, y = directions[:, 0].double(), directions[:, 1].double()
    features = torch.stack([torch.ones_like(x), x, y, x * x, y * y, x * y], 1)
    if len(looks) > 3 * features.shape[1]:
        # By singular values: the usual driver finds another rank from run to run where columns are all 0, as those of
        # the height are for a head that only turns.
        explained = features @ torch.linalg.lstsq(features, brightness[:, None], driver="gelsd").solution[:, 0]
    else:
        explained = brightness.mean()
    sharpness = torch.tensor([look.sharpness for look in looks])
    usual = sharpness[sharpness >= sharpness.median()].mean()
    return {
        "face_median": float(torch.tensor([look.median for look in looks]).median()),
        "clipped_share": float(torch.tensor([look.clipped for look in looks]).mean()),
        "light_change": float((brightness - explained).std(correction=0)),
        "background_change": _background_change(looks),
        "blurred_share": float((sharpness < _BLURRED * usual).float().mean()),
    }


def _background_change(looks: Sequence[FrameLook]) -> float:
    """The median change of the background against the clip's middle frame, in the most changed tenth of the frames."""
    reference = looks[len(looks) // 2].background.float()
    changes = []
    for look in looks:
        change = (look.background.float() - reference).abs()
        known = change[change.isfinite()]
        if known.numel():
            changes.append(float(known.median()))
    return float(torch.tensor(changes or [0.0]).quantile(0.9))
