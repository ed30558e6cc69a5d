"""Head models: loading, saving, posing, subdivision, and what one model's expressions mean to another."""

from .builtin import builtin_head
from .foreign import load_any_head, load_frame_file, load_restricted_pickle
from .model import HeadModel, PosedHead
from .motion import MOTION_FORMAT, MOTION_VERSION, Motion, motion_record
from .normals import vertex_normals
from .pose import Pose
from .shoulders import with_shoulders
from .storage import load_head, save_head
from .subdivision import subdivide
from .transfer import expression_transfer, name_transfer

__all__ = [
    "HeadModel",
    "MOTION_FORMAT",
    "MOTION_VERSION",
    "Motion",
    "Pose",
    "PosedHead",
    "builtin_head",
    "expression_transfer",
    "load_any_head",
    "load_frame_file",
    "load_head",
    "load_restricted_pickle",
    "motion_record",
    "name_transfer",
    "save_head",
    "subdivide",
    "vertex_normals",
    "with_shoulders",
]
