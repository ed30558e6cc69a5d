"""Where the parts of a face lie on its rest surface, derived from the landmarks and regions of the head model."""

import math

import numpy as np
import torch
from torch import Tensor

from ..heads.builtin.anatomy import OCCLUSAL_SLOPE
from ..heads.regions import Region
from ..units import MILLIMETRE
from .noise import smoothstep
from .subject import Subject

# Indices of the iBUG-68 landmarks; left and right are the head's own.
_BROWS = {"right": range(17, 22), "left": range(22, 27)}
_NOSE_TOP, _NOSE_TIP, _NOSE_RIGHT, _NOSE_BASE, _NOSE_LEFT = 27, 30, 31, 33, 35
_CHIN, _MOUTH_RIGHT, _MOUTH_LEFT = 8, 48, 54
_CROWNS = ((8.5, 15.0, 22.5, 29.5, 36.5, 46.5), (5.4, 11.3, 18.2, 25.2, 32.2, 43.0))
"""Millimetres along the arch from its middle to where one tooth touches the next: the upper and the lower row."""
_ARCH_STEPS = 256
_INNER_UPPER, _INNER_LOWER = (60, 61, 62, 63, 64), (60, 67, 66, 65, 64)


class Anatomy:
    """Distances and memberships of rest-surface points; all of them [N] for points [N,3] in metres."""

    def __init__(self, subject: Subject) -> None:
        head = subject.surface
        assert head.landmarks68 is not None, "the built-in head has landmarks"
        self.landmarks = subject.skin[head.landmarks68]
        self.eyes = subject.eye_centres
        self._eye_depth = self.eyes[1, 2]
        self._face = subject.skin[(head.region == Region.SKIN) & (subject.skin[:, 2] > self._eye_depth)]
        teeth, jaw = head.region == Region.TEETH, head.skin_weights[:, head.joint_names.index("jaw")] > 0.5
        self._rows = subject.skin[teeth & ~jaw], subject.skin[teeth & jaw]
        self.eye_span = float((self.eyes[1] - self.eyes[0]).norm())
        """Metres between the eyes; the unit in which the face is measured."""

    def random_face_points(self, rng: np.random.Generator, count: int) -> Tensor:
        """Points [count,3] on the front of the face, spread evenly as seen from the front."""
        low, high = self._face.amin(0)[:2], self._face.amax(0)[:2]
        targets = low + (high - low) * torch.from_numpy(rng.random((count, 2), dtype=np.float32))
        return self._face[torch.cdist(targets, self._face[:, :2]).argmin(1)]

    def eye_angle(self, points: Tensor) -> Tensor:
        """Angle in radians at the middle of the eye on the point's side, from its gaze, which is +z at rest."""
        offset = points - self.eyes[(points[:, 0] >= 0).long()]
        return torch.atan2(offset[:, :2].norm(dim=1), offset[:, 2])

    def brow(self, points: Tensor) -> Tensor:
        """1 in the middle of the nearer brow, 0 outside: thicker at the nose, thinner at the temple."""
        nearest = torch.zeros(len(points))
        for side in _BROWS.values():
            line = self.landmarks[list(side)]
            inner_first = line if side.start == 22 else line.flip(0)
            distance, along = _distance_to_line(points[:, :2], inner_first[:, :2])
            half_width = self.eye_span * (0.12 - 0.06 * along)
            nearest = torch.maximum(nearest, 1 - distance / half_width)
        in_front = points[:, 2] > self._eye_depth
        return nearest.clamp(min=0) * in_front

    def nose(self, points: Tensor) -> Tensor:
        """1 on the nose: a triangle from the bridge to the wings, seen from the front."""
        top, right, left = (self.landmarks[i] for i in (_NOSE_TOP, _NOSE_RIGHT, _NOSE_LEFT))
        base = self.landmarks[_NOSE_BASE]
        down = (top[1] - points[:, 1]) / (top[1] - base[1])
        wing = 0.5 * (left[0] - right[0]) + 0.06 * self.eye_span
        half_width = torch.lerp(torch.tensor(0.1 * self.eye_span), wing, down.clamp(0, 1) ** 1.5)
        inside = (points[:, 0] - 0.5 * (left[0] + right[0])).abs() < half_width
        behind = points[:, 2] < torch.minimum(left[2], right[2]) - 0.15 * self.eye_span
        return (inside & (down > 0) & (down < 1.08) & ~behind).float()

    def upper_lip(self, points: Tensor) -> Tensor:
        """True above the line where the lips meet."""
        middle = 0.5 * (self.landmarks[list(_INNER_UPPER)] + self.landmarks[list(_INNER_LOWER)])
        return points[:, 1] > _interpolate_line(points[:, 0].contiguous(), middle)

    def tooth(self, points: Tensor, lower: Tensor) -> tuple[Tensor, Tensor]:
        """Metres from the edge of a tooth towards its root, and metres to where it touches the nearest other.

        Args:
            points: [N,3] on the teeth.
            lower: [N] whether they lie on the lower row.
        """
        (above, beside_above), (below, beside_below) = (self._tooth(points, row) for row in range(len(self._rows)))
        return torch.where(lower, below, above), torch.where(lower, beside_below, beside_above)

    def _tooth(self, points: Tensor, row: int) -> tuple[Tensor, Tensor]:
        teeth, towards_root = self._rows[row], 1 - 2 * row
        front = teeth[teeth[:, 2] > teeth[:, 2].amax() - 5 * MILLIMETRE]
        edge = (towards_root * front[:, 1]).amin() * towards_root + OCCLUSAL_SLOPE * (points[:, 2] - front[:, 2].amax())
        half_width, back = teeth[:, 0].abs().amax(), teeth[:, 2].amin()
        depth = teeth[:, 2].amax() - back
        turn = torch.linspace(0, 0.5 * math.pi, _ARCH_STEPS)
        arch = torch.stack([half_width * turn.sin(), depth * turn.cos()], 1)
        length = torch.nn.functional.pad(arch.diff(dim=0).norm(dim=1).cumsum(0), (1, 0))
        here = torch.atan2(points[:, 0].abs() / half_width, (points[:, 2] - back) / depth)
        along = length[(here * (_ARCH_STEPS - 1) / (0.5 * math.pi)).round().long().clamp(0, _ARCH_STEPS - 1)]
        borders = MILLIMETRE * torch.tensor([0.0, *_CROWNS[row]])
        return towards_root * (points[:, 1] - edge), (along[:, None] - borders).abs().amin(1)

    def cheeks(self, points: Tensor) -> Tensor:
        """1 in the middle of the cheeks, the tip of the nose and the chin, fading to 0: where blood shows."""
        mouth = self.landmarks[[_MOUTH_RIGHT, _MOUTH_LEFT]]
        outward = torch.tensor([[-0.25, 0.0, 0.0], [0.25, 0.0, 0.0]]) * self.eye_span
        centres = torch.cat([0.5 * (self.eyes + mouth) + outward, self.landmarks[[_NOSE_TIP, _CHIN]]])
        radius = self.eye_span * torch.tensor([0.45, 0.45, 0.25, 0.2])
        nearness = torch.exp(-((torch.cdist(points[:, :2], centres[:, :2]) / radius) ** 2)).amax(1)
        return nearness * smoothstep(-0.6, 0.0, (points[:, 2] - self._eye_depth) / self.eye_span)

    def beard(self, points: Tensor) -> Tensor:
        """1 where a beard grows: around the mouth, on chin and jaw, not on the cheeks."""
        mouth = 0.5 * (self.landmarks[_MOUTH_RIGHT] + self.landmarks[_MOUTH_LEFT])
        half_mouth = 0.5 * (self.landmarks[_MOUTH_LEFT] - self.landmarks[_MOUTH_RIGHT])[0]
        base, chin = self.landmarks[_NOSE_BASE, 1], self.landmarks[_CHIN, 1]
        aside = ((points[:, 0] - mouth[0]).abs() / half_mouth - 1).clamp(min=0)
        top = base - 0.02 * self.eye_span - 0.25 * self.eye_span * smoothstep(0, 1, aside)
        below_top = smoothstep(0.0, 0.18, (top - points[:, 1]) / self.eye_span)
        above_neck = smoothstep(-0.45, -0.1, (points[:, 1] - chin) / self.eye_span)
        in_front = smoothstep(-1.1, -0.5, (points[:, 2] - self._eye_depth) / self.eye_span)
        return below_top * above_neck * in_front


def _distance_to_line(points: Tensor, line: Tensor) -> tuple[Tensor, Tensor]:
    """Distance [N] of points [N,2] to the polyline [K,2], and how far along it (0..1) the nearest point lies."""
    start, step = line[:-1], line[1:] - line[:-1]
    offset = points[:, None] - start
    along = ((offset * step).sum(-1) / (step * step).sum(-1)).clamp(0, 1)
    distance, segment = (offset - along[..., None] * step).norm(dim=-1).min(1)
    position = segment + along.gather(1, segment[:, None])[:, 0]
    return distance, position / (len(line) - 1)


def _interpolate_line(x: Tensor, line: Tensor) -> Tensor:
    """y [N] of the polyline [K,3] at x [N]; its ends continue level. `line` ascends in x."""
    right = torch.searchsorted(line[:, 0].contiguous(), x).clamp(1, len(line) - 1)
    (x0, y0), (x1, y1) = (line[index, :2].unbind(1) for index in (right - 1, right))
    return torch.lerp(y0, y1, ((x - x0) / (x1 - x0)).clamp(0, 1))
