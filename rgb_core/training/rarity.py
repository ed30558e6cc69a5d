"""How rare a frame's pose and expression are in its clip, and how often a fit should therefore look at it."""

import torch
from torch import Tensor

from ..heads import Pose

_NEIGHBOURS = 8  # frames, beside itself, whose distance says how rare a frame is
_LEAST_SPREAD = 1e-3  # of a coefficient: one that hardly varies makes no frame rare
_LARGEST = 4.0  # times the mean distance beyond which a frame becomes no rarer: it may be an error of tracking


def frame_shares(poses: Pose, power: float) -> Tensor:
    """How often each of F frames is seen in a pass, [F] of mean 1.

    The share grows with a frame's mean distance to its nearest others in standard deviations of joint angles and
    expressions, to the power given: 0 sees all alike. Density estimated from nearest neighbours (Loftsgaarden and
    Quesenberry 1965) falls with that distance, so that a larger power flattens it further.
    """
    values = torch.cat([poses.joints.flatten(1), poses.expression], 1).double()
    spread = values.std(0)
    moving = values[:, spread > _LEAST_SPREAD] / spread[spread > _LEAST_SPREAD]
    near = torch.cdist(moving, moving).sort(1).values[:, 1 : _NEIGHBOURS + 1]
    distance = near.mean(1)
    if len(distance) < 2 or not bool((distance > 0).any()):
        return torch.ones(len(values), dtype=torch.float64)
    shares = (distance / distance.mean()).clamp_max(_LARGEST).pow(power)
    return shares / shares.mean()
