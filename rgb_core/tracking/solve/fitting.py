"""One head model fitted to all frames: a first guess, a joint fit, and where features lie beside the model's."""

import torch
from torch import Tensor

from ...heads import HeadModel, Pose
from ...progress import Progress
from ...rotations import matrix_to_axis_angle, nearest_rotation
from .. import landmarks
from ..detect.correspondence import Correspondence, habit_features
from .clip import TrackedClip
from .deviations import Deviations
from .evidence import LandmarkEvidence
from .neck import bend_neck
from .observations import Observations, facing
from .photometric import PhotometricEvidence, Windows
from .problem import Problem
from .rig import Rig
from .solver import solve
from .state import State, project

_POSE_STEPS, _JOINT_STEPS, _OFFSET_STEPS = 3, 12, 4
_OFFSET_ROUNDS = 2
_COARSENESS = (2, 2, 1, 1)  # of the pictures, round by round
_PICTURE_STEPS = 3
_OFFSET_DEVIATION = 0.003  # metres by which a person's features lie beside the model's
_OFFSET_FRAMES = 30.0  # a clip says as much about an offset as so many independent frames
_USUAL_FOCAL = 2.0  # times the shorter side of the picture: between a phone's 1.5 and a portrait lens's 2.5
_SURE_FOCAL = 1e-4  # deviation of the logarithm of a focal length that the user gives
UPRIGHT = torch.diag(torch.tensor([1.0, -1.0, -1.0], dtype=torch.float64))
"""The camera's axes in the world: it looks along -z, y is up."""


def fit_clip(
    head: HeadModel,
    correspondence: Correspondence,
    observations: Observations,
    progress: Progress,
    focal: float | None = None,
    windows: Windows | None = None,
) -> TrackedClip:
    """Fit identity, focal length, and pose and expression of every frame at once.

    Frames without a face take their pose from their neighbours through the smoothness alone.

    Args:
        focal: in pixels of the video, where it is known; else it is estimated.
        windows: the pictures around the face; without them landmarks are all that is known.
    """
    fit = ClipFit(head, correspondence, observations, focal)
    progress.start("fitting the head", 1 + _OFFSET_ROUNDS + (len(_COARSENESS) if windows else 0))
    fit.start()
    progress.advance()
    for _ in range(_OFFSET_ROUNDS):
        fit.learn_offsets()
        progress.advance()
    if windows is not None:
        pictures = PhotometricEvidence(head, fit.rig, windows, observations, fit.deviations)
        for coarseness in _COARSENESS:
            fit.look_at(pictures, coarseness)
            progress.advance()
    return bend_neck(head, fit.result(), correspondence, observations.times.double() / observations.fps)


class ClipFit:
    """The state of a fit between its stages."""

    def __init__(
        self, head: HeadModel, correspondence: Correspondence, observations: Observations, focal: float | None = None
    ):
        width, height = observations.size
        self.deviations = Deviations() if focal is None else Deviations(log_focal=_SURE_FOCAL)
        self._focal = focal or _USUAL_FOCAL * min(width, height)
        self._observations, self._correspondence = observations, correspondence
        self._center = torch.tensor([width, height], dtype=torch.float64) / 2
        self.rig = Rig(head, correspondence)
        size = float(landmarks.face_sizes(observations.points[observations.known()]).median())
        seen = observations.points[..., :2].nan_to_num() - self._center
        self._landmarks = LandmarkEvidence(self.rig, seen, observations.inside(), size, self.deviations)
        self._problem = Problem(
            self.rig, [self._landmarks], self._focal, observations.times, observations.fps, self.deviations
        )
        self._offset = torch.zeros(landmarks.COUNT, 3, dtype=torch.float64)
        self.state = first_guess(self.rig, observations, self._focal)

    def start(self) -> None:
        """Poses first, then everything, with the landmarks alone."""
        poses = torch.zeros(len(self._problem.lower), dtype=torch.bool)
        poses[:6] = True
        self.state = solve(self._problem, self.state, _POSE_STEPS, poses, share=False)
        self._look_again()
        self.state = solve(self._problem, self.state, _JOINT_STEPS)

    def learn_offsets(self) -> None:
        """Learn where this person's features lie beside the model's, and fit again."""
        self._look_again()
        self._offset = better_offsets(self._landmarks, self.state, self._offset)
        self._look_again()
        self.state = solve(self._problem, self.state, _OFFSET_STEPS)

    def look_at(self, pictures: PhotometricEvidence, coarseness: int) -> None:
        """Fit again with the pictures, as they look from the present state."""
        pictures.look(self.state, coarseness)
        self._problem.evidence = [self._landmarks, pictures]
        self._landmarks.share = self.deviations.landmarks_beside_pictures
        self._look_again()
        self.state = solve(self._problem, self.state, _PICTURE_STEPS)

    def _look_again(self) -> None:
        """Which landmarks are hidden, and how the detector strays, in the present state."""
        self._landmarks.visibility = self._observations.inside() * facing(self.rig, self.state)
        towards = -(self.state.rotations().mT @ self.state.position[..., None])[..., 0]
        habits = torch.einsum("nf,flc->nlc", habit_features(towards), self._correspondence.habits)
        self._landmarks.stray = self._offset + habits

    def result(self) -> TrackedClip:
        """A camera at rest that looks along -z of a world about the head's mean place, and the root that moves."""
        rig, state = self.rig, self.state
        rest = rig.root_rest(state.expression, state.shape)
        to_camera = state.rotations()
        roots = UPRIGHT.T @ to_camera
        carried = state.position - to_camera @ rig.center
        kept = rest - (roots @ rest[..., None])[..., 0]
        center = (carried - kept @ UPRIGHT.T).mean(0)
        translation = (carried - center) @ UPRIGHT - kept
        joints = rig.all_joints(state.joints)
        joints[:, 0] = matrix_to_axis_angle(roots)
        everything = slice(None)
        return TrackedClip(
            Pose(state.expression, joints, translation),
            state.shape,
            float(state.log_focal.exp()),
            torch.cat([UPRIGHT, center[:, None]], 1),
            project(rig, state, everything, self._landmarks.stray)[0] + self._center,
        )


def first_guess(rig: Rig, observations: Observations, focal: float) -> State:
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
    base = nearest_rotation(rotations.sum(0))  # the mean in the chordal distance
    rotation = matrix_to_axis_angle(rotations @ base.T)
    return State(
        base,
        observations.filled(rotation),
        observations.filled(position),
        still.expand(count, -1, -1).clone(),
        expression.expand(count, -1).clone(),
        shape,
        torch.tensor(focal, dtype=torch.float64).log(),
    )


def better_offsets(evidence: LandmarkEvidence, state: State, offset: Tensor) -> Tensor:
    """[478, 3] better head-frame offsets of the person's features than `offset`: without the errors of all frames."""
    seen, camera = project(evidence.rig, state, slice(None), evidence.stray)
    focal = state.log_focal.exp()
    depth = camera[..., 2:]
    flat = torch.eye(2, dtype=torch.float64) * (focal / depth)[..., None]
    by_camera = torch.cat([flat, (-seen / depth)[..., None]], -1)
    jacobian = by_camera @ state.rotations()[:, None] / evidence.pixels
    error = (evidence.observed - seen)[..., None] / evidence.pixels
    weight = evidence.weights * evidence.visibility * _OFFSET_FRAMES / max(len(seen), _OFFSET_FRAMES)
    weighted = weight[..., None, None] * jacobian.mT
    prior = torch.eye(3, dtype=torch.float64) / _OFFSET_DEVIATION**2
    matrix = (weighted @ jacobian).sum(0) + prior
    right = (weighted @ error).sum(0) - prior @ offset[..., None]
    moved = offset + torch.linalg.solve(matrix, right)[..., 0]
    return moved - moved.mean(0)
