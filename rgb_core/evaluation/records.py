"""The record of metrics.json (docs/formats.md), put together from what was measured."""

from typing import Any

from ..data import Dataset
from ..scene import Light
from .alignment import AlignedSet
from .light import light_scores
from .lpips import Lpips
from .measure import Measurements
from .parts import PartErrors
from .protocol import Scored

FORMAT, VERSION = "rgb-metrics", 1
_RELIT_SCORES = ("psnr", "psnr_aligned", "ssim_aligned")


def metrics_record(
    dataset: Dataset,
    renderer: Scored,
    size: tuple[int, int],
    measured: Measurements,
    lpips: Lpips | None,
    true_light: Light | None,
    device: str,
    protocol: dict[str, Any],
) -> dict[str, Any]:
    """Every score by name; None where the dataset has no ground truth for it.

    Args:
        size: (width, height) of the pictures that were compared.
        true_light: the light of the clip, where it is known.
        device: what rendered them, in words.
        protocol: how the poses of the test frames came about.
    """
    milliseconds = measured.milliseconds()
    return {
        "format": FORMAT,
        "version": VERSION,
        "subject": dataset.subject,
        "avatar": renderer.name,
        "frames": len(measured.on_black.images),
        "size": list(size),
        "gaussians": renderer.gaussian_count,
        "protocol": protocol,
        "reenactment": measured.on_black.record(lpips),
        "on_white": measured.on_white.record(lpips),
        "refined": measured.refined.record(lpips) if measured.refined.images else None,
        "relight": relight_scores(measured.relit),
        "parts": {
            "reenactment": measured.parts.scores(),
            "ssim": measured.parts.ssim(),
            "relight": relit_part_scores(measured.relit),
        },
        "albedo": _albedo(measured.albedo),
        "normal": measured.normals.scores(),
        "mesh": measured.mesh.scores(),
        "light": light_scores(renderer.light, true_light),
        "speed": {"fps": 1000 / milliseconds, "ms_per_frame": milliseconds, "device": device},
    }


def relight_scores(relit: dict[str, AlignedSet]) -> dict[str, Any]:
    """Scores by environment, and their mean over environments."""
    record: dict[str, Any] = {
        name: {
            "psnr": frames.psnr(),
            "psnr_aligned": frames.psnr_aligned(),
            "ssim_aligned": frames.ssim_aligned(),
            "psnr_cast_shadow": frames.psnr_cast_shadow(),
            "scale": frames.scale.tolist(),
        }
        for name, frames in relit.items()
    }
    columns = {key: [scores[key] for scores in record.values()] for key in _RELIT_SCORES}
    return {**record, "mean": {key: sum(values) / len(values) if values else None for key, values in columns.items()}}


def relit_part_scores(relit: dict[str, AlignedSet]) -> dict[str, float | None]:
    """PSNR by part of the head over all environments, each under its own factor."""
    errors = PartErrors()
    for frames in relit.values():
        frames.add_parts(errors)
    return errors.scores()


def _albedo(albedo: AlignedSet) -> dict[str, Any]:
    if not len(albedo):
        return {"psnr_aligned": None, "scale": None}
    return {"psnr_aligned": albedo.psnr_aligned(), "scale": albedo.scale.tolist()}
