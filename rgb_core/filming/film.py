"""A film of an avatar in a folder: its pictures, videos, layers and contact sheet; an interrupted one continues."""

import contextlib
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ..errors import InputError, did_you_mean
from ..fingerprints import fingerprint
from ..images import read_png, write_png
from ..images.contact_sheet import Tile, contact_sheet
from ..output_folder import OutputFolder
from ..progress import Progress
from ..rendering import LAYERS, Renderer, Shot, at_size
from .staging import PICTURE, Picture, Staging, draw
from .writers import THREADS, WRITERS, Coding, Format, Keeper, keep, numbered

DEFAULT_FORMATS = ("png", "mp4")
SHEET = "sheet.png"
_SHEET_PICTURES, _SHEET_TILE = 8, 192  # across a contact sheet, and pixels of the longer side of each


@dataclass(frozen=True)
class Delivery:
    """What is kept of a film.

    Raises:
        InputError: for an unknown format or layer, or formats that exclude each other.
    """

    formats: tuple[str, ...] = DEFAULT_FORMATS
    """Names of `writers.WRITERS`."""
    channels: tuple[str, ...] = ()
    """Layers that become films of their own, names of `rendering.LAYERS`."""
    sheet: bool = False
    """Whether there is a contact sheet."""

    def __post_init__(self) -> None:
        for what, names, known in (("format", self.formats, WRITERS), ("channel", self.channels, LAYERS)):
            for name in names:
                if name not in known:
                    nearest = did_you_mean(name, known)
                    raise InputError(f"there is no {what} '{name}'{nearest}: choose from {', '.join(known)}")
        if not self.formats:
            raise InputError(f"a film needs at least one format of {', '.join(WRITERS)}")
        if {"png", "png16"} <= set(self.formats):
            raise InputError("png and png16 would write files of the same names: choose one of the two")

    @classmethod
    def of(cls, formats: str | None, channels: str | None, sheet: bool, transparent: bool) -> "Delivery":
        """One written as lists with commas; without formats, PNG and, of what is not `transparent`, an mp4."""
        kept = DEFAULT_FORMATS[: 1 if transparent else None] if formats is None else _words(formats)
        return cls(kept, _words(channels or ""), sheet)

    def check(self, transparent: bool) -> None:
        """Refuse formats without alpha for a film that is `transparent`.

        Raises:
            InputError: naming those that have it.
        """
        opaque = [name for name in self.formats if not WRITERS[name].alpha]
        if transparent and opaque:
            able = ", ".join(name for name, form in WRITERS.items() if form.alpha)
            raise InputError(f"{opaque[0]} holds no transparent pictures, which --background none asks for: use {able}")


def _words(text: str) -> tuple[str, ...]:
    """The words of a list with commas, each once."""
    return tuple(dict.fromkeys(word.strip() for word in text.split(",") if word.strip()))


@dataclass(frozen=True, eq=False)
class Film:
    """All that a film is, but for the avatar.

    Raises:
        InputError: when the formats cannot hold its pictures.
    """

    shots: list[Shot]
    fps: float
    staging: Staging = field(default_factory=Staging)
    delivery: Delivery = field(default_factory=Delivery)

    def __post_init__(self) -> None:
        self.delivery.check(self.staging.background.transparent)

    @property
    def identity(self) -> dict[str, Any]:
        """For `fingerprints.fingerprint`."""
        staging, background = self.staging, self.staging.background
        return {
            "lights": [[light.radiance, light.turn, light.carried] for light in staging.lights],
            "staging": [staging.yaw, staging.pitch, staging.turns, staging.exposure],
            "background": [background.kind.value, background.color],
            "delivery": [self.delivery.formats, self.delivery.channels, self.delivery.sheet],
            "shots": [[*shot.pose.tensors, *shot.camera.lens, shot.camera.world_to_camera] for shot in self.shots],
            "fps": self.fps,
        }


@dataclass(frozen=True)
class FilmFiles:
    """What was written."""

    folder: Path
    """`frames/00000.png`, ... and `video.mp4`; of a layer `albedo/00000.png`, ... and `albedo.mp4`."""
    videos: tuple[Path, ...]
    """Of the picture itself."""
    frames: int


def write_film(
    film: Film, renderer: Renderer, out: Path, drawn: Any, progress: Progress, force: bool = False
) -> FilmFiles:
    """Draw a film into the folder `out`; pictures of an interrupted run are kept.

    Args:
        drawn: what the renderer draws, for `fingerprints.fingerprint`: the avatar's files, and whether it has shadows.
        force: replace the pictures of another avatar or other settings.

    Raises:
        InputError: when the folder holds something else, or a file cannot be written.
    """
    forms = [WRITERS[name] for name in film.delivery.formats]
    videos = tuple(_place(out, PICTURE, form) for form in forms if form.is_video)
    files = FilmFiles(out, videos, len(film.shots))
    with OutputFolder.claim(out, "pictures", fingerprint(drawn=drawn, film=film.identity), force) as folder:
        if folder.finished:
            progress.message(f"{out} holds the finished pictures of the same avatar and settings")
            return files
        _write(film, renderer, forms, out, progress)
        if film.delivery.sheet:
            write_png(out / SHEET, _sheet(film, renderer))
        folder.finish()
    return files


def _write(film: Film, renderer: Renderer, forms: list[Format], out: Path, progress: Progress) -> None:
    layers = (PICTURE, *film.delivery.channels)
    done = _done(film, forms, out)
    progress.start("rendering", len(film.shots), done)
    with ThreadPoolExecutor(THREADS) as threads, contextlib.ExitStack() as open_files:
        keepers: dict[str, list[tuple[Format, Keeper]]] = {name: [] for name in layers}
        for name in layers:
            for form in forms:
                keeper = open_files.enter_context(keep(form, _place(out, name, form), film.fps, threads))
                keepers[name].append((form, keeper))
        for index in range(done):
            for name in layers:
                for form, keeper in keepers[name]:
                    if form.is_video:
                        keeper.add(index, _kept(film, out, name, index))
        for index, drawn in enumerate(draw(renderer, film.shots, film.staging, film.delivery.channels, done), done):
            for name in layers:
                values = _values(drawn[name], forms)
                for form, keeper in keepers[name]:
                    keeper.add(index, values[form.coding])
            progress.advance()


def _values(picture: Picture, forms: list[Format]) -> dict[Coding, np.ndarray]:
    """The picture in all codings that the formats ask for."""
    return {coding: coding.values(picture) for coding in {form.coding for form in forms}}


def _done(film: Film, forms: list[Format], out: Path) -> int:
    """How many pictures an interrupted run left that need not be drawn again.

    Videos start again: what they show of those pictures must be found in files that hold no less.
    """
    sequences = [form for form in forms if not form.is_video]
    if not sequences or any(form.is_video and form.coding is not Coding.BYTES for form in forms):
        return 0
    if len(sequences) < len(forms) and "png" not in film.delivery.formats:
        return 0
    layers = (PICTURE, *film.delivery.channels)
    done = 0
    while done < len(film.shots) and all(
        numbered(_place(out, name, form), form, done).is_file() for name in layers for form in sequences
    ):
        done += 1
    return done


def _kept(film: Film, out: Path, layer: str, index: int) -> np.ndarray:
    """A picture that an interrupted run left."""
    form = WRITERS["png"]
    channels = 4 if film.staging.background.transparent else 3
    return read_png(numbered(_place(out, layer, form), form, index), channels, dtype=torch.uint8).numpy()


def _place(out: Path, layer: str, form: Format) -> Path:
    """The folder of a layer's sequence, or its video."""
    if not form.is_video:
        return out / layer
    return out / f"{'video' if layer == PICTURE else layer}{form.suffix}"


def _sheet(film: Film, renderer: Renderer) -> torch.Tensor:
    """Pictures of the film at even distances, each over its layers."""
    count = min(_SHEET_PICTURES, len(film.shots))
    chosen = [index * len(film.shots) // count for index in range(count)]
    rows: list[list[Tile]] = [[] for _ in (PICTURE, *film.delivery.channels)]
    small = at_size(film.shots, _SHEET_TILE)
    for index in chosen:
        drawn = next(draw(renderer, small, film.staging, film.delivery.channels, index))
        for row, (name, picture) in zip(rows, drawn.items(), strict=True):
            label = f"{index} ({index / film.fps:.2f} s)" if name == PICTURE else name
            row.append(Tile(picture.encoded(255)[..., :3].to(torch.uint8), label))
    return contact_sheet(rows)
