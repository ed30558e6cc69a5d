"""Corrections of the tracked coefficients: priors, smoothness over time, and no drift of the clip as a whole."""

import math

import torch
from torch import Tensor

from .config import GeometryConfig
from .evidence import Evidence
from .optimiser import Parameter
from .result import Coefficients

NAMES = ("rotation", "translation", "expression")
_MM = 1e-3


class Tracking:
    """Corrections of every frame in expected errors, zero-mean over the clip, and of the focal length."""

    def __init__(self, evidence: Evidence, config: GeometryConfig):
        errors, rates = config.tracking, config.rates
        frames = evidence.frames
        self._tracked = {
            "rotation": torch.stack([frame.joints for frame in frames]),
            "translation": torch.stack([frame.translation for frame in frames]),
            "expression": torch.stack([frame.expression for frame in frames]),
        }
        self._sigma = {
            "rotation": math.radians(errors.rotation_deg),
            "translation": errors.translation_mm * _MM,
            "expression": errors.expression,
        }
        self._smooth = {
            "rotation": math.radians(errors.smooth_rotation_deg),
            "translation": errors.smooth_translation_mm * _MM,
            "expression": errors.smooth_expression,
        }
        step = {
            "rotation": math.radians(rates.rotation),
            "translation": rates.translation * _MM,
            "expression": rates.expression,
        }
        self._focal_sigma = errors.focal
        # A gradient as weak as the prior's at one expected error is no evidence and must not make full steps.
        floor = max(config.losses.tracking, 1e-3) / config.batch
        self.parameters = {
            name: Parameter(torch.zeros_like(tracked), step[name] / self._sigma[name], floor)
            for name, tracked in self._tracked.items()
        }
        self.parameters["focal"] = Parameter(torch.zeros(1), rates.focal / errors.focal, floor)
        times = evidence.times
        self._triples = torch.nonzero(times[2:] - times[:-2] == 2).flatten()

    def leaves(self) -> dict[str, Tensor]:
        """Fresh leaves of all corrections."""
        return {name: parameter.leaf() for name, parameter in self.parameters.items()}

    def coefficients(self, leaves: dict[str, Tensor]) -> Coefficients:
        """Corrected coefficients of all frames [N,...]."""
        values = {name: self._tracked[name] + self._sigma[name] * leaves[name] for name in NAMES}
        return Coefficients(values["expression"], values["rotation"], values["translation"])

    def focal_scale(self, leaves: dict[str, Tensor]) -> Tensor:
        """Factor [1] on all focal lengths."""
        return (self._focal_sigma * leaves["focal"]).exp()

    def penalty(self, leaves: dict[str, Tensor], rows: Tensor) -> Tensor:
        """Squared corrections of a batch in expected errors, summed over coefficients, mean over its frames."""
        total = leaves["focal"].square().sum()
        for name in NAMES:
            total = total + leaves[name][rows].square().sum() / len(rows)
        return total

    def roughness(self, leaves: dict[str, Tensor], rows: Tensor) -> Tensor:
        """Robust second differences over consecutive frames that a batch is part of, in units of what heads do."""
        total = torch.zeros(())
        first = self._triples
        first = first[torch.isin(first, torch.cat([rows - 2, rows - 1, rows]))]
        coefficients = self.coefficients(leaves)
        by_name = {
            "rotation": coefficients.joints,
            "translation": coefficients.translation,
            "expression": coefficients.expression,
        }
        for name, values in by_name.items():
            second = (values[first] - 2 * values[first + 1] + values[first + 2]) / self._smooth[name]
            total = total + ((1 + second.square()).sqrt() - 1).sum() / len(rows)
        return total

    def step(self, leaves: dict[str, Tensor], share: float, rows: Tensor) -> None:
        """Descend for the frames of a batch, then take the mean over the clip out of the corrections."""
        for name in NAMES:
            parameter = self.parameters[name]
            parameter.step(leaves[name].grad, share, rows)
            parameter.value = parameter.value - parameter.value.mean(0)
        self.parameters["focal"].step(leaves["focal"].grad, share)

    def moved(self) -> dict[str, float]:
        """RMS of the corrections per axis or coefficient: degrees, mm, coefficient units."""
        rms = {name: float(self.parameters[name].value.square().mean().sqrt()) * self._sigma[name] for name in NAMES}
        return {
            "tracking_rotation_rms_deg": math.degrees(rms["rotation"]),
            "tracking_translation_rms_mm": rms["translation"] / _MM,
            "tracking_expression_rms": rms["expression"],
        }
