"""Everything that one seed decides about a clip before any picture is made: person, camera, motion."""

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torchoptixext_visibility import MeshBvh

from ..heads import Pose, vertex_normals
from ..scene import Camera
from .config import SyntheticConfig
from .materials import SubjectPainter
from .motion import Motion, clip_motion
from .render import PosedMesh
from .subject import Subject, make_subject

_DISTANCE = 0.92  # metres from the camera to the middle of the head
_FIELD_OF_VIEW = math.radians(22.5)
_CAMERA_SPREAD = math.radians(3)  # sigma of the direction from which the camera looks, about straight ahead

# Streams of random numbers, so that one does not shift when another draws more.
_PERSON, _CAMERA, _MOTION, _LIGHT, _TRACKING, _FRAME = range(6)


@dataclass(frozen=True)
class Scene:
    """A subject before its camera, ready to be posed frame by frame."""

    seed: int
    subject: Subject
    paint: SubjectPainter
    camera: Camera
    motion: Motion
    pivot: Tensor
    """[3] metres: the point that the head turns about."""
    bvh: MeshBvh

    @staticmethod
    def build(config: SyntheticConfig, seed: int) -> "Scene":
        """The scene of a clip."""
        person = np.random.default_rng([seed, _PERSON])
        subject = make_subject(person)
        surface = subject.surface
        pivot = surface.joint_positions[surface.joint_names.index("neck")]
        pivot_to_root = (surface.joint_positions[0] - pivot).double().numpy()
        motion = clip_motion(
            np.random.default_rng([seed, _MOTION]),
            surface.expression_names,
            config.frames + config.test_frames,
            config.frames,
            pivot_to_root,
        )
        return Scene(
            seed=seed,
            subject=subject,
            paint=SubjectPainter(subject, person),
            camera=_camera(np.random.default_rng([seed, _CAMERA]), surface.vertices, config.size),
            motion=motion,
            pivot=pivot,
            bvh=MeshBvh(surface.vertices, surface.faces),
        )

    def light_yaw(self) -> float:
        """By how much the clip's light is turned about the vertical, in radians."""
        return float(np.random.default_rng([self.seed, _LIGHT]).uniform(-math.pi / 3, math.pi / 3))

    def tracking_rng(self) -> np.random.Generator:
        """The random numbers of the tracking noise."""
        return np.random.default_rng([self.seed, _TRACKING])

    def frame_rng(self, frame: int, purpose: int) -> np.random.Generator:
        """The random numbers of one frame for one purpose, whatever was or was not rendered before."""
        return np.random.default_rng([self.seed, _FRAME, frame, purpose])

    def posed(self, frame: int) -> PosedMesh:
        """The true surface in a frame, in the world; the previous frame's mesh becomes invalid."""
        surface = self.subject.surface
        vertices = surface.pose(pose_of(self.motion, surface.joint_count, frame)).vertices.contiguous()
        self.bvh.refit(vertices)
        return PosedMesh(vertices, vertex_normals(vertices, surface.faces), surface.faces, self.bvh)


def pose_of(motion: Motion, joint_count: int, frame: int) -> Pose:
    """The pose in one frame; only the root joint turns."""
    joints = torch.zeros(joint_count, 3)
    joints[0] = torch.from_numpy(motion.rotation[frame])
    expression, translation = (torch.from_numpy(values[frame]) for values in (motion.expression, motion.translation))
    return Pose(expression.float(), joints, translation.float())


def _camera(rng: np.random.Generator, vertices: Tensor, size: int) -> Camera:
    """A camera before the face that looks at the middle of the head."""
    middle = 0.5 * (vertices.amin(0) + vertices.amax(0))
    azimuth, elevation = rng.normal(0, _CAMERA_SPREAD, 2)
    backward = torch.tensor(
        [
            math.cos(elevation) * math.sin(azimuth),
            math.sin(elevation),
            math.cos(elevation) * math.cos(azimuth),
        ]
    )
    right = torch.nn.functional.normalize(torch.linalg.cross(torch.tensor([0.0, 1.0, 0.0]), backward), dim=0)
    rotation = torch.stack([right, -torch.linalg.cross(backward, right), -backward])
    position = middle + _DISTANCE * backward
    world_to_camera = torch.cat([rotation, -(rotation @ position)[:, None]], 1)
    focal = 0.5 * size / math.tan(0.5 * _FIELD_OF_VIEW)
    return Camera((focal, focal, 0.5 * size, 0.5 * size), world_to_camera, size, size)
