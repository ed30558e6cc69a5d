"""A manifest from a folder of clips: what each folder and file is, found as `rgb import` and `rgb track` do."""

import re
from pathlib import Path
from typing import Any

import yaml

from ..data import load_dataset
from ..data.dataset import FILE_NAME
from ..data.importers import SourceFolder, detect
from ..errors import InputError
from ..files import write_text
from ..output_folder import MARKER
from .manifest import FORMAT, VERSION

_VIDEOS = frozenset({".mp4", ".mov", ".mkv", ".webm", ".avi", ".m4v"})
_DEEPEST = 3  # folders between the one that is given and a clip
_UNNAMEABLE = re.compile(r"[^A-Za-z0-9._-]+")


def write_manifest_of_folder(folder: Path, path: Path, defaults: dict[str, str], force: bool = False) -> int:
    """Write a manifest with a subject for every clip, dataset and video below `folder`; returns how many there are.

    Args:
        defaults: fields that all subjects share, as `head` or `preset`.
        force: replace a file that exists.

    Raises:
        InputError: when nothing there can be tracked or imported, or the file exists.
    """
    if path.exists() and not force:
        raise InputError(f"{path} exists; give another file, or replace it by --force")
    if not folder.is_dir():
        raise InputError(f"{folder} is not a folder; give one that holds clips")
    subjects: dict[str, dict[str, str]] = {}
    for clip, source in _found(folder.absolute(), 0):
        subjects[_free_name(clip, subjects)] = {source: str(clip)}
    if not subjects:
        raise InputError(f"{folder} has no video and no clip that rgb import knows, {_DEEPEST} folders deep")
    table = {"format": FORMAT, "version": VERSION, "defaults": defaults, "subjects": subjects}
    write_text(path, yaml.safe_dump(table, sort_keys=False, allow_unicode=True))
    return len(subjects)


def _found(folder: Path, depth: int) -> list[tuple[Path, str]]:
    """Paths of clips and which source of a subject each is.

    A folder with clips in folders of its own is not one itself, whatever it looks like; what else lies in a clip, such
    as a video of its tracking, belongs to it. Of what runs of this program left, datasets alone can be fitted: a film
    of an avatar is nobody's video.
    """
    if (folder / MARKER).is_file():
        return [(folder, source)] if (source := _source(folder)) == "dataset" else []
    below: list[tuple[Path, str]] = []
    videos: list[tuple[Path, str]] = []
    for path in sorted(folder.iterdir()):
        if path.is_dir() and depth < _DEEPEST and not path.name.startswith("."):
            below += _found(path, depth + 1)
        elif path.is_file() and path.suffix.lower() in _VIDEOS:
            videos.append((path, "video"))
    if depth and all(source == "video" for _, source in below) and (source := _source(folder)):
        return [(folder, source)]
    return videos + below


def _source(folder: Path) -> str | None:
    """`dataset` or `clip` where a folder is one."""
    if (folder / FILE_NAME).is_file():
        try:
            load_dataset(folder)
        except InputError:  # the tracking of somebody's own program, which an import completes
            return "clip"
        return "dataset"
    try:
        detect(SourceFolder(folder))
    except InputError:
        return None
    return "clip"


def _free_name(path: Path, taken: dict[str, Any]) -> str:
    """A name for a subject that is none of those taken: of its file or folder, then of the folders above too."""
    parts = [path.stem if path.is_file() else path.name]
    for above in (None, *path.parents):
        if above is not None:
            parts.insert(0, above.name)
        name = _UNNAMEABLE.sub("_", "_".join(parts)).lstrip("._-")[-100:] or "subject"
        if name not in taken:
            return name
    raise InputError(f"{path} has the name of another clip; rename it")
