"""A clip's tracked coefficients and corrections of them in units of their expected errors: priors and smoothness."""

import math

import torch
from torch import Tensor

from ..heads import Pose
from ..units import MILLIMETRE
from .config import TrackingErrors
from .jitter import jitter, smoothed

NAMES = ("rotation", "translation", "expression")

Corrections = dict[str, Tensor]
"""By the names of NAMES [N, ...]: corrections of N frames in expected errors."""


class CorrectedMotion:
    """The coefficients of N frames, tracked with an error that is expected, or as large as they jitter.

    Args:
        poses: a batch of N, as tracked.
        times: [N] places of the frames in the clip (CPU).
        device: where corrections are.
    """

    def __init__(self, poses: Pose, times: Tensor, errors: TrackingErrors, device: torch.device):
        self._tracked = {"rotation": poses.joints, "translation": poses.translation, "expression": poses.expression}
        self._times = times
        self.expected = {
            "rotation": math.radians(errors.rotation_deg),
            "translation": errors.translation_mm * MILLIMETRE,
            "expression": errors.expression,
        }
        self._smooth = {
            "rotation": math.radians(errors.smooth_rotation_deg),
            "translation": errors.smooth_translation_mm * MILLIMETRE,
            "expression": errors.smooth_expression,
        }
        # Expression coefficients are clipped at zero and jump, so what they jitter is no measure of their error.
        self._sigma = {
            name: torch.tensor([error]) if name == "expression" else jitter(self._tracked[name], times, error)
            for name, error in self.expected.items()
        }
        self._first = torch.nonzero(times[2:] - times[:-2] == 2).flatten().to(device)
        self._device = device
        self._on_device = {name: (self._tracked[name].to(device), self._sigma[name].to(device)) for name in NAMES}

    def none(self) -> Corrections:
        """No corrections."""
        return {name: torch.zeros_like(values) for name, (values, _) in self._on_device.items()}

    def smooth(self) -> Corrections:
        """Those that make what jitters more than is expected smooth; none elsewhere."""
        return {
            name: (smoothed(values, self._times, self._sigma[name], self.expected[name], self._smooth[name])
                   / self._sigma[name]).to(self._device)
            for name, values in self._tracked.items()
        }  # fmt: skip

    def sizes(self, corrections: Corrections) -> Corrections:
        """Corrections in radians, metres and coefficients."""
        return {name: corrections[name] * sigma for name, (_, sigma) in self._on_device.items()}

    def coefficients(self, corrections: Corrections) -> Pose:
        """Corrected coefficients of all frames [N, ...]."""
        moved = self.sizes(corrections)
        values = {name: tracked + moved[name] for name, (tracked, _) in self._on_device.items()}
        return Pose(values["expression"], values["rotation"], values["translation"])

    def penalty(self, corrections: Corrections, rows: Tensor) -> Tensor:
        """Squared corrections of the frames `rows` [B] in expected errors, summed over coefficients, mean over B."""
        return torch.stack([corrections[name][rows].square().sum() for name in NAMES]).sum() / len(rows)

    def roughness(self, corrections: Corrections, rows: Tensor) -> Tensor:
        """Robust second differences over consecutive frames that a batch is part of, in units of what heads do."""
        first = self._first
        chosen = torch.zeros(len(self._times), device=first.device).index_fill(0, rows, 1.0)
        counts = torch.maximum(torch.maximum(chosen[first], chosen[first + 1]), chosen[first + 2])
        coefficients = self.coefficients(corrections)
        by_name = {
            "rotation": coefficients.joints.flatten(1),
            "translation": coefficients.translation,
            "expression": coefficients.expression,
        }
        total = chosen.new_zeros(())
        for name, values in by_name.items():
            second = (values[first] - 2 * values[first + 1] + values[first + 2]) / self._smooth[name]
            total = total + (counts[:, None] * ((1 + second.square()).sqrt() - 1)).sum() / len(rows)
        return total

    def moved(self, corrections: Corrections) -> dict[str, float]:
        """How far corrections went: RMS and largest per axis or coefficient, in degrees, mm, coefficient units; and
        the mean over the clip as a share of the RMS, which is what drift would be."""
        units = {"rotation": math.degrees(1), "translation": 1 / MILLIMETRE, "expression": 1.0}
        suffixes = {"rotation": "_deg", "translation": "_mm", "expression": ""}
        report = {}
        for name, size in self.sizes(corrections).items():
            value = size * units[name]
            rms = float(value.square().mean().sqrt())
            report[f"tracking_{name}_rms{suffixes[name]}"] = rms
            report[f"tracking_{name}_largest{suffixes[name]}"] = float(value.abs().max())
            report[f"tracking_{name}_drift"] = float(value.mean(0).abs().max()) / rms if rms else 0.0
        return report
