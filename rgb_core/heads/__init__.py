"""Head models: loading, saving, posing, subdivision, and what one model's expressions mean to another."""

from .builtin import builtin_head
from .foreign import load_any_head, load_frame_file, load_restricted_pickle
from .model import HeadModel, PosedHead
from .normals import vertex_normals
from .rotations import NECK, axis_angle_to_matrix, matrix_to_axis_angle, nearest_rotation, skull_rotation
from .storage import load_head, save_head
from .subdivision import subdivide
from .transfer import expression_transfer

__all__ = [
    "NECK",
    "HeadModel",
    "PosedHead",
    "axis_angle_to_matrix",
    "builtin_head",
    "expression_transfer",
    "load_any_head",
    "load_frame_file",
    "load_head",
    "load_restricted_pickle",
    "matrix_to_axis_angle",
    "nearest_rotation",
    "save_head",
    "skull_rotation",
    "subdivide",
    "vertex_normals",
]
