"""What the expression coefficients of one head model are on another."""

from collections.abc import Sequence

import torch
from torch import Tensor

from ..errors import InputError
from .arkit import arkit_parts
from .model import HeadModel

NAMED_SHARE = 0.5
"""A head whose expressions are ARKit shapes to at least this share is driven by name."""


def expression_transfer(source: HeadModel, target: HeadModel) -> Tensor:
    """The matrix [E_target, E_source] that maps expression coefficients of `source` onto `target`.

    The identity between two versions of one model; by ARKit name where both heads use those names (shapes the target
    lacks are dropped, merged shapes get the mean of their sides); otherwise the least-squares fit of the vertex offsets
    of two heads with the same vertices.

    Raises:
        InputError: when the heads share neither names nor vertices.
    """
    like = target.expression_basis
    if source.name == target.name and source.expression_names == target.expression_names:
        return torch.eye(len(target.expression_names), dtype=like.dtype, device=like.device)
    if _is_named(source) and _is_named(target):
        return name_transfer(source.expression_names, target.expression_names).to(like)
    if source.vertex_count == target.vertex_count:
        return _by_vertices(source, target).to(like)
    raise InputError(
        f"the expressions of head model '{source.name}' cannot drive '{target.name}': they do not both "
        f"use ARKit names, and their meshes differ ({source.vertex_count} and {target.vertex_count} vertices); "
        "drive it with coefficients of its own model"
    )


def name_transfer(source: Sequence[str], target: Sequence[str]) -> Tensor:
    """The matrix [E_target, E_source] that maps coefficients of expressions called `source` onto those called `target`.

    Equal names keep their values. ARKit shapes are understood in every spelling: shapes that the target lacks are
    dropped, merged ones get the mean of their sides.
    """
    matrix = torch.zeros(len(target), len(source))
    for row, target_name in enumerate(target):
        wanted = arkit_parts(target_name)
        for column, source_name in enumerate(source):
            if target_name == source_name:
                matrix[row, column] = 1.0
            elif shared := wanted & arkit_parts(source_name):
                matrix[row, column] = len(shared) / len(wanted)
    return matrix


def _is_named(head: HeadModel) -> bool:
    named = sum(bool(arkit_parts(name)) for name in head.expression_names)
    return named > 0 and named >= NAMED_SHARE * len(head.expression_names)


def _by_vertices(source: HeadModel, target: HeadModel) -> Tensor:
    """Least squares through the pseudo-inverse of the small Gram matrix, in double precision."""
    target_basis = target.expression_basis.detach().flatten(1).double().cpu()
    source_basis = source.expression_basis.detach().flatten(1).double().cpu()
    gram = target_basis @ target_basis.t()
    return torch.linalg.pinv(gram, hermitian=True) @ (target_basis @ source_basis.t())
