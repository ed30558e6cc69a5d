"""Poses and expressions of frames, refined together until the avatar's pictures look like theirs; it stays as it is."""

import math
from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from ..avatar import Avatar
from ..data import Dataset, Frame
from ..fitting.log import StepLog
from ..geometry import Geometry
from ..geometry.motion import NAMES, CorrectedMotion, Corrections
from ..geometry.optimiser import Parameter
from ..heads import Pose
from ..progress import Progress
from ..rendering.graphs import GraphRunner, Room
from ..rendering.renderer import lit_vertices
from ..rendering.stages import attach_learned, light_from_head, splat, visible_to
from ..scene import Lens
from ..shading import Bounce, SurfaceTracer, light_gaussians
from ..tensors import map_tensors
from ..training.frames import FrameInputs, TrainingFrames
from ..training.objective import picture_terms
from ..units import MILLIMETRE
from .config import RetrackingConfig

_SPARE_ROOM = 2.0  # for pairs of Gaussians and tiles, in units of what one frame needed
_LEAST_SIZE = 32  # pixels of the longer side
_SWEEPS_AT_ONCE = 5  # between reports from a GPU


@dataclass(frozen=True)
class _Given:
    """What a picture is compared with, and the pose that it is drawn in."""

    frame: FrameInputs
    pose: Pose

    def empty_like(self) -> "_Given":
        return _Given(self.frame.empty_like(), map_tensors(self.pose, torch.empty_like))

    def copy_(self, other: "_Given") -> None:
        self.frame.copy_(other.frame)
        for mine, theirs in zip(self.pose.tensors, other.pose.tensors, strict=True):
            mine.copy_(theirs)


def refine_frames(
    avatar: Avatar,
    dataset: Dataset,
    frames: Sequence[Frame],
    config: RetrackingConfig,
    progress: Progress,
    device: torch.device,
) -> dict[str, Pose]:
    """Refine the poses of `frames` and return them by frame id, on the CPU.

    Raises:
        DivergenceError: at a value that is not finite.
    """
    refinement = Refinement(avatar, dataset, frames, config, progress, device)
    with refinement.active():
        progress.start("refining poses", config.sweeps)
        for sweep in range(config.sweeps):
            refinement.step(sweep)
        refinement.log.flush()
    return refinement.poses()


class Refinement:
    """The state between sweeps: every sweep draws each frame once, then moves all of their coefficients.

    Light and shadows of a frame are those of its pose at the start of a level: they change less than the picture does.

    Args:
        avatar: stays as it is; its focal length is applied here.
        frames: their poses are what is refined.
    """

    def __init__(
        self,
        avatar: Avatar,
        dataset: Dataset,
        frames: Sequence[Frame],
        config: RetrackingConfig,
        progress: Progress,
        device: torch.device,
    ):
        place = {frame.id: index for index, frame in enumerate(dataset.all_frames)}
        scaled = Geometry(avatar.head, avatar.focal_scale).refined(list(frames))
        self.frames = sorted(scaled, key=lambda frame: place[frame.id])
        self.config, self.device = config, device
        self.log = StepLog(progress, device, ("loss",), _SWEEPS_AT_ONCE)
        self._dataset, self._avatar = dataset, avatar.to(device)
        self._faces = self._avatar.head.faces.to(torch.int32)
        self._bounce = Bounce.of(self._avatar)
        self._runner: GraphRunner[_Given] = GraphRunner(device)
        self._room = Room(device, _SPARE_ROOM)
        times = torch.tensor([place[frame.id] for frame in self.frames])
        poses = Pose.stack([frame.pose for frame in self.frames])
        self._motion = CorrectedMotion(poses, times, config.tracking, device)
        rates = config.rates
        step = {
            "rotation": math.radians(rates.rotation),
            "translation": rates.translation * MILLIMETRE,
            "expression": rates.expression,
        }
        # A gradient as weak as the prior's at one expected error is no evidence and must not make full steps.
        floor = max(2 * config.losses.tracking, 1e-6)
        self._parameters = {
            name: Parameter(zeros, step[name] / self._motion.expected[name], floor)
            for name, zeros in self._motion.none().items()
        }
        self._rows = torch.arange(len(self.frames), device=device)
        self._level = -1
        self._began: Corrections = {}
        self._frames: TrainingFrames | None = None

    def active(self) -> AbstractContextManager[None]:
        """Around all sweeps: on a GPU they have a stream of their own."""
        return self._runner.active()

    def start(self) -> None:
        """Begin anew; the first sweep needs nothing else."""

    def restore(self, tensors: dict[str, Tensor], meta: dict[str, Any]) -> None:
        """Continue where a checkpoint stopped."""
        self._level = meta["level"]
        for name, parameter in self._parameters.items():
            parameter.restore(name, tensors)
            self._began[name] = tensors[f"{name}.began"].to(self.device)

    def state(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """Everything that the next sweep depends on but the surfaces, which are traced again."""
        tensors = {f"{name}.began": value.cpu() for name, value in self._began.items()}
        for name, parameter in self._parameters.items():
            tensors |= parameter.state(name)
        return tensors, {"level": self._level}

    @torch.enable_grad()
    def step(self, sweep: int) -> None:
        """Draw every frame, compare, and move the coefficients of all."""
        inputs = self._frames_at(sweep)
        leaves = {name: parameter.leaf() for name, parameter in self._parameters.items()}
        poses = self._motion.coefficients(leaves)
        values = torch.stack([self._compare(inputs, index, poses) for index in range(len(self.frames))])
        weights = self.config.losses
        count = len(self.frames)
        prior = count * weights.tracking * self._motion.penalty(leaves, self._rows)
        prior = prior + count * weights.temporal * self._motion.roughness(leaves, self._rows)
        by_pose = values[:, 1:].split([tensor[0].numel() for tensor in poses.tensors], dim=1)
        gradients = [part.view_as(tensor) for part, tensor in zip(by_pose, poses.tensors, strict=True)]
        torch.autograd.backward([prior, *poses.tensors], [torch.ones_like(prior), *gradients])
        share = self.config.rates.final ** (sweep / self.config.sweeps)
        for name, parameter in self._parameters.items():
            parameter.step(leaves[name].grad, share)
        loss = values[:, 0].mean() + prior.detach() / count
        whole = torch.where(torch.isfinite(values).all(), 0.0, torch.inf)
        self.log.add(sweep, f"{count} frames", ("loss", "gradient"), torch.stack([loss, whole]))
        if self.log.up_to_date and self._room.outgrown():
            self._runner.forget()
            self._room.measure_again()

    def _frames_at(self, sweep: int) -> TrainingFrames:
        """Pictures of the size that a sweep compares, and the surfaces of the poses that its level began with."""
        config = self.config
        level = sweep * config.levels // config.sweeps
        if self._level != level:
            self._level, self._frames = level, None
            self._began = {name: parameter.value for name, parameter in self._parameters.items()}
        if self._frames is None:
            head, light = self._avatar.head, self._avatar.light
            tracer = SurfaceTracer(head.faces, lit_vertices(self._avatar, self._bounce), light.size)
            size = max(_LEAST_SIZE, config.image_size >> (config.levels - 1 - level))
            frames = Geometry(head, tracking=self._poses(self._began)).refined(self.frames)
            self._frames = TrainingFrames(
                self._dataset, frames, head, tracer, light, self._avatar.visibility, size, config.visibility_cache_mb
            )
            self._runner.forget()
            self._room.measure_again()
        return self._frames

    def _compare(self, frames: TrainingFrames, index: int, poses: Pose) -> Tensor:
        """Loss of a frame and its gradient by expression, joints and translation, side by side [1 + E + 3 J + 3]."""
        lens = frames.camera(index).lens
        pose = Pose(*(tensor[index].detach() for tensor in poses.tensors))
        given = _Given(frames.inputs(index), pose)
        return self._runner.run(lens, lambda inputs: self._loss_and_gradient(inputs, lens), given)

    @torch.enable_grad()
    def _loss_and_gradient(self, given: _Given, lens: Lens) -> Tensor:
        avatar, frame = self._avatar, given.frame
        leaves = [tensor.detach().clone().requires_grad_() for tensor in given.pose.tensors]
        expression, joints, _ = leaves
        gaussians = avatar.pose(expression, joints, avatar.head.pose(Pose(*leaves)).transforms)
        with torch.no_grad():
            surface = attach_learned(avatar, gaussians.means, gaussians.rotations, frame.surface, frame.world_to_camera)
        seen = visible_to(avatar.attachment, self._faces, frame.visibility)
        shining = avatar.light.radiance, frame.light_to_world
        from_head = light_from_head(self._bounce, avatar, gaussians, frame.surface, *shining)
        lit = light_gaussians(gaussians, surface, seen, *shining, avatar.one_bounce, from_head)
        drawn = splat(
            gaussians, lit.radiance, frame.world_to_camera, lens, avatar.antialias, capacity=self._room.capacity
        )
        weights = self.config.losses.model_dump()
        terms = picture_terms(drawn.image, drawn.alpha, frame)
        loss = torch.stack([weights[name] * value for name, value in terms.items()]).sum()
        gradients = torch.autograd.grad(loss, leaves)
        self._room.note(drawn.instances)
        return torch.cat([loss.detach()[None], *(gradient.flatten() for gradient in gradients)])

    def poses(self) -> dict[str, Pose]:
        """The poses so far by frame id, on the CPU."""
        return self._poses({name: self._parameters[name].value for name in NAMES})

    def _poses(self, corrections: Corrections) -> dict[str, Pose]:
        found = map_tensors(self._motion.coefficients(corrections), lambda tensor: tensor.cpu())
        return {frame.id: found.rows(row) for row, frame in enumerate(self.frames)}

    def moved(self) -> dict[str, float]:
        """How far poses went from where they were; see `CorrectedMotion.moved`."""
        return self._motion.moved({name: self._parameters[name].value for name in NAMES})
