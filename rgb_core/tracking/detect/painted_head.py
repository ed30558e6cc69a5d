"""Any head model drawn so that a face detector takes it for a face: skin, hair, lips, brows, eyes under soft light."""

import math
from typing import NamedTuple

import mesh_rasterizer
import torch
from torch import Tensor

from ...heads import HeadModel, vertex_normals
from ...heads.regions import Region
from ...rotations import axis_angle_to_matrix

_COLOURS = {
    Region.SKIN: (0.75, 0.55, 0.45),
    Region.SCALP: (0.18, 0.12, 0.08),
    Region.EYEBALL: (0.90, 0.88, 0.86),
    Region.EYE_SOCKET: (0.60, 0.40, 0.35),
    Region.MOUTH: (0.25, 0.08, 0.08),
    Region.TEETH: (0.80, 0.78, 0.70),
    Region.LIPS: (0.62, 0.32, 0.30),
}
"""sRGB; other regions look like skin."""
_IRIS, _PUPIL, _BROW, _BACKGROUND = (0.25, 0.16, 0.10), (0.02, 0.02, 0.02), (0.25, 0.17, 0.12), (0.60, 0.65, 0.70)
IRIS_RADIUS = 0.0059
"""Metres; irises of adults hardly differ."""
_PUPIL_RADIUS, _BROW_RADIUS = 0.0025, 0.004  # metres
_LEFT_BROW, _RIGHT_BROW = slice(22, 27), slice(17, 22)  # of the iBUG-68 landmarks
_BROW_STEPS = 8  # points painted between two landmarks of a brow
_LAMP, _AMBIENT = (0.3, 0.5, 1.0), 0.35  # direction in camera space (x right, y up, z towards the camera), share
_DISTANCE = 0.7  # metres between the camera and the middle of the face
_VIEW = 0.34  # metres across the picture at that distance
_SIZE = 384  # pixels


class View(NamedTuple):
    """A head as the detector sees it: in the head's frame, pixels p lie along `directions(p)` from `origin` [3]."""

    image: Tensor
    """uint8 [H, W, 3]."""
    origin: Tensor
    """[3]."""
    to_head: Tensor
    """[3, 3] from camera to head axes."""

    def directions(self, pixels: Tensor) -> Tensor:
        """[N, 3] through pixels [N, 2], in head axes."""
        rays = torch.cat([(pixels - _SIZE / 2) / _FOCAL, torch.ones(len(pixels), 1)], 1)
        return rays @ self.to_head.T


_FOCAL = _SIZE * _DISTANCE / _VIEW


class Eye(NamedTuple):
    """An eyeball as a sphere: centre [3] and radius in metres, and which vertices [V] belong to it."""

    center: Tensor
    radius: float
    vertices: Tensor


def eyeballs(head: HeadModel) -> list[Eye]:
    """The left and the right eyeball, by a least-squares sphere; none where the model has no eyeballs."""
    eyes = []
    for side in (1.0, -1.0):
        members = (head.region == Region.EYEBALL) & (head.vertices[:, 0] * side > 0)
        points = head.vertices[members].double()
        if len(points) < 4:
            return []
        system = torch.cat([2 * points, torch.ones(len(points), 1).double()], 1)
        center = torch.linalg.lstsq(system, points.square().sum(1, keepdim=True)).solution[:3, 0]
        eyes.append(Eye(center.float(), float((points - center).norm(dim=1).mean()), members))
    return eyes


def face_center(head: HeadModel) -> Tensor:
    """[3] a point in the middle of the face."""
    if head.landmarks68 is not None:
        return head.vertices[head.landmarks68].mean(0)
    return head.vertices[head.region == Region.LIPS].mean(0)


def draw(head: HeadModel, vertices: Tensor, yaw: float, pitch: float) -> View:
    """The posed `vertices` [V, 3] of a head from a camera that looks at its face; angles of the head in radians."""
    turn = axis_angle_to_matrix(torch.tensor([0.0, yaw, 0.0])) @ axis_angle_to_matrix(torch.tensor([pitch, 0.0, 0.0]))
    to_camera = torch.diag(torch.tensor([1.0, -1.0, -1.0])) @ turn
    center = face_center(head)
    camera = (vertices - center) @ to_camera.T + torch.tensor([0.0, 0.0, _DISTANCE])
    intrinsics = torch.tensor([[_FOCAL, _FOCAL, _SIZE / 2, _SIZE / 2]])
    fragments = mesh_rasterizer.rasterize(camera[None], head.faces, intrinsics, _SIZE, _SIZE)
    normals = vertex_normals(vertices, head.faces) @ turn.T
    lit = (normals @ torch.nn.functional.normalize(torch.tensor(_LAMP), dim=0)).clamp(0, 1)
    colour = _paint(head) * (_AMBIENT + (1 - _AMBIENT) * lit)[:, None]
    drawn = mesh_rasterizer.interpolate(fragments, head.faces, colour)[0]
    covered = (fragments.face_id[0] >= 0)[..., None]
    image = torch.where(covered, drawn, torch.tensor(_BACKGROUND))
    origin = center - to_camera.T @ torch.tensor([0.0, 0.0, _DISTANCE])
    return View((255 * image.clamp(0, 1)).round().byte(), origin, to_camera.T)


def _paint(head: HeadModel) -> Tensor:
    """[V, 3] sRGB."""
    table = torch.tensor([_COLOURS.get(code, _COLOURS[Region.SKIN]) for code in Region])
    colour = table[head.region.long()]
    for eye in eyeballs(head):
        angle = torch.nn.functional.normalize(head.vertices - eye.center, dim=1)[:, 2].clamp(-1, 1).acos()
        for radius, tone in ((IRIS_RADIUS, _IRIS), (_PUPIL_RADIUS, _PUPIL)):
            colour[eye.vertices & (angle < math.asin(min(1.0, radius / eye.radius)))] = torch.tensor(tone)
    if head.landmarks68 is not None:
        corners = head.vertices[head.landmarks68]
        for brow in (corners[_LEFT_BROW], corners[_RIGHT_BROW]):
            share = torch.linspace(0, 1, _BROW_STEPS)[:, None, None]
            line = torch.lerp(brow[:-1], brow[1:], share).flatten(0, 1)
            near = torch.cdist(head.vertices, line).amin(1) < _BROW_RADIUS
            colour[near & (head.region == Region.SKIN)] = torch.tensor(_BROW)
    return colour
