"""The table of a batch: which subjects, from what, with which settings, and what to make of them."""

from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeVar, get_args

from pydantic import BaseModel, Field, ValidationError, model_validator

from ..errors import InputError, did_you_mean
from ..files import read_text
from ..settings import Settings
from ..yaml_text import parse_yaml

if TYPE_CHECKING:  # they take seconds to import, in which Ray can start
    from ..presets import Preset
    from ..tracking import TrackingOptions

FORMAT, VERSION = "rgb-batch", 1
FIRST_STAGES = {"video": "track", "clip": "import", "dataset": None, "synthetic": "synth"}
"""What a subject may be made from, exactly one of these, and the stage that makes a dataset of it."""
SOURCES = tuple(FIRST_STAGES)
Wanted = Literal["fit-geometry", "fit-gaussians", "eval", "relight", "export"]
_STAGES = (*filter(None, FIRST_STAGES.values()), *get_args(Wanted))
_NAME = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$"
_Model = TypeVar("_Model", bound=BaseModel)


class Needs(Settings):
    """What one stage of one subject takes from a machine while it runs."""

    cpus: Annotated[int, Field(ge=1, le=1024)] = 1
    """Cores, and threads of torch and numba: results are the same to the bit for the same number."""

    gpus: Annotated[float, Field(ge=0, le=1)] = 0.25
    """Share of one GPU, where the stage uses one: 0.25 lets four subjects share a card."""

    memory_gb: Annotated[float, Field(gt=0, le=4096)] = 2.0
    """Memory of the machine that is set aside."""


class TrackingChoices(Settings):
    """The options of `rgb track` for one video."""

    start: Annotated[float, Field(ge=0)] = 0.0
    """Second of the video to begin at."""

    end: Annotated[float, Field(gt=0)] | None = None
    """Second of the video to end at; null is its end."""

    stride: Annotated[int, Field(ge=1)] = 1
    """Take every so many-th frame."""

    size: Annotated[int, Field(ge=64, le=8192)] = 512
    """Longer side of the pictures at most, pixels."""

    focal: Annotated[float, Field(gt=0)] | None = None
    """Focal length in pixels of the video, where known."""

    fps: Annotated[float, Field(ge=1, le=1000)] | None = None
    """Frames per second of a folder of pictures."""

    parsing: Path | None = None
    """ONNX file of a face-parsing network."""
    keep_torso: bool = False
    """Model shoulders and clothes too."""

    def options(self) -> "TrackingOptions":
        """The same for `tracking.track`, with a video of what was found, as `rgb fit` makes it."""
        from ..tracking import TrackingOptions

        return TrackingOptions(preview=True, **self.model_dump())


class Subject(Settings):
    """One row of the table."""

    video: Path | None = None
    """A video of one person's head, to be tracked."""

    clip: Path | None = None
    """A folder that another system tracked, to be imported."""

    dataset: Path | None = None
    """A native dataset."""

    synthetic: bool = False
    """The built-in subject that `seed` makes."""

    geometry: Path | None = None
    """A folder that `rgb fit-geometry` wrote, to be used instead of fitting one."""

    head: Path | None = None
    """The head model of a video or a clip; null is the built-in one, or the clip's own."""

    layout: str | None = None
    """The layout of a clip; null detects it."""

    tracking: TrackingChoices = TrackingChoices()
    """How a video is tracked."""

    preset: str | None = None
    """A built-in preset or a file; null is `default` on a GPU and `cpu` without one."""

    settings: tuple[str, ...] = ()
    """Changes of the preset, as in `gaussians.steps=2000`."""

    seed: Annotated[int, Field(ge=0, lt=2**63)] = 0
    """Of the fits, and of a synthetic clip."""

    size: Annotated[int, Field(ge=16, le=8192)] | None = None
    """Pixels of the longer side to score at; null is as filmed."""

    light: str = "sunset"
    """Under which `relight` shows the head."""

    do: tuple[Wanted, ...] = ("eval", "relight", "export")
    """What is wanted; what it needs is made as well."""

    @model_validator(mode="after")
    def _one_source(self) -> "Subject":
        given = [name for name in SOURCES if getattr(self, name)]
        if len(given) != 1:
            raise ValueError(f"give exactly one of {', '.join(SOURCES)}, not {' and '.join(given) or 'none'}")
        return self

    @property
    def source(self) -> str:
        """Which of `SOURCES` the subject is made from."""
        return next(name for name in SOURCES if getattr(self, name))

    def below(self, root: Path) -> "Subject":
        """The same with its relative paths below `root`."""
        places: dict[str, Any] = {name: root / value for name, value in self if isinstance(value, Path)}
        if self.preset is not None and (root / self.preset).is_file():
            places["preset"] = str(root / self.preset)
        parsing = self.tracking.parsing
        if parsing is not None:
            places["tracking"] = self.tracking.model_copy(update={"parsing": root / parsing})
        return self.model_copy(update=places)

    def load_preset(self, fallback: str) -> "Preset":
        """The settings of every stage.

        Raises:
            InputError: see `presets.load_preset`.
        """
        from ..presets import load_preset

        return load_preset(self.preset or fallback, list(self.settings))


class _Table(Settings):
    """The file as it is written; subjects are read one by one, so that each error names its subject."""

    format: Literal["rgb-batch"]
    version: Literal[1]
    about: str = ""
    needs: dict[str, Needs] = Field(default_factory=dict)
    defaults: dict[str, Any] = Field(default_factory=dict)
    subjects: Annotated[dict[Annotated[str, Field(pattern=_NAME)], dict[str, Any]], Field(min_length=1)]


@dataclass(frozen=True)
class Manifest:
    """The subjects of a batch by name, and what its stages need."""

    subjects: Mapping[str, Subject]
    needs: Mapping[str, Needs]
    about: str = ""
    """What the user must have downloaded, for the sentence about a file that is missing."""


def builtin_manifests() -> list[str]:
    """The manifests of published datasets that come with the package."""
    return sorted(file.name.removesuffix(".yaml") for file in _builtin().iterdir() if file.name.endswith(".yaml"))


def load_manifest(name_or_file: str, root: Path | None = None) -> Manifest:
    """Read a manifest: a YAML file, or one of `builtin_manifests`.

    Args:
        root: where relative paths begin; None is the manifest's folder, and for a built-in one the current folder.

    Raises:
        InputError: naming the subject and the field, with the nearest name where one is mistyped.
    """
    if name_or_file in builtin_manifests():
        text, beside = (_builtin() / f"{name_or_file}.yaml").read_text(encoding="utf-8"), Path()
    else:
        path = Path(name_or_file)
        if not path.is_file():
            raise InputError(
                f"manifest '{name_or_file}' does not exist{did_you_mean(name_or_file, builtin_manifests())}: give a "
                f"YAML file, or one of {', '.join(builtin_manifests())}"
            )
        text, beside = read_text(path), path.parent
    return parse_manifest(text, f"manifest {name_or_file}", root or beside)


def parse_manifest(text: str, source: str, root: Path) -> Manifest:
    """The manifest in a YAML text; `source` begins error messages, `root` relative paths.

    Raises:
        InputError: see `load_manifest`.
    """
    values = parse_yaml(text, source)
    if not isinstance(values, dict):
        raise InputError(f"{source} must be a mapping with format, version and subjects")
    table = _validated(_Table, values, source)
    if unknown := next((name for name in table.needs if name not in _STAGES), None):
        raise InputError(f"{source}: needs: no stage is called '{unknown}'{did_you_mean(unknown, _STAGES)}")
    subjects = {}
    for name, fields in table.subjects.items():
        own = [key for key in SOURCES if key in fields]
        shared = {key: value for key, value in table.defaults.items() if not (own and key in SOURCES)}
        subjects[name] = _validated(Subject, {**shared, **fields}, f"{source}: subject {name}").below(root.absolute())
    return Manifest(subjects, table.needs, table.about)


def _validated(model: type[_Model], values: dict[str, Any], where: str) -> _Model:
    try:
        return model.model_validate(values)
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(str(part) for part in first["loc"] if part != "[key]")
        if first["type"] == "extra_forbidden":
            known = [*model.model_fields, *(f"tracking.{name}" for name in TrackingChoices.model_fields)]
            raise InputError(f"{where}: no field is called '{field}'{did_you_mean(field, known)}") from error
        if first["type"] == "string_pattern_mismatch":
            message = "a name has letters, digits, '.', '_' and '-' alone"
        else:
            message = first["msg"].removeprefix("Value error, ")
        raise InputError(f"{where}: {f'{field}: ' if field else ''}{message}") from error


def _builtin() -> Any:
    return resources.files(__package__) / "manifests"
