"""What landmarks say about a state: robust residuals of points and of differences that are known better."""

from typing import NamedTuple, Protocol

import torch
from torch import Tensor

from .. import landmarks
from .deviations import Deviations
from .rig import Rig
from .state import State, project, project_with_derivatives


class Linearised(NamedTuple):
    """Rows of a weighted least-squares problem: jacobian [B, R, P + G], residual and weight [B, R, 1], float32."""

    jacobian: Tensor
    residual: Tensor
    weight: Tensor


class Evidence(Protocol):
    """Something that frames show."""

    def cost(self, state: State, rows: slice) -> Tensor:
        """[] what the frames `rows` contribute; infinite where a state is impossible."""

    def linearise(self, state: State, rows: slice) -> Linearised:
        """Gauss-Newton rows of the same."""


def robust(squared: Tensor, kink: Tensor | float) -> tuple[Tensor, Tensor]:
    """Half the Charbonnier norm of squared errors, which grows linearly beyond `kink`, and the weight it gives them."""
    root = (1 + squared / kink**2).sqrt()
    return kink**2 * (root - 1), 1 / root


class LandmarkEvidence:
    """The detector's landmarks of N frames.

    Attributes:
        observed: [N, L, 2] pixels from the principal point. pixels: one expected error of a landmark.
        share: of the points' evidence that counts.
        visibility: [N, L] 0 to 1; 0 where a landmark is unknown.
        stray: [N, L, 3] metres in the head's frame by which what is observed lies beside the rig's landmarks.
    """

    def __init__(self, rig: Rig, observed: Tensor, visibility: Tensor, size: float, deviations: Deviations):
        """`size` is the face's in pixels, typical of the clip."""
        self.rig, self.observed, self.visibility = rig, observed.double(), visibility.double()
        self.pixels = deviations.landmark * size
        self.stray = torch.zeros(*observed.shape[:2], 3, dtype=torch.float64)
        self.share = 1.0
        self._relations = landmarks.relations()
        self._deviations = deviations
        kinks = torch.full((len(landmarks.weights()),), deviations.robust, dtype=torch.float64)
        self._kinks = torch.cat([kinks, torch.full((len(self._relations),), deviations.relation_robust).double()])
        self._related = (self._relations != 0).double()
        self._related /= self._related.sum(1, keepdim=True)
        self._scale = deviations.landmark / deviations.relation
        self.weights = deviations.correlation * landmarks.weights()

    def cost(self, state: State, rows: slice) -> Tensor:
        """[] robust norm of the errors; infinite where a landmark lies behind the camera."""
        seen, camera = project(self.rig, state, rows, self.stray[rows])
        if bool((camera[..., 2] <= 0).any()):
            return torch.tensor(torch.inf, dtype=torch.float64)
        residual = self._with_relations((seen - self.observed[rows]) / self.pixels)
        return (self._weight(rows) * robust(residual.square().sum(-1), self._kinks)[0]).sum()

    def linearise(self, state: State, rows: slice) -> Linearised:
        """Two rows for every landmark and relation."""
        seen = project_with_derivatives(self.rig, state, rows, self.stray[rows])
        residual = self._with_relations((seen.pixels - self.observed[rows]) / self.pixels)
        weight = self._weight(rows) * robust(residual.square().sum(-1), self._kinks)[1]
        jacobian = self._with_relations(seen.jacobian.flatten(2) / self.pixels).unflatten(2, (2, -1))
        return Linearised(
            jacobian.flatten(1, 2),
            residual.flatten(1)[..., None].float(),
            weight.repeat_interleave(2, 1)[..., None].float(),
        )

    def _with_relations(self, values: Tensor) -> Tensor:
        """[B, L + K, C] of values [B, L, C] of the landmarks: with their relations below, in the same unit."""
        return torch.cat([values, self._scale * (self._relations.to(values) @ values)], 1)

    def _weight(self, rows: slice) -> Tensor:
        """[B, L + K]."""
        visible = self.visibility[rows]
        related = self._deviations.relation_evidence * (visible @ self._related.T)
        return torch.cat([self.share * self.weights * visible, related], 1)
