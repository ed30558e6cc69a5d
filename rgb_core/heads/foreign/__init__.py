"""Head models and tracking files in other programs' formats, read without trusting them."""

from .detect import is_flame, load_any_head
from .flame import load_flame
from .ict import load_ict
from .pickles import load_restricted_pickle
from .torch_files import load_frame_file, load_npy

__all__ = [
    "is_flame",
    "load_any_head",
    "load_flame",
    "load_frame_file",
    "load_ict",
    "load_npy",
    "load_restricted_pickle",
]
