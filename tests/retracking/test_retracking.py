"""An avatar tracks pictures that it drew itself: what was wrong with the tracking is found, the rest stays."""

import dataclasses
from functools import partial
from pathlib import Path

import pytest
import torch

from rgb_core import pipeline
from rgb_core.avatar import Avatar, load_avatar
from rgb_core.avatar.deformation import expression_field
from rgb_core.avatar.portrait import Portrait
from rgb_core.data import Dataset, DatasetWriter
from rgb_core.errors import InputError
from rgb_core.evaluation import EvaluationOptions, evaluate
from rgb_core.geometry import Geometry, load_geometry
from rgb_core.heads import HeadModel, Pose
from rgb_core.images import linear_to_rgba
from rgb_core.presets import load_preset
from rgb_core.progress import Silent
from rgb_core.rendering import Renderer
from rgb_core.retracking import RetrackingConfig, on_test_pictures, retrack
from rgb_core.scene import Camera, Light
from rgb_core.training import GaussianConfig, fit_gaussians
from rgb_core.training.initialise import initial_avatar
from rgb_core.training.light import LightParameters

SIZE = 48
CPU = torch.device("cpu")
CAMERA = Camera((240.0, 240.0, 24.0, 24.0), torch.tensor([[1.0, 0, 0, 0], [0, -1, 0, 0], [0, 0, -1, 0.6]]), SIZE, SIZE)
CONFIG = RetrackingConfig(image_size=SIZE, levels=2, sweeps=24)
FRAMES, TEST = 5, 2


def true_pose(index: int) -> Pose:
    """Slow motion, with an expression that comes and goes."""
    lift = 0.5 + 0.4 * torch.tensor(index * 0.9).sin()
    turn = torch.tensor([[0.02 * index, 0.1 - 0.05 * index, 0.0]])
    return Pose(torch.stack([lift, torch.tensor(0.3)]), turn, torch.tensor([0.001 * index, 0.0, 0.0]))


def tracked_pose(index: int) -> Pose:
    """The same as a tracker might have it."""
    true, generator = true_pose(index), torch.Generator().manual_seed(index)
    expression, turn, shift = (torch.randn(size, generator=generator) for size in ((2,), (1, 3), (3,)))
    shift = 0.002 * shift * torch.tensor([1.0, 1.0, 0.0])  # depth hardly shows
    return Pose(true.expression + 0.15 * expression, true.joints + 0.02 * turn, true.translation + shift)


@pytest.fixture
def avatar(patch: HeadModel) -> Avatar:
    """Spots of many colours on the patch, under a grey light."""
    portrait = Portrait(CAMERA, torch.zeros(1, 3), torch.zeros(3))
    made = initial_avatar("spots", patch, expression_field(patch), portrait, GaussianConfig(gaussians=500), seed=0)
    made.neutral["albedo"] = 1.5 * torch.randn(made.count, 3, generator=torch.Generator().manual_seed(1))
    return dataclasses.replace(made, light=Light(torch.full_like(made.light.radiance, 0.8)))


@pytest.fixture
def clip(avatar: Avatar, patch: HeadModel, tmp_path: Path) -> Dataset:
    """Pictures of the true poses, with the tracked ones beside them."""
    writer, renderer = DatasetWriter(tmp_path / "clip", "spots", (SIZE, SIZE), 25.0, patch), Renderer(avatar)
    for index in range(FRAMES + TEST):
        drawn = renderer.render(true_pose(index), CAMERA)
        pixels = linear_to_rgba(torch.cat([drawn.color, drawn.alpha[..., None]], 2))
        split = "train" if index < FRAMES else "test"
        writer.add_frame(f"{index:05d}", split, CAMERA, tracked_pose(index), pixels)
    return writer.finish()


def displacement(avatar: Avatar, found: Pose, index: int) -> float:
    """How far the mesh is from where it truly is, pixels."""
    meshes = [CAMERA.project(avatar.head.pose(pose).vertices)[0] for pose in (found, true_pose(index))]
    return float((meshes[0] - meshes[1]).norm(dim=1).mean())


def test_poses_of_all_frames_are_found(avatar: Avatar, clip: Dataset, tmp_path: Path):
    before = {name: tensor.clone() for name, tensor in avatar.neutral.items()}
    geometry = retrack(avatar, clip, CONFIG, tmp_path / "tracking", Silent(), CPU)
    for index in range(FRAMES + TEST):
        name = f"{index:05d}"
        start, end = clip.frame(name).pose, geometry.tracking[name]
        # The prior and a picture of 48 pixels leave a third at most.
        assert displacement(avatar, end, index) < max(0.35 * displacement(avatar, start, index), 0.2)
    errors = [
        torch.stack([(poses(i).expression - true_pose(i).expression)[0].abs() for i in range(FRAMES + TEST)]).mean()
        for poses in (tracked_pose, lambda i: geometry.tracking[f"{i:05d}"])
    ]
    assert float(errors[1]) < 0.6 * float(errors[0])
    assert all(torch.equal(avatar.neutral[name], tensor) for name, tensor in before.items())
    read = load_geometry(tmp_path / "tracking")
    assert read.tracking.keys() == geometry.tracking.keys()
    torch.testing.assert_close(read.tracking["00003"].expression, geometry.tracking["00003"].expression)


def test_an_interrupted_run_continues_to_the_same_result(avatar: Avatar, clip: Dataset, tmp_path: Path):
    class Interrupting(Silent):
        count = 0

        def advance(self, steps: int = 1, **values: float) -> None:
            self.count += steps
            if self.count == 5:
                raise KeyboardInterrupt

    config = CONFIG.model_copy(update={"sweeps": 6, "checkpoint_every": 2, "levels": 1})
    whole = retrack(avatar, clip, config, tmp_path / "whole", Silent(), CPU)
    with pytest.raises(KeyboardInterrupt):
        retrack(avatar, clip, config, tmp_path / "halves", Interrupting(), CPU)
    halves = retrack(avatar, clip, config, tmp_path / "halves", Silent(), CPU)
    for name, pose in whole.tracking.items():
        assert all(map(torch.equal, pose.tensors, halves.tracking[name].tensors))


def test_refined_scores_stand_beside_the_others(avatar: Avatar, clip: Dataset, tmp_path: Path):
    options = EvaluationOptions(refine=on_test_pictures(avatar, clip, Silent(), CPU))
    metrics = evaluate(clip, Renderer(avatar), tmp_path / "report", options=options)
    alone = evaluate(clip, Renderer(avatar), tmp_path / "alone")
    assert metrics["reenactment"] == alone["reenactment"]
    assert alone["refined"] is None
    assert alone["protocol"] == {"coefficients": "the dataset's", "refined": None, "light_rows": 32}
    assert metrics["protocol"]["refined"].startswith("on each test picture")
    assert metrics["refined"]["psnr"] > metrics["reenactment"]["psnr"] + 3
    assert "refined on the test pictures" in (tmp_path / "report" / "report.html").read_text(encoding="utf-8")


def test_a_geometry_of_the_evaluation_is_said(avatar: Avatar, clip: Dataset, tmp_path: Path):
    true = {f"{index:05d}": true_pose(index) for index in range(FRAMES + TEST)}
    metrics = evaluate(clip, Renderer(avatar), tmp_path / "report", options=EvaluationOptions(tracking=true))
    assert metrics["reenactment"]["psnr"] > 45  # the picture itself, rounded
    assert metrics["protocol"]["coefficients"] == "the geometry's"


def test_stage_2_goes_on_from_an_avatar(avatar: Avatar, clip: Dataset, tmp_path: Path):
    """With next to no step, what comes out is what went in, light included."""
    geometry = retrack(avatar, clip, CONFIG.model_copy(update={"sweeps": 1}), tmp_path / "tracking", Silent(), CPU)
    config = GaussianConfig(image_size=SIZE).going_on(steps=2, rate=1e-6)
    after = fit_gaussians(clip, geometry, config, tmp_path / "avatar", Silent(), start=avatar)
    assert after.count == avatar.count
    torch.testing.assert_close(after.neutral["albedo"], avatar.neutral["albedo"], atol=1e-4, rtol=0)
    torch.testing.assert_close(after.light.radiance, avatar.light.radiance, rtol=1e-4, atol=1e-6)
    assert not avatar.neutral["albedo"].requires_grad


@pytest.mark.parametrize("from_video", [True, False])
def test_a_fit_tracks_the_clip_of_a_video_again(from_video: bool, clip: Dataset, tmp_path: Path):
    """Poses that came with a clip may be known better than pictures tell: they stay."""
    if from_video:
        clip = dataclasses.replace(clip, extra={**clip.extra, "source": {"video": "spots.mp4"}})
    small = ["image_size=48", "steps=60", "gaussians=300", "checkpoint_every=1000"]
    tracked = ["rounds=1", "image_size=48", "levels=1", "sweeps=8"]
    settings = [f"gaussians.{change}" for change in small] + [f"retracking.{change}" for change in tracked]
    preset, geometry, done = load_preset("demo", settings), Geometry(clip.head), Counting()
    fit = partial(pipeline.fit_avatar, clip, geometry, tmp_path / "out", preset, seed=0)
    avatar = fit(progress=done)
    poses = pipeline.tracked_again(clip, tmp_path / "out", preset)
    assert (tmp_path / "out" / pipeline.FIRST_AVATAR).exists() is from_video
    assert len(poses) == (FRAMES + TEST if from_video else 0)
    if from_video:
        first = load_avatar(tmp_path / "out" / pipeline.FIRST_AVATAR)
        assert not torch.equal(first.neutral["albedo"], avatar.neutral["albedo"])
        assert any(not torch.equal(poses[name].joints, clip.frame(name).pose.joints) for name in poses)
        assert done.stages == ["fitting Gaussians", "tracking with the avatar", "fitting Gaussians"]
    again = Counting()
    assert torch.equal(fit(progress=again).neutral["albedo"], avatar.neutral["albedo"])
    assert again.stages == []


class Counting(Silent):
    """Remembers the stages that did something."""

    def __init__(self) -> None:
        self.stages: list[str] = []

    def start(self, stage: str, total: int, done: int = 0) -> None:
        self.stages.append(stage)


def test_any_light_can_be_gone_on_from():
    radiance = torch.rand(3, 8, 16, generator=torch.Generator().manual_seed(0)).square() * 50
    torch.testing.assert_close(LightParameters.of(radiance).envmap(), radiance, rtol=1e-4, atol=1e-4)


def test_another_head_model_is_refused(avatar: Avatar, clip: Dataset, tmp_path: Path):
    other = dataclasses.replace(avatar, head=dataclasses.replace(avatar.head, expression_names=("a", "b")))
    with pytest.raises(InputError, match="another head model"):
        retrack(other, clip, CONFIG, tmp_path / "tracking", Silent(), CPU)
