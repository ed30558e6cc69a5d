"""Stage 1: fit a personalised mesh, a light and corrected tracking to the frames of a clip."""

from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ..checkpoint import fingerprint, remove_checkpoint, resume, save_checkpoint
from ..data import Dataset
from ..devices import CPU
from ..errors import DivergenceError
from ..heads import subdivide
from ..progress import Progress
from . import losses
from .config import GeometryConfig
from .evidence import Evidence
from .initialise import first_light, hair_membership
from .optimiser import Parameter
from .preview import write_preview
from .rendering import view_mesh
from .report import measure
from .result import RECORD_FILE, Coefficients, Geometry, bake_identity, save_geometry
from .shading import LIGHT_TERMS
from .smoothing import Smoother
from .surface import Surface
from .tracking import Tracking

_SMOOTHING_LEVELS = 5
_CORRECTIONS_FROM = 0.6  # share of the steps after which expressions may change: the neutral face explains what it can
_MM = 1e-3


def fit_geometry(
    dataset: Dataset,
    config: GeometryConfig,
    out: Path,
    progress: Progress,
    seed: int = 0,
    device: torch.device = CPU,
) -> Geometry:
    """Fit to the training frames and write the folder `out`; continue an interrupted fit there, to the same result.

    Args:
        device: where to compute; the result is on the CPU.

    Raises:
        InputError: when the frames or the folder cannot be used.
        DivergenceError: at the first non-finite loss or gradient, naming step and tensor; the last checkpoint is kept.
    """
    settings = config.model_dump()
    identity = fingerprint(dataset.frames("train"), dataset.head, {**settings, "seed": seed})
    checkpoint = resume(out, RECORD_FILE, identity)
    fit = GeometryFit(dataset, config, progress, seed)
    done = fit.restore(*checkpoint) if checkpoint else 0
    progress.start("fitting geometry", config.steps, done)
    for step in range(done, config.steps):
        progress.advance(1, **fit.step(step))
        if (step + 1) % config.checkpoint_every == 0 and step + 1 < config.steps:
            save_checkpoint(out, fit.state(), {"step": step + 1, "fingerprint": identity})
    geometry = fit.result()
    provenance = {"subject": dataset.subject, "head_model": dataset.head.name, "seed": seed, "settings": settings}
    write_preview(out / "preview.png", fit.evidence, geometry)
    save_geometry(geometry, out, provenance)
    remove_checkpoint(out)
    return geometry


class GeometryFit:
    """The state of a fit between steps."""

    def __init__(self, dataset: Dataset, config: GeometryConfig, progress: Progress, seed: int):
        self.config, self.seed, self.light_frame = config, seed, dataset.light_frame
        head = subdivide(bake_identity(dataset.head, dataset.shape), config.subdivide)
        self.evidence = Evidence(dataset, config.image_size, progress)
        self.surface = Surface(head, config)
        self.tracking = Tracking(self.evidence, config)
        membership = hair_membership(head, self.evidence)
        if membership is not None:
            self.surface.set_hair(membership)
        count = head.vertex_count
        self.appearance = {
            "albedo": Parameter(torch.zeros(count, 3), config.rates.albedo),
            "light": Parameter(torch.zeros(LIGHT_TERMS, 3), config.rates.light),
        }
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

    def step(self, step: int) -> dict[str, float]:
        """One batch forward, backward and update; returns the terms that compare with the pictures."""
        config = self.config
        done = step / config.steps
        warming = done < config.warmup
        coloured = config.shading and not warming
        if coloured and not self._has_light:
            self._estimate_light()
        rows = self._rows(step)
        surface_leaves = self.surface.leaves(corrections=done >= _CORRECTIONS_FROM)
        tracking_leaves = self.tracking.leaves()
        light_leaves = {name: parameter.leaf() for name, parameter in self.appearance.items()}
        head = self.surface.head(surface_leaves)
        batch = self.evidence.batch(rows, halve=warming)
        coefficients = self.tracking.coefficients(tracking_leaves)
        posed = head.pose(coefficients.expression[rows], coefficients.joints[rows], coefficients.translation[rows])
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
        terms |= self.surface.penalties(surface_leaves, head.vertices)
        terms["tracking"] = self.tracking.penalty(tracking_leaves, rows)
        terms["temporal"] = self.tracking.roughness(tracking_leaves, rows)
        weights = config.losses.model_dump()
        loss = torch.stack([weights[name] * value for name, value in terms.items()]).sum()
        _check(step, {f"term {name}": value for name, value in terms.items()})
        loss.backward()
        leaves = {**surface_leaves, **tracking_leaves, **light_leaves}
        _check(step, {f"gradient of {name}": leaf.grad for name, leaf in leaves.items() if leaf.grad is not None})
        share = config.rates.final**done
        self.surface.step(surface_leaves, share, self._smoother_at(done))
        if config.refine_tracking and not warming:
            self.tracking.step(tracking_leaves, share, rows)
        if coloured:
            for name, parameter in self.appearance.items():
                parameter.step(light_leaves[name].grad, share)
        return {name: terms[name].item() for name in ("silhouette", "shading") if name in terms}

    def _rows(self, step: int) -> Tensor:
        """The frames of a step: every pass over the clip is in an order that depends on the seed and the pass alone."""
        count = len(self.evidence)
        batch = min(self.config.batch, count)
        positions = range(step * batch, (step + 1) * batch)
        rows = []
        for position in positions:
            epoch, place = divmod(position, count)
            generator = torch.Generator().manual_seed(self.seed * 1_000_003 + epoch)
            rows.append(int(torch.randperm(count, generator=generator)[place]))
        return torch.tensor(sorted(set(rows)))

    def _smoother_at(self, done: float) -> Smoother:
        """Smoothing that shrinks in a few stages from `smooth_start_mm` to `smooth_end_mm`."""
        level = min(int(done * _SMOOTHING_LEVELS), _SMOOTHING_LEVELS - 1)
        if self._smoother is None or self._smoother[0] != level:
            start, end = self.config.smooth_start_mm, self.config.smooth_end_mm
            length = start * (end / start) ** (level / (_SMOOTHING_LEVELS - 1))
            self._smoother = level, Smoother(self.surface.laplacian, length * _MM)
        return self._smoother[1]

    def _estimate_light(self) -> None:
        """Start albedo and light from what the mesh of this moment sees."""
        geometry = self._geometry({})
        albedo, light = first_light(geometry, self.evidence, self.surface.laplacian, self.light_frame)
        self.appearance["albedo"].value = albedo
        self.appearance["light"].value = light
        self._has_light = True

    def _geometry(self, metrics: dict[str, float]) -> Geometry:
        """The fit as it stands."""
        with torch.no_grad():
            head = self.surface.head({name: parameter.value for name, parameter in self.surface.parameters.items()})
            values = {name: parameter.value for name, parameter in self.tracking.parameters.items()}
            coefficients = self.tracking.coefficients(values)
            tracking = {
                frame.id: Coefficients(
                    coefficients.expression[row], coefficients.joints[row], coefficients.translation[row]
                )
                for row, frame in enumerate(self.evidence.frames)
            }
            return Geometry(head, float(self.tracking.focal_scale(values)), tracking, metrics)

    def result(self) -> Geometry:
        """The personalised head and refined tracking, with what can be said about them without ground truth."""
        geometry = self._geometry({})
        before = Geometry(self.surface.base)
        metrics = measure(before, geometry, self.evidence, self.surface) | self.tracking.moved()
        return Geometry(geometry.head, geometry.focal_scale, geometry.tracking, metrics)


def _check(step: int, tensors: dict[str, Tensor]) -> None:
    for name, tensor in tensors.items():
        if not bool(torch.isfinite(tensor).all()):
            raise DivergenceError(
                f"step {step}: the {name} is not finite; lower the rates and run again, from the last checkpoint"
            )
