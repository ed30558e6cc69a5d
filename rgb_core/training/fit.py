"""Stage 2: fit Gaussian blendshapes with materials, and the light they were seen under, to the frames of a clip."""

from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import torch

from ..avatar import CHANNELS, Avatar, save_avatar
from ..avatar.deformation import expression_field
from ..avatar.portrait import Portrait
from ..avatar.storage import DESCRIPTION, avatar_from_tensors, avatar_tensors
from ..checkpoint import fingerprint, remove_checkpoint, resume, save_checkpoint
from ..data import Dataset
from ..devices import CPU
from ..errors import DivergenceError, InputError
from ..geometry import Geometry
from ..progress import Progress
from ..rendering import composite_gaussians
from ..shading import SurfaceTracer, light_gaussians
from .config import GaussianConfig
from .density import DensityStatistics, rearrange
from .frames import TrainingFrames
from .initialise import HIDDEN_REGION, colour_from_frames, initial_avatar
from .light import LightParameters
from .objective import AvatarPriors, picture_terms, prior_terms
from .optimiser import Optimiser

_FIXED_FIELDS = {"name", "head", "portrait", "one_bounce", "visibility", "light_frame", "focal_scale"}
_FROZEN_IN_WARMUP = frozenset({"roughness", "specular", "light"})


def fit_gaussians(
    dataset: Dataset,
    geometry: Geometry,
    config: GaussianConfig,
    out: Path,
    progress: Progress,
    seed: int = 0,
    visibility: bool = True,
    provenance: dict[str, Any] | None = None,
    device: torch.device = CPU,
) -> Avatar:
    """Fit an avatar to the dataset's training frames and write its folder `out`; continue an interrupted fit there.

    Args:
        geometry: the personalised head and the tracking to use.
        visibility: False fits and later renders without shadows.
        provenance: what avatar.yaml should remember.
        device: where to compute; the result is on the CPU.

    Raises:
        InputError: when the frames or the folder cannot be used.
        DivergenceError: at the first non-finite loss, naming step, frame and term; the last checkpoint is kept.
    """
    if geometry.head.expression_names != dataset.head.expression_names:
        raise InputError(f"the geometry was fitted for another head model than that of {dataset.folder}; fit it again")
    settings = {**config.model_dump(), "seed": seed, "visibility": visibility}
    identity = fingerprint(geometry.refined(dataset.frames("train")), geometry.head, settings)
    checkpoint = resume(out, DESCRIPTION, identity)
    fit = _Fit(dataset, geometry, config, seed, visibility)
    done = fit.restore(*checkpoint) if checkpoint else fit.start()
    progress.start("fitting Gaussians", config.steps, done)
    for step in range(done, config.steps):
        terms = fit.step(step)
        progress.advance(loss=terms["loss"], gaussians=fit.avatar.count)
        if (step + 1) % config.checkpoint_every == 0 and step + 1 < config.steps:
            save_checkpoint(out, fit.tensors(), {"step": step + 1, "fingerprint": identity, "level": fit.light.level})
    avatar = fit.result()
    save_avatar(avatar, out, provenance or {})
    remove_checkpoint(out)
    return avatar


class _Fit:
    """The state of a fit between steps."""

    def __init__(self, dataset: Dataset, geometry: Geometry, config: GaussianConfig, seed: int, visibility: bool):
        self.config, self.seed = config, seed
        head = geometry.head
        needed = head.region != HIDDEN_REGION
        size = config.light_height, 2 * config.light_height
        self.tracer = SurfaceTracer(head.faces, needed, size)
        frames = geometry.refined(dataset.frames("train"))
        self.frames = TrainingFrames(
            dataset, frames, head, self.tracer, visibility, config.image_size, config.visibility_cache_mb
        )
        self.field = expression_field(head)
        self.avatar = replace(
            initial_avatar(dataset.subject, head, self.field, Portrait.of(dataset.frames("train")), config, seed),
            visibility=visibility,
            light_frame=dataset.light_frame,
            focal_scale=geometry.focal_scale,
        )
        self.light = LightParameters(torch.zeros_like(self.avatar.light), 1.0)

    def start(self) -> int:
        """Colour the avatar by its frames; returns the steps already done, none."""
        self.light.level = colour_from_frames(self.avatar, self.frames, self.config.skin_luminance)
        self._begin()
        return 0

    def restore(self, tensors: dict[str, torch.Tensor], meta: dict[str, Any]) -> int:
        """Continue where a checkpoint stopped; returns the steps already done."""
        old = self.avatar
        kept = {field.name: getattr(old, field.name) for field in fields(old) if field.name in _FIXED_FIELDS}
        self.avatar = avatar_from_tensors(tensors, **kept)
        self.light = LightParameters(tensors["light_raw"], meta["level"])
        self._begin()
        self.optimiser.load_state_tensors(tensors)
        self.statistics.total, self.statistics.seen = tensors["density.total"], tensors["density.seen"]
        return int(meta["step"])

    def _begin(self) -> None:
        rates = self.config.learning_rates
        self.optimiser = Optimiser(self._leaves(), rates.model_dump(exclude={"final"}), rates.final, self.config.steps)
        self._reset_lookups()

    def _leaves(self) -> dict[str, torch.Tensor]:
        return {**self.avatar.neutral, "deltas": self.avatar.deltas, "light": self.light.raw}

    def _reset_lookups(self) -> None:
        with torch.no_grad():
            self.priors = AvatarPriors.of(self.avatar)
        self.statistics = DensityStatistics(self.avatar.count)

    def step(self, step: int) -> dict[str, float]:
        """One frame forward, backward and update; returns the loss and its unweighted terms."""
        config = self.config
        index = self._frame_of(step)
        frame, camera = self.frames.frames[index], self.frames.camera(index)
        posed = self.frames.posed(index)
        surface = self.frames.surface(index, posed)
        gaussians = self.avatar.pose(frame.expression, frame.joints, posed)
        envmap = self.light.envmap()
        lit = light_gaussians(
            gaussians,
            self.avatar.attachment,
            self.avatar.head.faces,
            surface,
            camera.center,
            envmap,
            self.frames.light_to_world(index),
            config.one_bounce,
        )
        screen = torch.zeros(self.avatar.count, 2, requires_grad=True)
        splatted = composite_gaussians(gaussians, lit.radiance, camera, screen)
        terms = picture_terms(splatted.image, splatted.alpha, self.frames.target(index))
        done = step / config.steps
        terms |= prior_terms(self.avatar, gaussians, lit, envmap, self.priors, config, done)
        weights = config.losses.model_dump()
        loss = torch.stack([weights[name] * value for name, value in terms.items()]).sum()
        self._check(terms, step, frame.id)
        loss.backward()
        assert screen.grad is not None
        self.statistics.add(screen.grad, splatted.radii)
        frozen = _FROZEN_IN_WARMUP if done < config.warmup else frozenset()
        self.optimiser.step(step, frozen)
        self._control_density(step)
        return {name: float(value.detach()) for name, value in (("loss", loss), *terms.items())}

    def _frame_of(self, step: int) -> int:
        """Every epoch visits all frames in an order that depends on the seed and the epoch alone."""
        epoch, position = divmod(step, len(self.frames))
        generator = torch.Generator().manual_seed(self.seed * 1_000_003 + epoch)
        return int(torch.randperm(len(self.frames), generator=generator)[position])

    @staticmethod
    def _check(terms: dict[str, torch.Tensor], step: int, frame: str) -> None:
        for name, value in terms.items():
            if not bool(torch.isfinite(value)):
                raise DivergenceError(
                    f"step {step}, frame {frame}: the term '{name}' is not finite; lower learning_rates, then run "
                    "again to continue from the last checkpoint"
                )

    def _control_density(self, step: int) -> None:
        settings, done = self.config.density, (step + 1) / self.config.steps
        if (step + 1) % settings.interval or done < settings.start or step + 1 == self.config.steps:
            return
        event = rearrange(self.avatar, self.field, self.statistics, settings, multiply=done <= settings.stop)
        self.avatar = event.avatar
        for name in CHANNELS:
            self.avatar.neutral[name] = self.optimiser.replace(name, self.avatar.neutral[name], event.gaussians)
        self.avatar.deltas = self.optimiser.replace("deltas", self.avatar.deltas, event.pairs)
        self._reset_lookups()

    def tensors(self) -> dict[str, torch.Tensor]:
        """Everything that the next step depends on."""
        statistics = {"density.total": self.statistics.total, "density.seen": self.statistics.seen}
        return {
            **avatar_tensors(self.avatar),
            **self.optimiser.state_tensors(),
            **statistics,
            "light_raw": self.light.raw,
        }

    def result(self) -> Avatar:
        """The avatar without autograd, under the fitted light."""
        with torch.no_grad():
            return replace(
                self.avatar,
                neutral={name: value.detach() for name, value in self.avatar.neutral.items()},
                deltas=self.avatar.deltas.detach(),
                light=self.light.envmap().detach(),
            )
