"""Corrections of the tracked coefficients in stage 1: priors, smoothness, and no drift of the clip as a whole."""

import math

import torch
from torch import Tensor

from ..heads import Pose
from ..units import MILLIMETRE
from .config import GeometryConfig
from .evidence import Evidence
from .motion import NAMES, CorrectedMotion
from .optimiser import Parameter

_FOCAL_UNSURE = 0.02  # expected relative error of a focal length that the pictures had to correct at the start


class Tracking:
    """Corrections of every frame in expected errors, zero-mean over the clip, and of the focal length."""

    def __init__(self, evidence: Evidence, config: GeometryConfig, focal_start: float = 1.0):
        """`focal_start` is the factor on the focal lengths to begin with."""
        errors, rates, device = config.tracking, config.rates, evidence.device
        poses = Pose.stack([frame.pose for frame in evidence.frames])
        self._motion = CorrectedMotion(poses, evidence.times, errors, device)
        step = {
            "rotation": math.radians(rates.rotation),
            "translation": rates.translation * MILLIMETRE,
            "expression": rates.expression,
        }
        # A gradient as weak as the prior's at one expected error is no evidence and must not make full steps.
        floor = max(config.losses.tracking, 1e-3) / config.batch
        start = self._motion.smooth() if config.refine_tracking else self._motion.none()
        self.parameters = {
            name: Parameter(start[name], step[name] / self._motion.expected[name], floor) for name in NAMES
        }
        self._focal_sigma = errors.focal if focal_start == 1 else _FOCAL_UNSURE
        self._focal_start = math.log(focal_start)
        self.parameters["focal"] = Parameter(torch.zeros(1, device=device), rates.focal / errors.focal, floor)

    def leaves(self) -> dict[str, Tensor]:
        """Fresh leaves of all corrections."""
        return {name: parameter.leaf() for name, parameter in self.parameters.items()}

    def coefficients(self, leaves: dict[str, Tensor]) -> Pose:
        """Corrected coefficients of all frames [N,...]."""
        return self._motion.coefficients(leaves)

    def focal_scale(self, leaves: dict[str, Tensor]) -> Tensor:
        """Factor [1] on all focal lengths."""
        return (self._focal_start + self._focal_sigma * leaves["focal"]).exp()

    def penalty(self, leaves: dict[str, Tensor], rows: Tensor) -> Tensor:
        """Squared corrections of a batch in expected errors, summed over coefficients, mean over its frames."""
        return leaves["focal"].square().sum() + self._motion.penalty(leaves, rows)

    def roughness(self, leaves: dict[str, Tensor], rows: Tensor) -> Tensor:
        """Robust second differences over consecutive frames that a batch is part of, in units of what heads do."""
        return self._motion.roughness(leaves, rows)

    def step(self, leaves: dict[str, Tensor], share: float, rows: Tensor) -> None:
        """Descend for the frames of a batch, then take the mean over the clip out of the corrections."""
        for name in NAMES:
            parameter = self.parameters[name]
            parameter.step(leaves[name].grad, share, rows)
            parameter.value = parameter.value - parameter.value.mean(0)
        self.parameters["focal"].step(leaves["focal"].grad, share)

    def moved(self) -> dict[str, float]:
        """How far the corrections went; see `CorrectedMotion.moved`."""
        return self._motion.moved({name: self.parameters[name].value for name in NAMES})
