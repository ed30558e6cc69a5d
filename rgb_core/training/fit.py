"""Stage 2: fit Gaussian blendshapes with materials, and the light they were seen under, to the frames of a clip."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import torch
from training_kernels import SummedRows

from ..avatar import NEUTRAL, Avatar, load_avatar, materials, save_avatar
from ..avatar.deformation import ExpressionField, expression_field
from ..avatar.portrait import Portrait
from ..avatar.storage import avatar_from_tensors, avatar_tensors
from ..avatar.trained_range import TrainedRange
from ..data import Dataset, FrameMaps
from ..devices import CPU, start_kernels
from ..errors import InputError
from ..fingerprints import fingerprint
from ..fitting.checkpoint import remove_checkpoint
from ..fitting.log import StepLog
from ..fitting.loop import run_fit
from ..fitting.order import FrameOrder
from ..geometry import Geometry
from ..heads import Pose
from ..heads.regions import Region
from ..output_folder import OutputFolder
from ..progress import Progress
from ..rendering.graphs import GraphRunner, Room
from ..rendering.stages import attach_learned, light_from_head, splat, visible_to
from ..scene import Lens
from ..shading import Bounce, SurfaceTracer, light_gaussians
from ..tensors import map_tensors
from .colours import colour_from_frames
from .config import GaussianConfig
from .corrections import TrackingCorrections
from .density import DensityStatistics, DensityTiming, rearrange
from .frames import FrameInputs, TrainingFrames
from .initialise import initial_avatar
from .level import SkinPrior
from .light import LightParameters, mean_radiance
from .objective import ENTROPY_START, AvatarPriors, albedo_term, picture_terms, prior_terms
from .optimiser import Optimiser
from .whites import skin_beside_whites

_FIXED_FIELDS = frozenset(
    ["name", "head", "portrait", "antialias", "one_bounce", "traced_bounce", "visibility", "focal_scale", "trained"]
)
_FROZEN_IN_WARMUP = frozenset({"roughness", "specular", "light", "tracking", "level"})
_STEPS_AT_ONCE = 50  # between reports from a GPU
_SPARE_ROOM = 1.5  # for pairs of Gaussians and tiles in units of what one frame needed


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
    on_checkpoint: Callable[[int, Avatar], None] | None = None,
    albedo: FrameMaps | None = None,
    force: bool = False,
    start: Avatar | None = None,
) -> Avatar:
    """Fit an avatar to the dataset's training frames and write its folder `out`; continue an interrupted fit there.

    Args:
        geometry: the personalised head and the tracking to use.
        visibility: False fits and later renders without shadows.
        provenance: what avatar.yaml should remember.
        device: where to compute; the result is on the CPU.
        albedo: pictures that guide the albedo at first.
        on_checkpoint: called after every checkpoint with the number of steps done and the avatar so far.
        force: replace what a fit of other data or settings left in `out`.
        start: the avatar to go on from, under its light; see `GaussianConfig.going_on`.

    Raises:
        InputError: when the frames or the folder cannot be used.
        DivergenceError: at the first non-finite term, naming step, frame and term; the last checkpoint is kept.
    """
    if geometry.head.expression_names != dataset.head.expression_names:
        raise InputError(f"the geometry was fitted for another head model than that of {dataset.folder}; fit it again")
    refined = {frame.id: frame.pose.tensors for frame in geometry.refined(dataset.frames("train"))}
    identity = fingerprint(
        dataset=dataset.parts("train"),
        geometry=[geometry.head.parts(), refined, geometry.focal_scale],
        settings=config.model_dump(),
        seed=seed,
        visibility=visibility,
        albedo=None if albedo is None else albedo.files,
        start=None if start is None else avatar_tensors(start),
    )
    with OutputFolder.claim(out, "avatar", identity, force) as folder:
        if folder.finished:
            progress.message(f"{out} holds the finished fit of the same data and settings")
            return load_avatar(out)
        start_kernels(device)
        fit = GaussianFit(dataset, geometry, config, progress, seed, visibility, device, albedo, start)

        def tell(steps: int) -> None:
            if on_checkpoint is not None:
                on_checkpoint(steps, fit.result())

        run_fit(fit, "fitting Gaussians", config.steps, config.checkpoint_every, out, progress, tell)
        save_avatar(fit.result(), out, {**(provenance or {}), "level": fit.level_found()})
        remove_checkpoint(out)
        folder.finish()
    return load_avatar(out)  # as stored, to the bit, whether or not this run was the one that finished the fit


class GaussianFit:
    """The state of a fit between steps."""

    def __init__(
        self,
        dataset: Dataset,
        geometry: Geometry,
        config: GaussianConfig,
        progress: Progress,
        seed: int,
        visibility: bool,
        device: torch.device,
        albedo: FrameMaps | None = None,
        start: Avatar | None = None,
    ):
        self.config, self.device = config, device
        self.runner: GraphRunner[FrameInputs] = GraphRunner(device)
        self.log, self.room = StepLog(progress, device, ("loss",), _STEPS_AT_ONCE), Room(device, _SPARE_ROOM)
        self.names: tuple[str, ...] = ()  # of a step's values, the loss first
        self._weights: dict[tuple[str, ...], torch.Tensor] = {}
        field = expression_field(geometry.head)
        if not config.consistency:
            field = field.everywhere()
        self.field = ExpressionField(field.displacement.to(device), field.lower, field.upper)
        refined = geometry.refined(dataset.frames("train"))
        portrait = Portrait.of(dataset.frames("train"), geometry.head.joint_names)
        initial = (
            map_tensors(start, torch.clone)
            if start
            else initial_avatar(dataset.subject, geometry.head, field, portrait, config, seed, device)
        )
        self.avatar = replace(
            initial.to(device),
            visibility=visibility,
            light=replace(initial.light.to(device), carried=dataset.light_frame == "camera"),
            focal_scale=geometry.focal_scale,
            trained=TrainedRange.of(Pose.stack([frame.pose for frame in refined]), geometry.head.expression_names),
        )
        self.light = LightParameters.of(self.avatar.light.radiance)
        self.level = torch.zeros(1, device=device)  # log factor of all albedos, by which the light is divided
        self._coloured = start is not None
        head = self.avatar.head
        self.faces = head.faces.to(torch.int32)
        self.bounce = Bounce.of(self.avatar)
        tracer = SurfaceTracer(head.faces, head.region != Region.OTHER, self.avatar.light.size)
        self.frames = TrainingFrames(
            dataset,
            refined,
            head,
            tracer,
            self.avatar.light,
            visibility,
            config.image_size,
            config.visibility_cache_mb,
            albedo,
        )
        self.order = FrameOrder(len(refined), 1, config.steps, seed, device)
        self.tracking = TrackingCorrections(torch.zeros(len(refined), 6, device=device), head.vertices.mean(0))
        self.guidance = torch.ones((), device=device)  # how much the pseudo-albedo still counts
        self.timing = DensityTiming(config.density, config.steps)
        self.optimiser = self._new_optimiser()
        self.skin = SkinPrior.of(skin_beside_whites(dataset, refined), config.skin_luminance)
        self._reset_lookups()

    def active(self) -> AbstractContextManager[None]:
        """Around all steps: on a GPU they have a stream of their own."""
        return self.runner.active()

    def start(self) -> None:
        """Colour an avatar that begins anew by its frames."""
        if not self._coloured:
            with torch.no_grad():
                colour_from_frames(self.avatar, self.frames, self.light, self.skin)
        self._begin()

    def restore(self, tensors: dict[str, torch.Tensor], meta: dict[str, Any]) -> None:
        """Continue where a checkpoint stopped."""
        old = self.avatar
        kept = {field.name: getattr(old, field.name) for field in fields(old) if field.name in _FIXED_FIELDS}
        self.avatar = avatar_from_tensors(tensors, old.light.carried, **kept).to(self.device)
        self.light = LightParameters(tensors["light_raw"].to(self.device), tensors["light_level"].to(self.device))
        self.level = tensors["level_raw"].to(self.device)
        self.tracking.raw = tensors["tracking_raw"].to(self.device)
        self._begin()
        self.optimiser.load_state_tensors(tensors)
        self.statistics.total = tensors["density.total"].to(self.device)
        self.statistics.seen = tensors["density.seen"].to(self.device)

    def _begin(self) -> None:
        """Optimise the tensors that the avatar, its light and its tracking have now."""
        self.optimiser = self._new_optimiser()
        self._reset_lookups()

    def _new_optimiser(self) -> Optimiser:
        shared = {"light": self.light.raw, "tracking": self.tracking.raw, "level": self.level}
        leaves = {**self.avatar.neutral, "deltas": self.avatar.deltas, **shared}
        rates = self.config.learning_rates
        return Optimiser(leaves, rates.model_dump(exclude={"final"}), rates.final, self.config.steps)

    def _frozen(self, done: float) -> frozenset[str]:
        """The parameters that stay as they are after the share `done` of the steps."""
        frozen = _FROZEN_IN_WARMUP if done < self.config.warmup else frozenset()
        if done < self.config.normal_offsets:
            frozen |= {"normal_offset"}
        return frozen if self.config.refine_tracking else frozen | {"tracking"}

    def _reset_lookups(self) -> None:
        with torch.no_grad():
            self.priors = AvatarPriors.of(self.avatar, self.config, self.skin)
            self.owner = self.avatar.expressions.gaussian.to(torch.int32)  # of every delta
        self.statistics = DensityStatistics(self.avatar.count, self.device)
        self._measure_room()

    def _measure_room(self) -> None:
        """Let the next step find out how much room Gaussians need on the screen."""
        self.runner.forget()
        self.room.measure_again()

    def step(self, step: int) -> None:
        """One frame forward, backward and update."""
        (index,) = self.order.numbers(step)
        done = step / self.config.steps
        late, frozen = done >= ENTROPY_START, self._frozen(done)
        lens = self.frames.camera(index).lens
        self.optimiser.schedule(step)
        self.guidance.fill_(1 - done)
        values = self.runner.run(
            (lens, late, frozen), lambda inputs: self._optimise(inputs, lens, late, frozen), self.frames.inputs(index)
        )
        self.log.add(step, f"frame {self.frames.frames[index].id}", self.names, values, gaussians=self.avatar.count)
        if self.timing.due(step):
            self.log.flush()
            self._rearrange(step)
        elif self.log.up_to_date and self.room.outgrown():
            # Gaussians have grown: pictures that lack some of them teach nothing.
            self._measure_room()

    def _optimise(self, inputs: FrameInputs, lens: Lens, late: bool, frozen: frozenset[str]) -> torch.Tensor:
        """Gradients and update by one frame; returns the loss and its unweighted terms, in the order of the log."""
        config = self.config
        with torch.no_grad():
            blend = self.avatar.blend(inputs.expression)
        blend.learned.requires_grad_()
        posed = self.avatar.pose_blended(blend, inputs.joints, inputs.transforms)
        gaussians = self.tracking.apply(posed, inputs)
        factor = self.level.exp()
        gaussians = replace(gaussians, albedo=gaussians.albedo * factor)
        envmap = self.light.envmap() / factor
        surface = attach_learned(self.avatar, gaussians.means, posed.rotations, inputs.surface, inputs.world_to_camera)
        seen = visible_to(self.avatar.attachment, self.faces, inputs.visibility)
        given = gaussians, inputs.surface, envmap, inputs.light_to_world
        from_head = light_from_head(self.bounce, self.avatar, *given)
        lit = light_gaussians(gaussians, surface, seen, envmap, inputs.light_to_world, config.one_bounce, from_head)
        screen = torch.zeros(self.avatar.count, 2, device=self.device, requires_grad=True)
        guided = inputs.albedo is not None
        features = torch.cat([lit.radiance, gaussians.albedo], dim=1) if guided else lit.radiance
        splatted = splat(
            gaussians, features, inputs.world_to_camera, lens, config.antialias, screen, self.room.capacity
        )
        terms = picture_terms(splatted.image[..., :3], splatted.alpha, inputs)
        if guided:
            terms["pseudo_albedo"] = self.guidance * albedo_term(splatted.image[..., 3:], splatted.alpha, inputs)
        terms |= prior_terms(self.avatar.neutral, gaussians, envmap, self.priors, late)
        terms["tracking"] = self.tracking.penalty()
        self.names = ("loss", *terms, "deltas")
        values = torch.stack(list(terms.values()))
        loss = (self._weights_of(tuple(terms)) * values).sum()
        loss.backward()
        assert screen.grad is not None
        assert blend.learned.grad is not None
        self.statistics.add(screen.grad, splatted.radii)
        self.optimiser.step(frozen)
        price = config.losses.deltas
        decay = 2 * price / max(self.avatar.deltas.numel(), 1)
        rows = SummedRows(blend.learned.grad, self.owner, blend.weights, decay)
        deltas = self.optimiser.step_rows("deltas", rows)
        self.room.note(splatted.instances)
        return torch.cat([(loss + price * deltas)[None], values, deltas[None]]).detach()

    def _weights_of(self, names: tuple[str, ...]) -> torch.Tensor:
        """The weights of terms side by side, on the device before a step with these terms is recorded."""
        if names not in self._weights:
            weights = self.config.losses.model_dump()
            self._weights[names] = torch.tensor([weights[name] for name in names], device=self.device)
        return self._weights[names]

    def _rearrange(self, step: int) -> None:
        self._settle_level()
        grow = self.timing.grows(step)
        event = rearrange(self.avatar, self.field, self.statistics, self.config.density, multiply=grow)
        self.avatar = event.avatar
        for name in NEUTRAL:
            self.avatar.neutral[name] = self.optimiser.replace(name, self.avatar.neutral[name], event.gaussians)
        self.avatar.deltas = self.optimiser.replace("deltas", self.avatar.deltas, event.pairs)
        self._reset_lookups()

    @torch.no_grad()
    def _settle_level(self) -> None:
        """Move the common factor of all albedos into them and the light, so that it starts from 1 again."""
        raw = self.avatar.neutral["albedo"]
        raw.copy_(materials.raw_from_unit(torch.sigmoid(raw) * self.level.exp()))
        self.light.scale((-self.level).exp())
        self.level.zero_()

    def state(self) -> tuple[dict[str, torch.Tensor], dict[str, Any]]:
        """Everything that the next step depends on."""
        self._settle_level()
        statistics = {"density.total": self.statistics.total, "density.seen": self.statistics.seen}
        tensors = {
            **avatar_tensors(self.avatar),
            **self.optimiser.state_tensors(),
            **statistics,
            "light_raw": self.light.raw,
            "light_level": self.light.level,
            "level_raw": self.level,
            "tracking_raw": self.tracking.raw,
        }
        return tensors, {}

    def level_found(self) -> dict[str, Any]:
        """How bright the skin came out, and how sure that is (`Level.found`)."""
        with torch.no_grad():
            albedo = torch.sigmoid(self.avatar.neutral["albedo"])
            return self.priors.level.found(albedo, mean_radiance(self.light.envmap()))

    def result(self) -> Avatar:
        """The avatar without autograd, under the fitted light, on the CPU."""
        self._settle_level()
        with torch.no_grad():
            return replace(
                self.avatar,
                neutral={name: value.detach() for name, value in self.avatar.neutral.items()},
                deltas=self.avatar.deltas.detach(),
                light=replace(self.avatar.light, radiance=self.light.envmap().detach()),
            ).to(CPU)
