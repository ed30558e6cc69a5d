"""What the layouts that track FLAME share: the head model, coefficient vectors of any length, 6D rotations."""

import dataclasses
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from ...errors import InputError
from ...heads import HeadModel, load_any_head
from ...rotations import matrix_to_axis_angle
from ..records import Record
from .source import numbers

JOINTS = 5  # root, neck, jaw, and two eyes whose order is that of the arrays, whatever a tracker calls them
_PARENTS = [-1, 0, 1, 1, 1]
EYELIDS = ("eyelidLeft", "eyelidRight")
"""Names of the eyelid expressions of a head model, in the order of the trackers' columns."""
UPSTREAM_SCALE = 4.0  # IMavatar and HRAvatar enlarge FLAME by it; their translations are in that unit
VERTICES, VERTICES_WITH_TEETH = 5023, 5143


def load_flame(head_file: Path | None, version: str, layout: str) -> HeadModel:
    """The FLAME model of `version` ('flame2020' or 'flame2023') that a layout's coefficients refer to.

    Raises:
        InputError: when no file was given, or it holds another model.
    """
    if head_file is None:
        raise InputError(
            f"the {layout} layout tracks {version}: give the model file with --head (register at flame.is.tue.mpg.de)"
        )
    head = load_any_head(head_file)
    if head.joint_parents.tolist() != _PARENTS:
        raise InputError(f"{head_file} is no FLAME model: its joints are not root, neck, jaw and two eyes")
    if head.name.startswith("flame") and not head.name.startswith(version):
        raise InputError(f"{head_file} is {head.name}, but the {layout} layout tracks {version}: expressions differ")
    return head


class CoefficientReader:
    """Turns tracked vectors of a layout into those of one head model, and remembers what did not fit."""

    def __init__(self, head: HeadModel) -> None:
        self.head = head
        self._lids = [head.expression_index(name) for name in EYELIDS if name in head.expression_names]
        self._modes = [index for index, name in enumerate(head.expression_names) if name not in EYELIDS]
        self._lost_lids = False

    def shape(self, record: Record, key: str) -> Tensor:
        """[S] float64 identity."""
        return _resized(record, key, self.head.shape_basis.shape[0])

    def expression(self, record: Record, key: str, lids: str = "eyelids") -> Tensor:
        """[E] float64 expression, with the eyelids where the record has the key `lids` (left, right)."""
        expression = torch.zeros(self.head.expression_basis.shape[0], dtype=torch.float64)
        expression[self._modes] = _resized(record, key, len(self._modes))
        if lids in record.values:
            amounts = torch.from_numpy(numbers(record, lids, len(EYELIDS)))
            if self._lids:
                expression[self._lids] = amounts
            elif bool(amounts.any()):
                self._lost_lids = True
        return expression

    @property
    def notes(self) -> list[str]:
        """What the user should know about coefficients that the head model cannot express."""
        note = "eyelids are left out: the head model has no shapes for them (rgb head convert --eyelids adds them)"
        return [note] if self._lost_lids else []


def _resized(record: Record, key: str, length: int) -> Tensor:
    """The numbers of `key` with zeros appended, or zeros cut off."""
    values = numbers(record, key)
    if np.any(values[length:]):
        record.fail(key, f"has {len(values)} coefficients, but the head model has {length}; give one with as many")
    return torch.from_numpy(np.pad(values[:length], (0, max(0, length - len(values)))))


def axis_angles(flat: np.ndarray) -> Tensor:
    """[J, 3] float64 from J axis-angle vectors in a row."""
    return torch.from_numpy(flat).view(-1, 3)


def rotations_6d(flat: np.ndarray) -> Tensor:
    """[N, 3] axis-angle of N six-number rotations in a row: the first two rows of each matrix, made orthonormal.

    Zhou et al., On the Continuity of Rotation Representations (CVPR 2019), with PyTorch3D's rows for columns.
    """
    first, second = torch.from_numpy(flat).view(-1, 2, 3).unbind(1)
    x = torch.nn.functional.normalize(first, dim=-1)
    y = torch.nn.functional.normalize(second - (x * second).sum(-1, keepdim=True) * x, dim=-1)
    return matrix_to_axis_angle(torch.stack([x, y, torch.linalg.cross(x, y)], 1))


def personalised(head: HeadModel, record: Record, key: str, offsets: np.ndarray) -> HeadModel:
    """`head` with per-vertex `offsets` [5023 or 5143, 3] in its template; the teeth are the last vertices of FLAME.

    Raises:
        InputError: when the offsets are those of another mesh.
    """
    count = head.vertex_count
    if len(offsets) != count and {len(offsets), count} != {VERTICES, VERTICES_WITH_TEETH}:
        record.fail(key, f"has {len(offsets)} vertices, but the head model has {count}")
    padded = np.pad(offsets[:count], ((0, max(0, count - len(offsets))), (0, 0)))
    vertices = head.vertices + torch.from_numpy(padded.astype(np.float32))
    joints = head.joint_positions if head.joint_regressor is None else head.joint_regressor @ vertices
    return dataclasses.replace(head, vertices=vertices, joint_positions=joints)
