"""The joint fit: derivatives against differences, recovery of known clips, bounds, gaps and single frames."""

import dataclasses

import pytest
import torch

from rgb_core.heads import HeadModel, builtin_head
from rgb_core.heads.pose import skull_rotation
from rgb_core.progress import Silent
from rgb_core.rotations import axis_angle_to_matrix
from rgb_core.tracking.solve.clip import TrackedClip
from rgb_core.tracking.solve.deviations import Deviations
from rgb_core.tracking.solve.evidence import LandmarkEvidence
from rgb_core.tracking.solve.fitting import first_guess, fit_clip
from rgb_core.tracking.solve.observations import Observations
from rgb_core.tracking.solve.problem import Problem
from rgb_core.tracking.solve.rig import Rig
from rgb_core.tracking.solve.state import State, project, project_with_derivatives

from .clips import FOCAL, SIZE, Truth, spread_correspondence, talking

EVERY = slice(None)


def nameless_head() -> HeadModel:
    """The built-in head with expressions that say nothing, as FLAME's: jaw and eyes are joints then."""
    head = builtin_head()
    return dataclasses.replace(head, expression_names=tuple(f"exp{n}" for n in range(len(head.expression_names))))


def observations(truth: Truth) -> Observations:
    points = truth.landmarks()
    return Observations(points, torch.arange(len(points)), 25.0, SIZE)


def moved_state(rig: Rig, count: int) -> State:
    """Some state away from rest, the same every time."""
    generator = torch.Generator().manual_seed(3)

    def some(*shape: int) -> torch.Tensor:
        return torch.rand(*shape, generator=generator, dtype=torch.float64)

    return State(
        axis_angle_to_matrix(torch.tensor([3.0, 0.2, 0.1], dtype=torch.float64)),
        some(count, 3) - 0.5,
        0.05 * some(count, 3) + torch.tensor([0.0, 0.0, 0.6]),
        0.4 * some(count, len(rig.free_joints), 3) - 0.2,
        some(count, rig.expression_count),
        some(rig.shape_count) - 0.5,
        torch.tensor(FOCAL, dtype=torch.float64).log(),
    )


@pytest.mark.parametrize("head", [builtin_head(), nameless_head()], ids=["expressions", "joints"])
def test_a_movement_has_one_coefficient(head: HeadModel) -> None:
    rig = Rig(head, spread_correspondence(head))
    names = [head.joint_names[index] for index in rig.free_joints]
    assert names == ([] if head is builtin_head() else ["jaw", "left_eye", "right_eye"])


@pytest.mark.parametrize("head", [builtin_head(), nameless_head()], ids=["expressions", "joints"])
def test_derivatives_of_pixels_agree_with_differences(head: HeadModel) -> None:
    rig = Rig(head, spread_correspondence(head))
    state = moved_state(rig, 2)
    jacobian = project_with_derivatives(rig, state, EVERY).jacobian.double()
    local, shared = state.local(), state.shared()
    generator = torch.Generator().manual_seed(4)
    for _ in range(3):
        along = torch.randn(local.shape, generator=generator, dtype=torch.float64)
        across = torch.randn(shared.shape, generator=generator, dtype=torch.float64)
        step = 1e-6
        ahead, behind = (
            project(rig, state.replaced(local + sign * step * along, shared + sign * step * across), EVERY)[0]
            for sign in (1, -1)
        )
        direction = torch.cat([along, across.expand(2, -1)], 1)
        predicted = (jacobian @ direction[:, None, :, None])[..., 0]
        # hundreds of pixels per unit in float32; that expressions also move a turned joint is left out of the rows
        torch.testing.assert_close(predicted, (ahead - behind) / (2 * step), rtol=1e-3, atol=1.0)


def test_the_gradient_is_that_of_the_cost() -> None:
    """Robust norms, relations, priors and smoothness included."""
    truth = talking(4)
    rig = Rig(builtin_head(), spread_correspondence(builtin_head()))
    seen = truth.landmarks()[..., :2] - torch.tensor(SIZE) / 2
    landmarks = LandmarkEvidence(rig, seen, torch.ones(seen.shape[:2]), 100.0, Deviations())
    problem = Problem(rig, [landmarks], FOCAL, torch.arange(4), 25.0, Deviations())
    state = first_guess(rig, observations(truth), FOCAL)
    generator = torch.Generator().manual_seed(5)
    start = state.local()
    start[:, 6:] = 0.1 + 0.3 * torch.rand(start[:, 6:].shape, generator=generator, dtype=torch.float64)
    state = state.replaced(start, state.shared())
    equations = problem.linearise(state)
    local, shared = state.local(), state.shared()
    for _ in range(3):
        along = torch.randn(local.shape, generator=generator, dtype=torch.float64)
        across = torch.randn(shared.shape, generator=generator, dtype=torch.float64)
        along[:, :6] *= 0.01
        across *= 0.1
        step = 1e-5
        ahead, behind = (
            problem.cost(state.replaced(local + sign * step * along, shared + sign * step * across)) for sign in (1, -1)
        )
        slope = (equations.local_gradient * along).sum() + (equations.shared_gradient * across).sum()
        assert (ahead - behind) / (2 * step) == pytest.approx(float(slope), rel=2e-3)


def turned_by(clip: TrackedClip, truth: Truth) -> torch.Tensor:
    """[N] degrees between the fitted and the true skull."""
    names = builtin_head().joint_names
    difference = skull_rotation(clip.pose.joints, names).mT @ skull_rotation(truth.pose.joints.double(), names)
    return (((difference.diagonal(dim1=1, dim2=2).sum(1) - 1) / 2).clamp(-1, 1).acos()).rad2deg()


@pytest.fixture(scope="module")
def fitted() -> tuple[TrackedClip, Truth]:
    truth = talking(16)
    head = builtin_head()
    return fit_clip(head, spread_correspondence(head), observations(truth), Silent(), focal=FOCAL), truth


def test_a_clip_is_recovered(fitted: tuple[TrackedClip, Truth]) -> None:
    """Up to what priors and the learnt offsets of features take: a fraction of the detector's usual error."""
    clip, truth = fitted
    assert float((clip.projected - truth.landmarks()[..., :2]).norm(dim=-1).median()) < 0.25
    assert float(turned_by(clip, truth).max()) < 1.0
    jaw = builtin_head().expression_index("jawOpen")
    assert float((clip.pose.expression[:, jaw] - truth.pose.expression[:, jaw]).abs().max()) < 0.1
    assert clip.focal == pytest.approx(FOCAL, rel=1e-3)


def test_the_coefficients_pose_the_head_where_the_landmarks_are(fitted: tuple[TrackedClip, Truth]) -> None:
    """Root joints are regressed and move with identity and expression; the world and its camera are ours."""
    clip, truth = fitted
    posed = builtin_head().with_identity(clip.shape.float()).pose(clip.pose.to(torch.float32)).vertices
    camera = posed @ clip.world_to_camera[:, :3].float().T + clip.world_to_camera[:, 3].float()
    points = spread_correspondence(builtin_head()).points(camera)
    pixels = clip.focal * points[..., :2] / points[..., 2:] + torch.tensor(SIZE) / 2
    # within the offsets of features, which are no part of the head: millimetres, a few pixels
    assert float((pixels - truth.landmarks()[..., :2]).norm(dim=-1).median()) < 0.6


def test_expressions_stay_within_bounds(fitted: tuple[TrackedClip, Truth]) -> None:
    clip, _ = fitted
    assert float(clip.pose.expression.min()) >= 0
    assert float(clip.pose.expression.max()) <= 1
    assert not clip.pose.expression[:, builtin_head().expression_index("tongueOut")].any()


def test_a_frame_without_a_face_lies_between_its_neighbours() -> None:
    truth = talking(9)
    seen = observations(truth)
    seen.points[4] = torch.nan
    head = builtin_head()
    clip = fit_clip(head, spread_correspondence(head), seen, Silent(), focal=FOCAL)
    assert float(turned_by(clip, truth)[4]) < 1.0
    assert bool(clip.pose.translation.isfinite().all())


def test_one_frame_is_enough() -> None:
    truth = talking(1)
    head = builtin_head()
    clip = fit_clip(head, spread_correspondence(head), observations(truth), Silent(), focal=FOCAL)
    assert float((clip.projected - truth.landmarks()[..., :2]).norm(dim=-1).median()) < 1.0
    assert float(turned_by(clip, truth)[0]) < 3.0
