"""Corrections of the tracked coefficients: priors, smoothness over time, and no drift of the clip as a whole."""

import math

import torch
from torch import Tensor

from ..heads import Pose
from ..units import MILLIMETRE
from .config import GeometryConfig
from .evidence import Evidence
from .jitter import jitter, smoothed
from .optimiser import Parameter

NAMES = ("rotation", "translation", "expression")
_FOCAL_UNSURE = 0.02  # expected relative error of a focal length that the pictures had to correct at the start


class Tracking:
    """Corrections of every frame in expected errors, zero-mean over the clip, and of the focal length."""

    def __init__(self, evidence: Evidence, config: GeometryConfig, focal_start: float = 1.0):
        """`focal_start` is the factor on the focal lengths to begin with."""
        errors, rates, device = config.tracking, config.rates, evidence.device
        frames = evidence.frames
        poses = Pose.stack([frame.pose for frame in frames])
        tracked = {
            "rotation": poses.joints,
            "translation": poses.translation,
            "expression": poses.expression,
        }
        expected = {
            "rotation": math.radians(errors.rotation_deg),
            "translation": errors.translation_mm * MILLIMETRE,
            "expression": errors.expression,
        }
        self._smooth = {
            "rotation": math.radians(errors.smooth_rotation_deg),
            "translation": errors.smooth_translation_mm * MILLIMETRE,
            "expression": errors.smooth_expression,
        }
        step = {
            "rotation": math.radians(rates.rotation),
            "translation": rates.translation * MILLIMETRE,
            "expression": rates.expression,
        }
        times = evidence.times
        # Expression coefficients are clipped at zero and jump, so what they jitter is no measure of their error.
        sigma = {
            name: torch.tensor([expected[name]]) if name == "expression" else jitter(values, times, expected[name])
            for name, values in tracked.items()
        }
        # A gradient as weak as the prior's at one expected error is no evidence and must not make full steps.
        floor = max(config.losses.tracking, 1e-3) / config.batch
        self.parameters = {}
        for name, values in tracked.items():
            start = smoothed(values, times, sigma[name], expected[name], self._smooth[name])
            if not config.refine_tracking:
                start = torch.zeros_like(values)
            self.parameters[name] = Parameter((start / sigma[name]).to(device), step[name] / expected[name], floor)
        self._tracked = {name: values.to(device) for name, values in tracked.items()}
        self._sigma = {name: values.to(device) for name, values in sigma.items()}
        self._first = torch.nonzero(times[2:] - times[:-2] == 2).flatten().to(device)
        self._count = len(frames)
        self._focal_sigma = errors.focal if focal_start == 1 else _FOCAL_UNSURE
        self._focal_start = math.log(focal_start)
        self.parameters["focal"] = Parameter(torch.zeros(1, device=device), rates.focal / errors.focal, floor)

    def leaves(self) -> dict[str, Tensor]:
        """Fresh leaves of all corrections."""
        return {name: parameter.leaf() for name, parameter in self.parameters.items()}

    def coefficients(self, leaves: dict[str, Tensor]) -> Pose:
        """Corrected coefficients of all frames [N,...]."""
        values = {name: self._tracked[name] + self._sigma[name] * leaves[name] for name in NAMES}
        return Pose(values["expression"], values["rotation"], values["translation"])

    def focal_scale(self, leaves: dict[str, Tensor]) -> Tensor:
        """Factor [1] on all focal lengths."""
        return (self._focal_start + self._focal_sigma * leaves["focal"]).exp()

    def penalty(self, leaves: dict[str, Tensor], rows: Tensor) -> Tensor:
        """Squared corrections of a batch in expected errors, summed over coefficients, mean over its frames."""
        total = leaves["focal"].square().sum()
        for name in NAMES:
            total = total + leaves[name][rows].square().sum() / len(rows)
        return total

    def roughness(self, leaves: dict[str, Tensor], rows: Tensor) -> Tensor:
        """Robust second differences over consecutive frames that a batch is part of, in units of what heads do."""
        first = self._first
        chosen = torch.zeros(self._count, device=first.device).index_fill(0, rows, 1.0)
        counts = torch.maximum(torch.maximum(chosen[first], chosen[first + 1]), chosen[first + 2])
        coefficients = self.coefficients(leaves)
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

    def step(self, leaves: dict[str, Tensor], share: float, rows: Tensor) -> None:
        """Descend for the frames of a batch, then take the mean over the clip out of the corrections."""
        for name in NAMES:
            parameter = self.parameters[name]
            parameter.step(leaves[name].grad, share, rows)
            parameter.value = parameter.value - parameter.value.mean(0)
        self.parameters["focal"].step(leaves["focal"].grad, share)

    def moved(self) -> dict[str, float]:
        """How far the corrections went: RMS and largest per axis or coefficient, in degrees, mm, coefficient units; and
        the mean over the clip as a share of the RMS, which is what drift would be."""
        units = {"rotation": math.degrees(1), "translation": 1 / MILLIMETRE, "expression": 1.0}
        suffixes = {"rotation": "_deg", "translation": "_mm", "expression": ""}
        report = {}
        for name in NAMES:
            value = self.parameters[name].value * self._sigma[name] * units[name]
            rms = float(value.square().mean().sqrt())
            report[f"tracking_{name}_rms{suffixes[name]}"] = rms
            report[f"tracking_{name}_largest{suffixes[name]}"] = float(value.abs().max())
            report[f"tracking_{name}_drift"] = float(value.mean(0).abs().max()) / rms if rms else 0.0
        return report
