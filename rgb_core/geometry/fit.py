"""Stage 1: fit a personalised mesh, a light and corrected tracking to the frames of a clip."""

from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ..data import Dataset, FrameMaps
from ..devices import CPU
from ..fitting.checkpoint import fingerprint, remove_checkpoint, resume, save_checkpoint
from ..heads import subdivide
from ..progress import Progress
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
from .result import RECORD_FILE, Geometry, save_geometry
from .schedule import Schedule, Watch
from .shading import LIGHT_TERMS
from .smoothing import Smoother
from .surface import Surface

_SMOOTHING_LEVELS = 5
_CORRECTIONS_FROM = 0.6  # share of the steps after which expressions may change: the neutral face explains what it can
_REPORT_EVERY = 20  # steps between reports from a device for which the host would have to wait
_MM = 1e-3


def fit_geometry(
    dataset: Dataset,
    config: GeometryConfig,
    out: Path,
    progress: Progress,
    seed: int = 0,
    device: torch.device = CPU,
    normals: Path | None = None,
) -> Geometry:
    """Fit to the training frames and write the folder `out`; continue an interrupted fit there, to the same result.

    Args:
        device: where to compute; the result is on the CPU.
        normals: a folder of normal maps of training frames, see `normal_maps`.

    Raises:
        InputError: when the frames or the folder cannot be used.
        DivergenceError: at a non-finite loss or gradient, naming step and tensor; the last checkpoint is kept.
    """
    settings = config.model_dump()
    evidence = {**settings, "seed": seed, "normals": normals and str(normals)}
    identity = fingerprint(dataset.frames("train"), dataset.head, evidence)
    checkpoint = resume(out, RECORD_FILE, identity)
    fit = GeometryFit(dataset, config, progress, seed, device, normal_maps(normals, dataset) if normals else None)
    done = fit.restore(*checkpoint) if checkpoint else 0
    progress.start("fitting geometry", config.steps, done)
    for step in range(done, config.steps):
        last = step + 1 == config.steps
        save = (step + 1) % config.checkpoint_every == 0 and not last
        report = device.type == "cpu" or save or last or (step + 1) % _REPORT_EVERY == 0
        progress.advance(1, **fit.step(step, report))
        if save:
            save_checkpoint(out, fit.state(), {"step": step + 1, "fingerprint": identity})
    geometry = fit.result()
    provenance = {"subject": dataset.subject, "head_model": dataset.head.name, "seed": seed, "settings": settings}
    write_preview(out / "preview.png", fit.evidence, geometry.to(device))
    save_geometry(geometry, out, provenance)
    remove_checkpoint(out)
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
        self._schedule = Schedule(len(self.evidence), config.batch, config.steps, seed, device)
        self._watch = Watch()
        self._has_light = False
        self._smoother: tuple[int, Smoother] | None = None

    def restore(self, tensors: dict[str, Tensor], meta: dict[str, Any]) -> int:
        """Continue where a checkpoint stopped; returns the steps already done."""
        for name, parameter in self._parameters().items():
            parameter.restore(name, tensors)
        self._has_light = bool(tensors["has_light"])
        return int(meta["step"])

    def state(self) -> dict[str, Tensor]:
        """Everything that the next step depends on."""
        tensors = {"has_light": torch.tensor([self._has_light])}
        for name, parameter in self._parameters().items():
            tensors |= parameter.state(name)
        return tensors

    def _parameters(self) -> dict[str, Parameter]:
        return {**self.surface.parameters, **self.tracking.parameters, **self.appearance}

    def step(self, step: int, report: bool = True) -> dict[str, float]:
        """One batch forward, backward and update.

        Returns:
            The terms that compare with the pictures, where a `report` is asked for, which waits for the device.

        Raises:
            DivergenceError: with a report, when a number was not finite in this step or one since the last report.
        """
        config = self.config
        done = step / config.steps
        warming = done < config.warmup
        coloured = config.shading and not warming
        if coloured and not self._has_light:
            self._estimate_light()
        rows = self._schedule[step]
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
        leaves = {**surface_leaves, **tracking_leaves, **light_leaves}
        gradients = {f"gradient of {name}": leaf.grad for name, leaf in leaves.items() if leaf.grad is not None}
        self._watch.look(step, {**{f"term {name}": value.detach() for name, value in terms.items()}, **gradients})
        if report:
            self._watch.check()
        share = config.rates.final**done
        self.surface.step(surface_leaves, share, self._smoother_at(done))
        if config.refine_tracking and not warming:
            self.tracking.step(tracking_leaves, share, rows)
        if coloured:
            for name, parameter in self.appearance.items():
                parameter.step(light_leaves[name].grad, share)
        return {name: terms[name].item() for name in ("silhouette", "shading") if name in terms} if report else {}

    def _smoother_at(self, done: float) -> Smoother:
        """Smoothing that shrinks in a few stages from `smooth_start_mm` to `smooth_end_mm`."""
        level = min(int(done * _SMOOTHING_LEVELS), _SMOOTHING_LEVELS - 1)
        if self._smoother is None or self._smoother[0] != level:
            start, end = self.config.smooth_start_mm, self.config.smooth_end_mm
            length = start * (end / start) ** (level / (_SMOOTHING_LEVELS - 1))
            self._smoother = level, self.surface.smoother(length * _MM)
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
