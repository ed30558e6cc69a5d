"""The stages of a subject: the functions behind the commands, what each needs, and the folder that is its checkpoint.

A new stage is a function `(Job, device, progress) -> None` and one line in `STAGES`.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import torch

from .. import pipeline
from ..avatar import Avatar, load_avatar
from ..data import Dataset, load_dataset
from ..data.importers import import_dataset
from ..errors import InputError
from ..fingerprints import fingerprint
from ..geometry import fit_geometry, load_geometry
from ..heads import HeadModel, builtin_head, load_head
from ..presets import Preset
from ..progress import Progress
from ..rendering import Renderer
from ..synthetic import synthesize
from ..tracking import track
from .manifest import FIRST_STAGES, Needs, Subject


@dataclass(frozen=True)
class Job:
    """One subject on its way through the stages."""

    name: str
    subject: Subject
    preset: Preset
    out: Path
    """The subject's folder."""
    force: bool = False
    """Replace the work of other settings."""
    about: str = ""
    """What the user must have downloaded."""

    @property
    def dataset(self) -> Path:
        """The folder of the subject's dataset, whether it is made here or given."""
        return self.subject.dataset or self.out / pipeline.DATASET

    @property
    def entry(self) -> str:
        """Fingerprint of the subject's row and settings."""
        return fingerprint(row=self.subject.model_dump(mode="json"), preset=self.preset.model_dump(mode="json"))


@dataclass(frozen=True)
class Stage:
    """One step of the work on a subject."""

    run: Callable[[Job, torch.device, Progress], object]
    folder: str
    """What it makes, in the subject's folder."""
    needs: Needs = field(default_factory=Needs)
    on_gpu: bool = True
    """Whether it uses a GPU where there is one."""


def _synth(job: Job, device: torch.device, progress: Progress) -> None:
    synthesize(job.out / pipeline.DATASET, job.preset.synthetic, progress, job.subject.seed, job.force)


def _track(job: Job, device: torch.device, progress: Progress) -> None:
    video = _present(job.subject.video, job)
    options = job.subject.tracking.options()
    track(video, job.out / pipeline.DATASET, _head(job), progress, options, force=job.force)


def _import(job: Job, device: torch.device, progress: Progress) -> None:
    clip, out = _present(job.subject.clip, job), job.out / pipeline.DATASET
    head = _present(job.subject.head, job) if job.subject.head else None
    import_dataset(clip, out, head, job.subject.layout, progress=progress, force=job.force)


def _fit_geometry(job: Job, device: torch.device, progress: Progress) -> None:
    out = job.out / pipeline.GEOMETRY
    fit_geometry(_clip(job), job.preset.geometry, out, progress, job.subject.seed, device, force=job.force)


def _fit_gaussians(job: Job, device: torch.device, progress: Progress) -> None:
    geometry = load_geometry(job.subject.geometry or job.out / pipeline.GEOMETRY)
    pipeline.fit_avatar(_clip(job), geometry, job.out, job.preset, progress, job.subject.seed, device, job.force)


def _eval(job: Job, device: torch.device, progress: Progress) -> None:
    clip, renderer = _clip(job), Renderer(_avatar(job).to(device))
    found = pipeline.tracked_again(clip, job.out, job.preset)
    pipeline.score(clip, renderer, job.out, progress, None, job.force, job.subject.size, found)


def _relight(job: Job, device: torch.device, progress: Progress) -> None:
    pipeline.film(Renderer(_avatar(job).to(device)), job.out, progress, job.subject.light, job.force)


def _export(job: Job, device: torch.device, progress: Progress) -> None:
    pipeline.page(_avatar(job), job.out, progress)


def _avatar(job: Job) -> Avatar:
    return load_avatar(job.out / pipeline.AVATAR)


def _clip(job: Job) -> Dataset:
    return load_dataset(_present(job.dataset, job))


def _head(job: Job) -> HeadModel:
    return load_head(_present(job.subject.head, job)) if job.subject.head else builtin_head()


def _present(path: Path | None, job: Job) -> Path:
    """A path that the manifest names.

    Raises:
        InputError: when nothing is there, with what the user must have downloaded.
    """
    assert path is not None
    if not path.exists():
        raise InputError(f"{path} does not exist; {job.about or 'the manifest names it'}")
    return path


STAGES: dict[str, Stage] = {
    "synth": Stage(_synth, pipeline.DATASET, on_gpu=False),
    "track": Stage(_track, pipeline.DATASET, on_gpu=False),
    "import": Stage(_import, pipeline.DATASET, on_gpu=False),
    "fit-geometry": Stage(_fit_geometry, pipeline.GEOMETRY),
    "fit-gaussians": Stage(_fit_gaussians, pipeline.AVATAR),
    "eval": Stage(_eval, pipeline.REPORT),
    "relight": Stage(_relight, pipeline.FILM),
    "export": Stage(_export, pipeline.PAGE, on_gpu=False),
}
"""By the names of the commands, in the order in which a subject passes them."""


def stages_of(subject: Subject) -> list[str]:
    """The stages that a subject passes, in order: what its row wants and what that needs."""
    wanted: set[str | None] = set(subject.do)
    if wanted - {"fit-geometry"}:
        wanted.add("fit-gaussians")
    if subject.geometry is not None:
        wanted.discard("fit-geometry")
    elif "fit-gaussians" in wanted:
        wanted.add("fit-geometry")
    wanted.add(FIRST_STAGES[subject.source])
    return [name for name in STAGES if name in wanted]


def needs_of(stage: str, changed: Mapping[str, Needs], gpus: bool) -> Needs:
    """What a stage asks for: its own needs with those that the manifest changes; no GPU where there is none to use."""
    needs = STAGES[stage].needs
    if stage in changed:
        needs = needs.model_copy(update=changed[stage].model_dump(exclude_unset=True))
    return needs if gpus and STAGES[stage].on_gpu else needs.model_copy(update={"gpus": 0.0})


@dataclass(frozen=True)
class Leg:
    """Stages of a subject that follow each other with the same needs: one task, so that data is loaded by one process
    and a worker with a GPU, which begins anew for every task, begins once."""

    stages: tuple[str, ...]
    needs: Needs


def legs_of(subject: Subject, changed: Mapping[str, Needs], gpus: bool) -> list[Leg]:
    """The tasks of a subject, in order."""
    legs: list[Leg] = []
    for name in stages_of(subject):
        needs = needs_of(name, changed, gpus)
        if legs and legs[-1].needs == needs:
            legs[-1] = Leg((*legs[-1].stages, name), needs)
        else:
            legs.append(Leg((name,), needs))
    return legs
