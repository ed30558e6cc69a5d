"""Any head model a user may have, told apart by content."""

import zipfile
from pathlib import Path

from ...errors import InputError
from ...files import open_regular
from ...numpy_files import UNREADABLE
from ..model import HeadModel
from ..storage import load_head
from .flame import REGISTER, REQUIRED, load_flame
from .ict import DOWNLOAD, ict_folder, load_ict
from .torch_files import ZIP_MAGIC


def load_any_head(path: Path | str) -> HeadModel:
    """A head.npz, a FLAME model (pickle or npz) or a folder of ICT-FaceKit.

    Raises:
        InputError: when the path is none of them; says where to get what is missing.
    """
    path = Path(path)
    if is_flame(path):
        return load_flame(path)
    if not path.is_dir():
        return load_head(path)
    if ict_folder(path) is None:
        raise InputError(f"{path} is a folder without a head model; give a FLAME file, or {DOWNLOAD}")
    return load_ict(path)


def is_flame(path: Path | str) -> bool:
    """Whether the file is a pickle, which of all head models only FLAME is, or an archive with FLAME's arrays.

    Raises:
        InputError: when nothing is there; says where to get a head model.
    """
    path = Path(path)
    if path.is_dir():
        return False
    if not path.exists():
        raise InputError(f"{path} does not exist; give a head.npz, or {REGISTER}, or {DOWNLOAD}")
    try:
        with open_regular(path) as stream:
            zipped = stream.read(len(ZIP_MAGIC)) == ZIP_MAGIC
            if not zipped:
                return path.suffix != ".npz"
            with zipfile.ZipFile(stream) as archive:
                return f"{REQUIRED[0]}.npy" in archive.namelist()
    except UNREADABLE:
        return False
