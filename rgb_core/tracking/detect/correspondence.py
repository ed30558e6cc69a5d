"""Where the detector's landmarks lie on a head model: the head is shown to the detector from several sides.

That needs no table of any model's licence, works for every `rgb-head`, and cancels the detector's own habits, because
video frames are measured by the same detector.
"""

import dataclasses
import itertools
import math
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor
from torchoptixext_visibility import MeshBvh

from ...errors import InputError
from ...heads import HeadModel, Pose
from ...heads.regions import Region, in_regions
from .. import landmarks
from .detector import FaceDetector
from .following import search
from .painted_head import IRIS_RADIUS, draw, eyeballs

_YAWS, _PITCHES = (-50.0, -35.0, -18.0, 0.0, 18.0, 35.0, 50.0), (-24.0, -12.0, 0.0, 12.0, 24.0)  # degrees
_FRONTAL = 35.0  # degrees from the camera up to which a view says where a landmark lies; all say how it strays
_HABIT_RIDGE = 0.05  # in views: keeps the habits of rarely seen poses small
_LARGEST_HABIT = 0.012  # metres
_MOUTH_OPEN, _JAW_OPEN = 0.4, math.radians(12)  # of jawOpen, or of the jaw joint; tells the lips apart
_LEAST_VIEWS = 3


@dataclass(frozen=True)
class Correspondence:
    """478 points on the faces of a head model: corner vertices [478, 3] int64 and barycentric weights [478, 3]."""

    corners: Tensor
    barycentric: Tensor
    habits: Tensor
    """[5, 478, 3] metres in the head's frame by which the detector strays from the points in turned views, per
    `habit_features`; zeros for a detector without habits."""

    def points(self, vertices: Tensor) -> Tensor:
        """[..., 478, 3] of vertices [..., V, 3]."""
        return (vertices[..., self.corners, :] * self.barycentric[..., None].to(vertices)).sum(-2)


def habit_features(towards: Tensor) -> Tensor:
    """[..., 5] of the direction `towards` [..., 3] the camera in the head's frame; all zero when it looks straight."""
    x, y, z = torch.nn.functional.normalize(towards, dim=-1).unbind(-1)
    yaw, pitch = torch.atan2(-x, z), y.clamp(-1, 1).asin()
    return torch.stack([yaw, pitch, yaw.square(), pitch.square(), yaw * pitch], -1)


def find_correspondence(head: HeadModel, detector: FaceDetector) -> Correspondence:
    """Show the head with a shut and an open mouth; lips are taken from the latter.

    Raises:
        InputError: when the detector does not take the head for a face.
    """
    neutral = Pose.rest(len(head.expression_names), head.joint_count)
    closed, opened = (_shown(head, detector, pose) for pose in (neutral, _open_mouth(head)))
    lips = torch.zeros(landmarks.COUNT, 1, dtype=torch.bool)
    lips[list(landmarks.LIPS)] = True
    return Correspondence(
        torch.where(lips, opened.corners, closed.corners),
        torch.where(lips, opened.barycentric, closed.barycentric),
        torch.where(lips, opened.habits, closed.habits),
    )


def _shown(head: HeadModel, detector: FaceDetector, pose: Pose) -> Correspondence:
    """The landmarks of the head in one pose of its face."""
    vertices = head.pose(pose).vertices
    sightings = _look_around(head, vertices, detector)
    found = _with_irises(head, _on_surface(head, vertices, _triangulated(sightings)))
    habits = _habits(sightings, found.points(vertices))
    irises = list(landmarks.LEFT_IRIS + landmarks.RIGHT_IRIS)
    habits[:, irises] -= (
        habits[:, irises].unflatten(1, (2, 5)).mean(2, keepdim=True).expand(-1, -1, 5, -1).flatten(1, 2)
    )
    return dataclasses.replace(found, habits=habits)


def _open_mouth(head: HeadModel) -> Pose:
    """An open mouth; the neutral head where the model cannot open it."""
    pose = Pose.rest(len(head.expression_names), head.joint_count)
    if "jawOpen" in head.expression_names:
        pose.expression[head.expression_index("jawOpen")] = _MOUTH_OPEN
    elif "jaw" in head.joint_names:
        pose.joints[head.joint_names.index("jaw"), 0] = _JAW_OPEN
    return pose


class Sighting(NamedTuple):
    """One view in which the detector found the face: the camera's place [3] and the rays [478, 3] to the landmarks."""

    origin: Tensor
    rays: Tensor
    yaw: float
    pitch: float


def _look_around(head: HeadModel, vertices: Tensor, detector: FaceDetector) -> list[Sighting]:
    sightings = []
    for yaw, pitch in itertools.product(_YAWS, _PITCHES):
        view = draw(head, vertices, math.radians(yaw), math.radians(pitch))
        faces = search(detector, view.image, torch.zeros(0, 4), in_tiles=False)
        if len(faces):
            rays = torch.nn.functional.normalize(view.directions(faces[0, :, :2]), dim=1)
            sightings.append(Sighting(view.origin.double(), rays.double(), yaw, pitch))
    if len(sightings) < _LEAST_VIEWS:
        raise InputError(
            f"the face detector sees no face in the head model '{head.name}'; leave --head out to use the built-in one"
        )
    return sightings


def _triangulated(sightings: list[Sighting]) -> Tensor:
    """[478, 3] the points nearest to the rays of the frontal views."""
    frontal = [sight for sight in sightings if math.hypot(sight.yaw, sight.pitch) <= _FRONTAL] or sightings
    rays = torch.stack([sight.rays for sight in frontal])
    across = torch.eye(3).double() - rays[..., :, None] * rays[..., None, :]
    right = (across @ torch.stack([sight.origin for sight in frontal])[:, None, :, None]).sum(0)
    return torch.linalg.solve(across.sum(0), right)[..., 0].float()


def _habits(sightings: list[Sighting], points: Tensor) -> Tensor:
    """[5, 478, 3] least squares of what lies between points [478, 3] and the rays, over the views.

    Along its ray a view tells nothing, which counts as no stray: depth would be free otherwise.
    """
    features = habit_features(torch.stack([sight.origin for sight in sightings]) - points.mean(0).double())
    features = torch.cat([features, torch.ones(len(features), 1).double()], 1)
    strays = []
    for sight in sightings:
        arm = points.double() - sight.origin
        nearest = sight.rays * (arm * sight.rays).sum(1, keepdim=True)
        strays.append((nearest - arm).clamp(-_LARGEST_HABIT, _LARGEST_HABIT))
    normal = features.T @ features + _HABIT_RIDGE * torch.eye(features.shape[1])
    return torch.linalg.solve(normal, features.T @ torch.stack(strays).flatten(1)).unflatten(1, (-1, 3))[:5]


def _on_surface(head: HeadModel, vertices: Tensor, points: Tensor) -> Correspondence:
    """The nearest points of the outer face."""
    outer = in_regions(head.region, (Region.SKIN, Region.SCALP, Region.EAR, Region.LIPS))
    return _nearest(vertices, head.faces[outer[head.faces].all(1)], points)


def _nearest(vertices: Tensor, faces: Tensor, points: Tensor) -> Correspondence:
    closest = MeshBvh(vertices.contiguous(), faces.contiguous()).closest_point(points.contiguous())
    return Correspondence(faces[closest.face_id], closest.barycentric, torch.zeros(5, landmarks.COUNT, 3).double())


def _with_irises(head: HeadModel, found: Correspondence) -> Correspondence:
    """Irises on the eyeballs, which look straight ahead in the neutral head."""
    corners, barycentric = found.corners.clone(), found.barycentric.clone()
    for eye, indices in zip(eyeballs(head), (landmarks.LEFT_IRIS, landmarks.RIGHT_IRIS), strict=False):
        rim = torch.tensor([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0], [-1.0, 0.0], [0.0, -1.0]]) * IRIS_RADIUS
        depth = (eye.radius**2 - rim.square().sum(1, keepdim=True)).clamp_min(0).sqrt()
        points = eye.center + torch.cat([rim, depth], 1)
        faces = head.faces[eye.vertices[head.faces].all(1)]
        on_ball = _nearest(head.vertices, faces, points)
        corners[list(indices)], barycentric[list(indices)] = on_ball.corners, on_ball.barycentric
    return dataclasses.replace(found, corners=corners, barycentric=barycentric)
