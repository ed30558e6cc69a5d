"""Where the parts of a face lie on its rest surface, derived from the landmarks and regions of the head model."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ..heads.regions import Region
from .noise import smoothstep
from .subject import Subject

# Indices of the iBUG-68 landmarks; left and right are the head's own.
_BROWS = {"right": range(17, 22), "left": range(22, 27)}
_NOSE_TOP, _NOSE_TIP, _NOSE_RIGHT, _NOSE_BASE, _NOSE_LEFT = 27, 30, 31, 33, 35
_CHIN, _MOUTH_RIGHT, _MOUTH_LEFT = 8, 48, 54
_INNER_UPPER, _INNER_LOWER = (60, 61, 62, 63, 64), (60, 67, 66, 65, 64)


@dataclass(frozen=True)
class Eyeball:
    """A ball that looks along +z at rest."""

    centre: Tensor
    radius: float

    def angle_from_gaze(self, points: Tensor) -> Tensor:
        """Angle [N] in radians between the gaze and the directions from the centre to `points` [N,3]."""
        offset = points - self.centre
        return torch.atan2(offset[:, :2].norm(dim=1), offset[:, 2])


class Anatomy:
    """Distances and memberships of rest-surface points; all of them [N] for points [N,3] in metres."""

    def __init__(self, subject: Subject) -> None:
        head = subject.surface
        assert head.landmarks68 is not None, "the built-in head has landmarks"
        self.landmarks = subject.skin[head.landmarks68]
        balls = subject.skin[head.region == Region.EYEBALL]
        self.right_eye = _fit_eyeball(balls[balls[:, 0] < 0])
        self.left_eye = _fit_eyeball(balls[balls[:, 0] >= 0])
        self._face = subject.skin[(head.region == Region.SKIN) & (subject.skin[:, 2] > self.left_eye.centre[2])]
        self.eye_span = float((self.left_eye.centre - self.right_eye.centre).norm())
        """Metres between the eyes; the unit in which the face is measured."""

    def random_face_points(self, rng: np.random.Generator, count: int) -> Tensor:
        """Points [count,3] on the front of the face, spread evenly as seen from the front."""
        low, high = self._face.amin(0)[:2], self._face.amax(0)[:2]
        targets = low + (high - low) * torch.from_numpy(rng.random((count, 2), dtype=np.float32))
        return self._face[torch.cdist(targets, self._face[:, :2]).argmin(1)]

    def eye_angle(self, points: Tensor) -> Tensor:
        """Angle from the gaze of the eye on the point's side."""
        left, right = self.left_eye.angle_from_gaze(points), self.right_eye.angle_from_gaze(points)
        return torch.where(points[:, 0] >= 0, left, right)

    def brow(self, points: Tensor) -> Tensor:
        """1 in the middle of the nearer brow, 0 outside: thicker at the nose, thinner at the temple."""
        nearest = torch.zeros(len(points))
        for side in _BROWS.values():
            line = self.landmarks[list(side)]
            inner_first = line if side.start == 22 else line.flip(0)
            distance, along = _distance_to_line(points[:, :2], inner_first[:, :2])
            half_width = self.eye_span * (0.12 - 0.06 * along)
            nearest = torch.maximum(nearest, 1 - distance / half_width)
        in_front = points[:, 2] > self.left_eye.centre[2]
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

    def cheeks(self, points: Tensor) -> Tensor:
        """1 in the middle of the cheeks, the tip of the nose and the chin, fading to 0: where blood shows."""
        eyes = torch.stack([self.right_eye.centre, self.left_eye.centre])
        mouth = self.landmarks[[_MOUTH_RIGHT, _MOUTH_LEFT]]
        outward = torch.tensor([[-0.25, 0.0, 0.0], [0.25, 0.0, 0.0]]) * self.eye_span
        centres = torch.cat([0.5 * (eyes + mouth) + outward, self.landmarks[[_NOSE_TIP, _CHIN]]])
        radius = self.eye_span * torch.tensor([0.45, 0.45, 0.25, 0.2])
        nearness = torch.exp(-((torch.cdist(points[:, :2], centres[:, :2]) / radius) ** 2)).amax(1)
        return nearness * smoothstep(-0.6, 0.0, (points[:, 2] - self.left_eye.centre[2]) / self.eye_span)

    def beard(self, points: Tensor) -> Tensor:
        """1 where a beard grows: around the mouth, on chin and jaw, not on the cheeks."""
        mouth = 0.5 * (self.landmarks[_MOUTH_RIGHT] + self.landmarks[_MOUTH_LEFT])
        half_mouth = 0.5 * (self.landmarks[_MOUTH_LEFT] - self.landmarks[_MOUTH_RIGHT])[0]
        base, chin = self.landmarks[_NOSE_BASE, 1], self.landmarks[_CHIN, 1]
        aside = ((points[:, 0] - mouth[0]).abs() / half_mouth - 1).clamp(min=0)
        top = base - 0.02 * self.eye_span - 0.25 * self.eye_span * smoothstep(0, 1, aside)
        below_top = smoothstep(0.0, 0.18, (top - points[:, 1]) / self.eye_span)
        above_neck = smoothstep(-0.45, -0.1, (points[:, 1] - chin) / self.eye_span)
        in_front = smoothstep(-1.1, -0.5, (points[:, 2] - self.left_eye.centre[2]) / self.eye_span)
        return below_top * above_neck * in_front


def _fit_eyeball(points: Tensor) -> Eyeball:
    """Least-squares sphere through the vertices of one eyeball."""
    centred = points - points.mean(0)
    system = torch.cat([2 * centred, torch.ones(len(points), 1)], 1).double()
    solution = torch.linalg.lstsq(system, (centred**2).sum(1, keepdim=True).double()).solution[:, 0]
    radius = (solution[3] + solution[:3] @ solution[:3]).sqrt()
    return Eyeball(solution[:3].float() + points.mean(0), float(radius))


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
