"""One head model fitted to the landmarks of all frames: a first guess, a joint fit, and where features lie beside it."""

import dataclasses
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ..heads import HeadModel, matrix_to_axis_angle
from ..progress import Progress
from . import landmarks
from .correspondence import Correspondence, habit_features
from .problem import Deviations, Problem, State
from .rig import LandmarkRig
from .solver import solve

_POSE_STEPS, _JOINT_STEPS, _OFFSET_STEPS = 3, 12, 4
_OFFSET_ROUNDS = 2
_OFFSET_DEVIATION = 0.003  # metres by which a person's features lie beside the model's
_OFFSET_FRAMES = 30.0  # a clip says as much about an offset as so many independent frames
_USUAL_FOCAL = 2.0  # times the shorter side of the picture: between a phone's 1.5 and a portrait lens's 2.5
_HIDDEN_WEIGHT = 0.1  # of a landmark that faces away, which the detector makes up
_FACING = (-0.1, 0.3)  # cosine to the view from hidden to seen
_SURE_FOCAL = 1e-4  # deviation of the logarithm of a focal length that the user gives
UPRIGHT = torch.diag(torch.tensor([1.0, -1.0, -1.0], dtype=torch.float64))
"""The camera's axes in the world: it looks along -z, y is up."""


@dataclass(frozen=True)
class Observations:
    """Landmarks of the N frames of a clip.

    Attributes:
        points: [N, 478, 3] pixels of the video; NaN where there is no face.
        times: [N] int64 frame numbers, ascending. fps: of those numbers. size: (width, height) of the video.
    """

    points: Tensor
    times: Tensor
    fps: float
    size: tuple[int, int]

    def known(self) -> Tensor:
        """[N] bool: frames with a face."""
        return self.points[:, 0, 0].isfinite()


@dataclass(frozen=True)
class TrackedClip:
    """The fit in the terms of a dataset.

    Attributes:
        expression: [N, E]. joints: [N, J, 3]. translation: [N, 3]. shape: [S].
        focal: pixels of the video. world_to_camera: [3, 4], the same for all frames.
        projected: [N, 478, 2] the fitted landmarks in pixels of the video.
    """

    expression: Tensor
    joints: Tensor
    translation: Tensor
    shape: Tensor
    focal: float
    world_to_camera: Tensor
    projected: Tensor


def fit_clip(
    head: HeadModel,
    correspondence: Correspondence,
    observations: Observations,
    progress: Progress,
    focal: float | None = None,
    deviations: Deviations | None = None,
) -> TrackedClip:
    """Fit identity, focal length, and pose and expression of every frame at once.

    Frames without a face take their pose from their neighbours through the smoothness alone.

    Args:
        focal: in pixels of the video, where it is known; else it is estimated.
    """
    deviations = deviations or Deviations()
    if focal is not None:
        deviations = dataclasses.replace(deviations, log_focal=_SURE_FOCAL)
    rig = LandmarkRig(head, correspondence)
    width, height = observations.size
    guess = focal or _USUAL_FOCAL * min(width, height)
    known = observations.known()
    visible = _inside(observations) * known[:, None]
    problem = Problem(
        rig,
        observations.points[..., :2].nan_to_num(),
        visible,
        (width / 2, height / 2),
        guess,
        observations.times,
        observations.fps,
        float(landmarks.face_sizes(observations.points[known]).median()),
        deviations,
    )
    progress.start("fitting the head", 3 + _OFFSET_ROUNDS)
    state = first_guess(rig, observations, guess)
    poses = torch.zeros(len(problem.lower), dtype=torch.bool)
    poses[:6] = True
    state = solve(problem, state, _POSE_STEPS, poses, share=False)
    progress.advance()
    problem.visibility = visible * _facing(rig, state)
    problem.stray = _habits(correspondence, state)
    state = solve(problem, state, _JOINT_STEPS)
    progress.advance()
    offset = torch.zeros(landmarks.COUNT, 3, dtype=torch.float64)
    for _ in range(_OFFSET_ROUNDS):
        problem.visibility = visible * _facing(rig, state)
        offset = _offsets(problem, state, offset)
        problem.stray = offset + _habits(correspondence, state)
        state = solve(problem, state, _OFFSET_STEPS)
        progress.advance()
    clip = _as_clip(problem, state)
    progress.advance()
    return clip


def first_guess(rig: LandmarkRig, observations: Observations, focal: float) -> State:
    """Every frame's pose from the detector's own depth (a similarity, Umeyama), the neutral mean head, `focal`."""
    count = len(observations.times)
    expression = torch.zeros(1, rig.expression_count, dtype=torch.float64)
    still = torch.zeros(1, len(rig.free_joints), 3, dtype=torch.float64)
    shape = torch.zeros(rig.shape_count, dtype=torch.float64)
    model = rig.points(expression, still, shape)[0]
    known = observations.known()
    seen = observations.points[known].double()
    middle = seen.mean(1, keepdim=True)
    left, values, right = torch.linalg.svd((seen - middle).mT @ (model - model.mean(0)))
    sign = torch.ones_like(values)
    sign[:, 2] = torch.linalg.det(left @ right).sign()
    rotations = left @ torch.diag_embed(sign) @ right
    scale = (values * sign).sum(1) / (model - model.mean(0)).square().sum()
    depth = focal / scale
    center = torch.tensor(observations.size, dtype=torch.float64) / 2
    offset = (middle[:, 0, :2] - center) / scale[:, None]
    position = torch.cat([offset, depth[:, None]], 1) - (rotations @ model.mean(0))
    base = _mean_rotation(rotations)
    rotation = matrix_to_axis_angle(rotations @ base.T)
    return State(
        base,
        _filled(rotation, observations.times, known),
        _filled(position, observations.times, known),
        still.expand(count, -1, -1).clone(),
        expression.expand(count, -1).clone(),
        shape,
        torch.tensor(focal, dtype=torch.float64).log(),
    )


def _mean_rotation(rotations: Tensor) -> Tensor:
    """[3, 3] nearest to all rotations [N, 3, 3] in the chordal distance."""
    left, _, right = torch.linalg.svd(rotations.sum(0))
    return left @ torch.diag(torch.tensor([1.0, 1.0, float(torch.linalg.det(left @ right).sign())]).double()) @ right


def _filled(values: Tensor, times: Tensor, known: Tensor) -> Tensor:
    """Values [K, C] of the `known` frames interpolated to all N."""
    columns = [np.interp(times.numpy(), times[known].numpy(), column.numpy()) for column in values.T]
    return torch.from_numpy(np.stack(columns, 1))


def _inside(observations: Observations) -> Tensor:
    """[N, 478] 1 for landmarks in the picture; beyond its border the detector guesses."""
    size = torch.tensor(observations.size)
    points = observations.points[..., :2].nan_to_num()
    return ((points >= 0) & (points < size)).all(-1).double()


def _facing(rig: LandmarkRig, state: State) -> Tensor:
    """[N, 478] weight of landmarks by how the neutral surface there faces the camera; irises always count."""
    rotations = state.rotations()
    normals = rig.normals @ rotations.mT
    middle = torch.nn.functional.normalize(state.position, dim=1)
    cosine = -(normals * middle[:, None]).sum(-1)
    share = ((cosine - _FACING[0]) / (_FACING[1] - _FACING[0])).clamp(0, 1)
    return _HIDDEN_WEIGHT + (1 - _HIDDEN_WEIGHT) * share


def _habits(correspondence: Correspondence, state: State) -> Tensor:
    """[N, 478, 3] how the detector strays from the landmarks of heads turned like those of a state."""
    towards = -(state.rotations().mT @ state.position[..., None])[..., 0]
    return torch.einsum("nf,flc->nlc", habit_features(towards), correspondence.habits)


def _offsets(problem: Problem, state: State, offset: Tensor) -> Tensor:
    """[478, 3] better head-frame offsets of the person's features than `offset`: without the errors of all frames."""
    seen, camera = problem.project(state)
    focal = state.log_focal.exp()
    depth = camera[..., 2:]
    flat = torch.eye(2, dtype=torch.float64) * (focal / depth)[..., None]
    projection = torch.cat([flat, (-focal * camera[..., :2] / depth.square())[..., None]], -1)
    jacobian = projection @ state.rotations()[:, None] / problem.pixels
    error = (problem.observed - seen)[..., None] / problem.pixels
    weight = (landmarks.weights() * problem.visibility)[..., None, None]
    weight = weight * _OFFSET_FRAMES * problem.deviations.correlation / max(len(seen), _OFFSET_FRAMES)
    prior = torch.eye(3, dtype=torch.float64) / _OFFSET_DEVIATION**2
    matrix = (weight * jacobian.mT @ jacobian).sum(0) + prior
    right = (weight * jacobian.mT @ error).sum(0) - prior @ offset[..., None]
    moved = offset + torch.linalg.solve(matrix, right)[..., 0]
    return moved - moved.mean(0)


def _as_clip(problem: Problem, state: State) -> TrackedClip:
    """A camera at rest that looks along -z of a world whose origin is the head's mean place, and the root that moves."""
    rig = problem.rig
    rest = rig.root_rest(state.expression, state.shape)
    to_camera = state.rotations()
    roots = UPRIGHT.T @ to_camera
    carried = state.position - to_camera @ rig.center
    kept = rest - (roots @ rest[..., None])[..., 0]
    center = (carried - kept @ UPRIGHT.T).mean(0)
    translation = (carried - center) @ UPRIGHT - kept
    joints = rig.all_joints(state.joints)
    joints[:, 0] = matrix_to_axis_angle(roots)
    return TrackedClip(
        state.expression,
        joints,
        translation,
        state.shape,
        float(state.log_focal.exp()),
        torch.cat([UPRIGHT, center[:, None]], 1),
        problem.project(state)[0],
    )
