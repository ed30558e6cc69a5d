"""Stage 1: fit a personalised mesh, a light and corrected tracking to the frames of a clip."""

from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ..data import Dataset, FrameMaps
from ..devices import CPU, start_kernels
from ..fingerprints import files_in, fingerprint
from ..fitting.checkpoint import remove_checkpoint
from ..fitting.log import StepLog
from ..fitting.loop import run_fit
from ..fitting.order import FrameOrder
from ..heads import subdivide
from ..output_folder import OutputFolder
from ..progress import Progress
from ..units import MILLIMETRE
from . import losses
from .config import GeometryConfig
from .corrections import Tracking
from .evidence import Evidence, report_skipped
from .initialise import FILL_LENGTH, first_light, focal_factor, hair_membership, misplaced
from .normal_maps import normal_maps
from .optimiser import Parameter
from .preview import write_preview
from .rendering import view_mesh
from .report import measure, photometric_error
from .result import Geometry, load_geometry, save_geometry
from .shading import LIGHT_TERMS
from .smoothing import Smoother
from .surface import Surface

_SMOOTHING_LEVELS = 5
_CORRECTIONS_FROM = 0.6  # share of the steps after which expressions may change: the neutral face explains what it can
_REPORT_EVERY = 20  # steps between reports from a device for which the host would have to wait


def fit_geometry(
    dataset: Dataset,
    config: GeometryConfig,
    out: Path,
    progress: Progress,
    seed: int = 0,
    device: torch.device = CPU,
    normals: Path | None = None,
    force: bool = False,
) -> Geometry:
    """Fit to the training frames and write the folder `out`; continue an interrupted fit there, to the same result.

    What a finished fit of the same data and settings wrote is read and returned.

    Args:
        device: where to compute; the result is on the CPU.
        normals: a folder of normal maps of training frames, see `normal_maps`.
        force: replace what a fit of other data or settings left in `out`.

    Raises:
        InputError: when the frames or the folder cannot be used.
        DivergenceError: at a non-finite loss or gradient, naming step and tensor; the last checkpoint is kept.
    """
    settings = config.model_dump()
    guided = files_in(normals) if normals else None
    identity = fingerprint(dataset=dataset.parts("train"), settings=settings, seed=seed, normals=guided)
    with OutputFolder.claim(out, "geometry", identity, force) as folder:
        if folder.finished:
            progress.message(f"{out} holds the finished fit of the same data and settings")
            return load_geometry(out)
        start_kernels(device)
        fit = GeometryFit(dataset, config, progress, seed, device, normal_maps(normals, dataset) if normals else None)
        run_fit(fit, "fitting geometry", config.steps, config.checkpoint_every, out, progress)
        geometry = fit.result()
        provenance = {"subject": dataset.subject, "head_model": dataset.head.name, "seed": seed, "settings": settings}
        write_preview(out / "preview.png", fit.evidence, geometry.to(device))
        save_geometry(geometry, out, provenance)
        remove_checkpoint(out)
        folder.finish()
    return geometry


class GeometryFit:
    """The state of a fit between steps, on `device`."""

    def __init__(
        self,
        dataset: Dataset,
        config: GeometryConfig,
        progress: Progress,
        seed: int,
        device: torch.device = CPU,
        normals: FrameMaps | None = None,
    ):
        self.config, self.light_frame = config, dataset.light_frame
        head = subdivide(dataset.head.with_identity(dataset.shape).with_fixed_joints(), config.subdivide)
        self.evidence = Evidence(dataset, config.image_size, progress, device, config.semantics, normals)
        self.surface = Surface(head, config, device)
        focal = focal_factor(self.surface.base, self.evidence) if config.refine_tracking else 1.0
        if focal != 1:
            progress.message(f"the focal length looks wrong: starting from {focal:.2f} of it")
        dropped = misplaced(self.surface.base, focal, self.evidence)
        if dropped:
            report_skipped(dropped, progress)
            self.evidence.drop(dropped)
        self.tracking = Tracking(self.evidence, config, focal)
        membership = hair_membership(self.surface.base, self.evidence, focal)
        if membership is not None:
            self.surface.set_hair(membership)
        count = head.vertex_count
        self.appearance = {
            "albedo": Parameter(torch.zeros(count, 3, device=device), config.rates.albedo),
            "light": Parameter(torch.zeros(LIGHT_TERMS, 3, device=device), config.rates.light),
        }
        self._order = FrameOrder(len(self.evidence), config.batch, config.steps, seed, device)
        self.log = StepLog(progress, device, ("silhouette", "shading"), _REPORT_EVERY)
        self._has_light = False
        self._smoother: tuple[int, Smoother] | None = None

    def active(self) -> AbstractContextManager[None]:
        """Around all steps; nothing to do."""
        return nullcontext()

    def start(self) -> None:
        """Begin anew; the first step needs nothing else."""

    def restore(self, tensors: dict[str, Tensor], meta: dict[str, Any]) -> None:
        """Continue where a checkpoint stopped."""
        for name, parameter in self._parameters().items():
            parameter.restore(name, tensors)
        self._has_light = bool(tensors["has_light"])

    def state(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """Everything that the next step depends on."""
        tensors = {"has_light": torch.tensor([self._has_light])}
        for name, parameter in self._parameters().items():
            tensors |= parameter.state(name)
        return tensors, {}

    def _parameters(self) -> dict[str, Parameter]:
        return {**self.surface.parameters, **self.tracking.parameters, **self.appearance}

    def step(self, step: int) -> None:
        """One batch forward, backward and update.

        Raises:
            DivergenceError: when a term or a gradient of this step, or of one since the last report, is not finite.
        """
        config = self.config
        done = step / config.steps
        warming = done < config.warmup
        coloured = config.shading and not warming
        if coloured and not self._has_light:
            self._estimate_light()
        rows = self._order.rows(step)
        surface_leaves = self.surface.leaves(corrections=done >= _CORRECTIONS_FROM)
        tracking_leaves = self.tracking.leaves()
        light_leaves = {name: parameter.leaf() for name, parameter in self.appearance.items()}
        head = self.surface.head(surface_leaves)
        batch = self.evidence.batch(rows, halve=warming)
        coefficients = self.tracking.coefficients(tracking_leaves)
        posed = head.pose(coefficients.rows(rows))
        view = view_mesh(
            posed.vertices,
            head.faces,
            batch.intrinsics,
            batch.world_to_camera,
            self.tracking.focal_scale(tracking_leaves),
            (batch.alpha.shape[2], batch.alpha.shape[1]),
        )
        terms = {"silhouette": losses.silhouette(view.mask(), batch)}
        if coloured:
            weight = batch.colour_weight * view.facing()
            drawn = view.colour(view.normals(self.light_frame), light_leaves["albedo"], light_leaves["light"])
            terms["shading"] = losses.colour(drawn, weight, batch)
        if batch.normal is not None and batch.normal_weight is not None:
            terms["normal"] = losses.normal(view.normal_picture(), batch.normal, batch.normal_weight * view.facing())
        terms |= self.surface.penalties(surface_leaves, head.vertices)
        terms["tracking"] = self.tracking.penalty(tracking_leaves, rows)
        terms["temporal"] = self.tracking.roughness(tracking_leaves, rows)
        weights = config.losses.model_dump()
        torch.stack([weights[name] * value for name, value in terms.items()]).sum().backward()
        self._note(step, terms, {**surface_leaves, **tracking_leaves, **light_leaves})
        share = config.rates.final**done
        self.surface.step(surface_leaves, share, self._smoother_at(done))
        if config.refine_tracking and not warming:
            self.tracking.step(tracking_leaves, share, rows)
        if coloured:
            for name, parameter in self.appearance.items():
                parameter.step(light_leaves[name].grad, share)

    def _note(self, step: int, terms: dict[str, Tensor], leaves: dict[str, Tensor]) -> None:
        """Log the terms of a step and, for every gradient, 0 where it is finite and infinity where it is not."""
        values = {name: value.detach().reshape(()) for name, value in terms.items()}
        for name, leaf in leaves.items():
            if leaf.grad is not None:
                whole = torch.isfinite(leaf.grad).all()
                values[f"gradient of {name}"] = torch.where(whole, 0.0, torch.inf)
        frames = ", ".join(self.evidence.frames[number].id for number in self._order.numbers(step))
        self.log.add(step, f"frames {frames}", tuple(values), torch.stack(list(values.values())))

    def _smoother_at(self, done: float) -> Smoother:
        """Smoothing that shrinks in a few stages from `smooth_start_mm` to `smooth_end_mm`."""
        level = min(int(done * _SMOOTHING_LEVELS), _SMOOTHING_LEVELS - 1)
        if self._smoother is None or self._smoother[0] != level:
            start, end = self.config.smooth_start_mm, self.config.smooth_end_mm
            length = start * (end / start) ** (level / (_SMOOTHING_LEVELS - 1))
            self._smoother = level, self.surface.smoother(length * MILLIMETRE)
        return self._smoother[1]

    def _estimate_light(self) -> None:
        """Start albedo and light from what the mesh of this moment sees."""
        smoother = self.surface.smoother(FILL_LENGTH)
        albedo, light = first_light(self._geometry({}), self.evidence, smoother, self.light_frame)
        self.appearance["albedo"].value = albedo
        self.appearance["light"].value = light
        self._has_light = True

    def _geometry(self, metrics: dict[str, float]) -> Geometry:
        """The fit as it stands, on the device."""
        with torch.no_grad():
            head = self.surface.head({name: parameter.value for name, parameter in self.surface.parameters.items()})
            values = {name: parameter.value for name, parameter in self.tracking.parameters.items()}
            coefficients = self.tracking.coefficients(values)
            tracking = {frame.id: coefficients.rows(row) for row, frame in enumerate(self.evidence.frames)}
            return Geometry(head, float(self.tracking.focal_scale(values)), tracking, metrics)

    def result(self) -> Geometry:
        """The personalised head and refined tracking, on the CPU, with what is known about them without a truth."""
        geometry = self._geometry({})
        before = Geometry(self.surface.base)
        metrics = measure(before, geometry, self.evidence, self.surface) | self.tracking.moved()
        if self._has_light:
            albedo, light = (self.appearance[name].value for name in ("albedo", "light"))
            metrics["photometric_mae"] = photometric_error(geometry, self.evidence, albedo, light, self.light_frame)
        return Geometry(geometry.head, geometry.focal_scale, geometry.tracking, metrics).to(CPU)
