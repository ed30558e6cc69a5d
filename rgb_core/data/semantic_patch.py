"""Adds semantic masks from an archive to downloaded subjects, next to the pictures they label."""

import os
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from ..errors import InputError
from ..images import PngHeader, check_png, read_png_header
from ..progress import Progress
from .archives import Archive, Limits, check_free_space

CHECKPOINTS = "checkpoint/*.frame"
MASKS_OF = {"images": "semantic", "images.HQ": "semantic.HQ"}
"""Folder of masks by folder of pictures."""
_FEW = 5  # names that a sentence lists
_FOLDER_MODE = 0o755  # mkdtemp makes folders that only their owner may read


@dataclass(frozen=True)
class Patched:
    """What was done about one folder of pictures."""

    subject: Path
    folder: str
    """`semantic` or `semantic.HQ`."""
    status: str
    """`written`, `kept` (it was there) or `missing` (the archive has nothing for it)."""
    masks: int = 0
    """Files written."""
    images: int = 0
    """Pictures of the subject at this resolution."""


def find_subjects(folder: str | Path) -> list[Path]:
    """Folders at or below `folder` with checkpoints and pictures, sorted; links are not followed.

    Raises:
        InputError: when there is none.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise InputError(f"{folder} is not a folder")
    found = []
    for name, below, _ in os.walk(folder):
        path = Path(name)
        if any((path / images).is_dir() for images in MASKS_OF) and any(path.glob(CHECKPOINTS)):
            found.append(path)
            below.clear()
        below.sort()
    if not found:
        raise InputError(f"{folder} has no subject: none of its folders holds {CHECKPOINTS} beside images or images.HQ")
    return found


def patch_dataset(
    source: str | Path, folder: str | Path, progress: Progress, limits: Limits | None = None
) -> list[Patched]:
    """Write `semantic` beside `images` and `semantic.HQ` beside `images.HQ` of every subject that lacks them.

    `source` is a ZIP archive or a folder. Its masks of a subject are the PNG files in a folder `SUBJECT`,
    `SUBJECT/semantic[.HQ]` or `semantic[.HQ]/SUBJECT` at any depth, where SUBJECT is the name of the subject's folder;
    case is ignored where no name matches exactly. A plain `SUBJECT` serves `images` where the subject has both kinds
    of pictures. The name may be left out where `folder` has one subject. A folder of masks appears whole or not at
    all, and one that is there is left as it is.

    Raises:
        InputError: when the source is unsafe or damaged, a mask does not fit its picture, or nothing matches.
    """
    subjects = find_subjects(folder)
    with Archive(source, limits) as archive:
        groups = _mask_folders(archive)
        results, work = [], []
        for subject in subjects:
            for images in (name for name in MASKS_OF if (subject / name).is_dir()):
                masks = MASKS_OF[images]
                found = _match(groups, subject, images, len(subjects) == 1, archive.path)
                if os.path.lexists(subject / masks):
                    results.append(Patched(subject, masks, "kept"))
                elif found is None:
                    results.append(Patched(subject, masks, "missing"))
                else:
                    work.append((subject, images, groups[found]))
        if not work and all(result.status == "missing" for result in results):
            raise InputError(
                f"{archive.path} has no masks for {_few(subject.name for subject in subjects)}; "
                f"it holds PNG files in {_few(str(group) for group in groups)}"
            )
        entries = [entry for _, _, group in work for entry in group]
        check_free_space(Path(folder), sum(archive.sizes[entry] for entry in entries))
        progress.start("masks", len(entries))
        results += [_write(archive, *job, progress) for job in work]
    return sorted(results, key=lambda result: (result.subject, result.folder))


def _mask_folders(archive: Archive) -> dict[PurePosixPath, list[PurePosixPath]]:
    """PNG files by the folder that holds them."""
    groups: dict[PurePosixPath, list[PurePosixPath]] = {}
    for entry in sorted(archive.sizes):
        if entry.suffix.lower() == ".png":
            groups.setdefault(entry.parent, []).append(entry)
    return groups


def _meaning(group: PurePosixPath) -> tuple[str, str]:
    """(subject, `semantic` or `semantic.HQ`) that the name of a folder of masks says; '' where it is silent."""
    last, parent = group.name, group.parent.name
    if last in MASKS_OF.values():
        return parent, last
    return last, parent if parent in MASKS_OF.values() else ""


def _match(
    groups: Iterable[PurePosixPath], subject: Path, images: str, alone: bool, source: Path
) -> PurePosixPath | None:
    """The folder of masks for one folder of pictures; `alone` says that there is no other subject to mistake it for."""
    name = subject.resolve().name
    # A folder that does not say which pictures it labels is for those of ordinary size.
    plain = images == "images" or not (subject / "images").is_dir()
    fitting = [
        group for group in groups if _meaning(group)[1] in ((MASKS_OF[images], "") if plain else (MASKS_OF[images],))
    ]
    found = [group for group in fitting if _meaning(group)[0] == name]
    found = found or [group for group in fitting if _meaning(group)[0].casefold() == name.casefold()]
    if not found and alone:
        found = [group for group in fitting if _meaning(group)[1] or not group.name]
    if len(found) > 1:
        raise InputError(f"{source} has several folders of masks for {name}: {_few(map(str, found))}; keep one")
    return found[0] if found else None


def _write(archive: Archive, subject: Path, images: str, entries: list[PurePosixPath], progress: Progress) -> Patched:
    """Copy the masks of one folder of pictures, checking each against its picture."""
    masks = MASKS_OF[images]
    pictures = {path.stem: path for path in (subject / images).iterdir() if path.is_file()}
    if not any(entry.stem in pictures for entry in entries):
        raise InputError(
            f"{archive.path}: no mask in {entries[0].parent} is named like a picture in {subject / images}"
        )
    with _whole_folder(subject / masks) as temporary:
        for entry in entries:
            copy = temporary / entry.name
            archive.extract(entry, copy)
            try:
                mask = check_png(copy, channels=1)
            except InputError as error:
                raise InputError(str(error).replace(str(copy), f"{archive.path}: {entry}")) from None
            _check_size(archive, entry, mask, pictures.get(entry.stem))
            progress.advance()
    return Patched(subject, masks, "written", len(entries), len(pictures))


def _check_size(archive: Archive, entry: PurePosixPath, mask: PngHeader, picture: Path | None) -> None:
    """A mask must have the pixels of its picture; pictures other than PNG are not looked into."""
    if picture is None or picture.suffix.lower() != ".png":
        return
    header = read_png_header(picture)
    if (mask.width, mask.height) != (header.width, header.height):
        raise InputError(
            f"{archive.path}: {entry} is {mask.width} x {mask.height} pixels, "
            f"but {picture} is {header.width} x {header.height}"
        )


@contextmanager
def _whole_folder(path: Path) -> Iterator[Path]:
    """A temporary sibling folder, renamed to `path` when the block ends without an error and removed otherwise."""
    try:
        temporary = Path(tempfile.mkdtemp(prefix=f".{path.name}.", dir=path.parent))
    except OSError as error:
        raise InputError(f"cannot write {path}: {error.strerror or error}") from error
    try:
        yield temporary
        temporary.chmod(_FOLDER_MODE)
        temporary.rename(path)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _few(names: Iterable[str]) -> str:
    """The first names of a list, in one phrase."""
    listed = sorted(names)
    more = f" and {len(listed) - _FEW} more" if len(listed) > _FEW else ""
    return (", ".join(listed[:_FEW]) or "none") + more
