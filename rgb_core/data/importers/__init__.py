"""Importers of the field's dataset layouts: one file per layout, one table, one native dataset as the result."""

from dataclasses import dataclass
from pathlib import Path

from ...errors import InputError
from ...fingerprints import fingerprint
from ...heads import Pose
from ...images import write_png
from ...output_folder import OutputFolder
from ...progress import Progress, Silent
from ..dataset import Dataset, load_dataset
from ..frame import check_id
from ..records import Record
from ..writer import DatasetWriter
from . import hravatar, metrical, native, vhap
from .folder import SourceFolder
from .gate import check_projection
from .imavatar import IMAVATAR, MONOFACECOMPUTE
from .insta import INSTA_LAYOUT, VHAP_MESH_LAYOUT
from .pictures import place_rgba, read_labels
from .source import Layout, Source, SourceFrame
from .still_camera import camera_moves, hold_camera

__all__ = ["LAYOUTS", "Imported", "SourceFolder", "detect", "import_dataset"]

LAYOUTS: dict[str, Layout] = {
    layout.name: layout
    for layout in (
        metrical.LAYOUT,
        vhap.LAYOUT,
        hravatar.LAYOUT,
        MONOFACECOMPUTE,
        IMAVATAR,
        VHAP_MESH_LAYOUT,
        INSTA_LAYOUT,
        native.LAYOUT,
    )
}
"""All layouts by name, in the order in which they are tried."""


@dataclass(frozen=True)
class Imported:
    """What an import made."""

    dataset: Dataset
    layout: str
    overlap: float
    """Mean intersection over union of the projected mesh and the matte."""


def detect(folder: SourceFolder) -> Layout:
    """The layout of a folder.

    Raises:
        InputError: when it has none of the known ones.
    """
    for layout in LAYOUTS.values():
        if layout.matches(folder):
            return layout
    markers = ", ".join(f"{layout.marker} ({layout.name})" for layout in LAYOUTS.values())
    raise InputError(f"{folder.path} has no layout that rgb import knows; it would hold one of: {markers}")


def import_dataset(
    source: str | Path,
    out: str | Path,
    head_file: Path | None = None,
    layout: str | None = None,
    copy: bool = False,
    progress: Progress | None = None,
    force: bool = False,
) -> Imported:
    """Write the tracked clip in the folder `source` as a native dataset to `out`; an interrupted import continues.

    Args:
        head_file: the head model that the coefficients refer to, where the layout does not carry one.
        layout: one of `LAYOUTS`; detected where None.
        copy: copy pictures instead of linking those that need no change.
        force: replace what another import left in `out`.

    Raises:
        InputError: at the first thing in the source that cannot be used, or when `out` holds something else.
    """
    progress = progress or Silent()
    folder = SourceFolder(source)
    if layout is not None and layout not in LAYOUTS:
        raise InputError(f"no layout is called '{layout}'; choose one of {', '.join(LAYOUTS)}")
    clip = (LAYOUTS[layout] if layout else detect(folder)).read(folder, head_file, progress)
    _check_ids(folder, clip.frames)
    verdict = check_projection(clip)
    for note in (*clip.notes, *([verdict.warning] if verdict.warning else [])):
        progress.message(note)
    frames = clip.frames
    if clip.camera_holds_motion and camera_moves(frames):
        frames = tuple(hold_camera(frames, clip.head, clip.shape))
    with OutputFolder.claim(out, "dataset", _fingerprint(clip, frames, copy), force) as owned:
        if owned.finished:
            progress.message(f"{out} holds the finished import of the same data")
            return Imported(load_dataset(owned.path), clip.layout, verdict.overlap)
        dataset = _write(folder, clip, frames, owned.path, copy, progress)
        owned.finish()
    return Imported(dataset, clip.layout, verdict.overlap)


def _fingerprint(clip: Source, frames: tuple[SourceFrame, ...], copy: bool) -> str:
    records = [{**vars(frame), "camera": [*frame.camera.lens, frame.camera.world_to_camera]} for frame in frames]
    return fingerprint(
        layout=clip.layout,
        head=clip.head.parts(),
        shape=clip.shape,
        frames=records,
        fps=clip.fps,
        light_frame=clip.light_frame,
        copy=copy,
    )


def _check_ids(folder: SourceFolder, frames: tuple[SourceFrame, ...]) -> None:
    """Ids become file names: each is one, and no two are the same."""
    seen: set[str] = set()
    for frame in frames:
        check_id(Record({"id": frame.id}, f"{folder.path}, frame {frame.image.name}"), "id")
        if frame.id in seen:
            raise InputError(f"{folder.path} has two frames with the id '{frame.id}'; rename one of them")
        seen.add(frame.id)


def _write(
    folder: SourceFolder, clip: Source, frames: tuple[SourceFrame, ...], out: Path, copy: bool, progress: Progress
) -> Dataset:
    where = folder.path.resolve()
    origin = {"imported": {"layout": clip.layout, "folder": str(where)}}
    light, shape = clip.light_frame, clip.shape.tolist()
    writer = DatasetWriter(out, where.name, clip.size, clip.fps, clip.head, light, shape, origin)
    progress.start("importing pictures", len(frames))
    for frame in frames:
        if not writer.has_frame(frame.id):
            _place(frame, clip.size, out, copy)
        writer.add_frame(frame.id, frame.split, frame.camera, Pose(frame.expression, frame.joints, frame.translation))
        progress.advance()
    return writer.finish()


def _place(frame: SourceFrame, size: tuple[int, int], out: Path, copy: bool) -> None:
    """The files of a frame where the writer looks for them; the image last, which says that the frame is complete."""
    if frame.semantic is not None:
        write_png(out / "semantic" / f"{frame.id}.png", read_labels(frame.semantic, size))
    place_rgba(frame.image, frame.mask, size, out / "images" / f"{frame.id}.png", copy)
