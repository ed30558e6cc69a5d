"""Where the detector's landmarks lie on a head model: the head is shown to the detector from several sides.

That needs no table of any model's licence, works for every `rgb-head`, and cancels the detector's own habits, because
video frames are measured by the same detector.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor
from torchoptixext_visibility import MeshBvh

from ..errors import InputError
from ..heads import HeadModel
from . import landmarks
from .detector import FaceDetector
from .painted_head import EAR, IRIS_RADIUS, LIPS, SCALP, SKIN, draw, eyeballs

_YAWS, _PITCHES = (-30.0, -15.0, 0.0, 15.0, 30.0), (-12.0, 0.0, 12.0)  # degrees
_LOOKS = 2  # the detector sees every view so often: its second look starts from the first one's result
_MOUTH_OPEN, _JAW_OPEN = 0.4, math.radians(12)  # of jawOpen, or of the jaw joint; tells the lips apart
_LEAST_VIEWS = 3


@dataclass(frozen=True)
class Correspondence:
    """478 points on the faces of a head model: corner vertices [478, 3] int64 and barycentric weights [478, 3]."""

    corners: Tensor
    barycentric: Tensor

    def points(self, vertices: Tensor) -> Tensor:
        """[..., 478, 3] of vertices [..., V, 3]."""
        return (vertices[..., self.corners, :] * self.barycentric[..., None].to(vertices)).sum(-2)


def find_correspondence(head: HeadModel, detector: FaceDetector) -> Correspondence:
    """Show the head with a shut and an open mouth; lips are taken from the latter.

    Raises:
        InputError: when the detector does not take the head for a face.
    """
    neutral = torch.zeros(1, len(head.expression_names)), torch.zeros(1, head.joint_count, 3)
    found = []
    for expression, joints in (neutral, _open_mouth(head)):
        vertices = head.pose(expression, joints, torch.zeros(1, 3)).vertices[0]
        found.append(_on_surface(head, vertices, _triangulated(head, vertices, detector)))
    lips = torch.zeros(landmarks.COUNT, 1, dtype=torch.bool)
    lips[list(landmarks.LIPS)] = True
    corners = torch.where(lips, found[1].corners, found[0].corners)
    barycentric = torch.where(lips, found[1].barycentric, found[0].barycentric)
    return _with_irises(head, Correspondence(corners, barycentric))


def _open_mouth(head: HeadModel) -> tuple[Tensor, Tensor]:
    """Expression [1, E] and joints [1, J, 3] of an open mouth; the neutral head where the model cannot open it."""
    expression, joints = torch.zeros(1, len(head.expression_names)), torch.zeros(1, head.joint_count, 3)
    if "jawOpen" in head.expression_names:
        expression[0, head.expression_index("jawOpen")] = _MOUTH_OPEN
    elif "jaw" in head.joint_names:
        joints[0, head.joint_names.index("jaw"), 0] = _JAW_OPEN
    return expression, joints


def _triangulated(head: HeadModel, vertices: Tensor, detector: FaceDetector) -> Tensor:
    """[478, 3] the points nearest to the rays through the landmarks of all views, in the head's frame."""
    normal = torch.zeros(landmarks.COUNT, 3, 3).double()
    right = torch.zeros(landmarks.COUNT, 3).double()
    seen = 0
    for yaw in _YAWS:
        for pitch in _PITCHES:
            view = draw(head, vertices, math.radians(yaw), math.radians(pitch))
            detector.reset()
            for _ in range(_LOOKS):
                faces = detector.landmarks(view.image)
            if not len(faces):
                continue
            seen += 1
            rays = torch.nn.functional.normalize(view.directions(faces[0, :, :2]), dim=1).double()
            across = torch.eye(3).double() - rays[:, :, None] * rays[:, None]
            normal += across
            right += across @ view.origin.double()
    detector.reset()
    if seen < _LEAST_VIEWS:
        raise InputError(f"the face detector sees no face in the head model '{head.name}'; use --head builtin")
    return torch.linalg.solve(normal, right).float()


def _on_surface(head: HeadModel, vertices: Tensor, points: Tensor) -> Correspondence:
    """The nearest points of the outer face."""
    outer = torch.isin(head.region, torch.tensor([SKIN, SCALP, EAR, LIPS], dtype=torch.uint8))
    return _nearest(vertices, head.faces[outer[head.faces].all(1)], points)


def _nearest(vertices: Tensor, faces: Tensor, points: Tensor) -> Correspondence:
    closest = MeshBvh(vertices.contiguous(), faces.contiguous()).closest_point(points.contiguous())
    return Correspondence(faces[closest.face_id], closest.barycentric)


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
    return Correspondence(corners, barycentric)
