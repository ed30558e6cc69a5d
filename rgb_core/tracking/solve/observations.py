"""The landmarks of a clip as the fit takes them: where they are known, in the picture, and turned to the camera."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from .rig import Rig
from .state import State

_FACING = (-0.1, 0.3)  # cosine to the view from hidden to seen
_HIDDEN_WEIGHT = 0.1  # of a landmark that faces away, which the detector makes up


@dataclass(frozen=True)
class Observations:
    """Landmarks of the N frames of a clip."""

    points: Tensor
    """[N, 478, 3] pixels of the video; NaN where there is no face."""
    times: Tensor
    """[N] int64 frame numbers, ascending."""
    fps: float
    """Frame numbers per second."""
    size: tuple[int, int]
    """(width, height) of the video."""

    def known(self) -> Tensor:
        """[N] bool: frames with a face."""
        return self.points[:, 0, 0].isfinite()

    def inside(self) -> Tensor:
        """[N, 478] 1 for landmarks in the picture; beyond its border the detector knows nothing."""
        points = self.points[..., :2].nan_to_num(-1)
        return ((points >= 0) & (points < torch.tensor(self.size))).all(-1).double()

    def filled(self, values: Tensor) -> Tensor:
        """Values [K, C] of the frames with a face interpolated to all N."""
        known = self.times[self.known()].numpy()
        columns = [np.interp(self.times.numpy(), known, column.numpy()) for column in values.T]
        return torch.from_numpy(np.stack(columns, 1))


def facing(rig: Rig, state: State, hidden: float = _HIDDEN_WEIGHT) -> Tensor:
    """[N, L] weight, from `hidden` to 1, of points by how the neutral surface there faces the camera."""
    normals = rig.normals @ state.rotations().mT
    middle = torch.nn.functional.normalize(state.position, dim=1)
    cosine = -(normals * middle[:, None]).sum(-1)
    share = ((cosine - _FACING[0]) / (_FACING[1] - _FACING[0])).clamp(0, 1)
    return hidden + (1 - hidden) * share
