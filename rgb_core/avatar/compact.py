"""An avatar's tensors as they are on disk: the tables of expressions as whole numbers, and nothing without effect.

What the Gaussians are on the neutral head is kept in full, since two of equal depth may change places for the least
of changes. A table of 16-bit numbers has a step for every expression and column, its largest magnitude over 32767:
displacements of up to 3 cm are kept to half a micrometre. Learned changes are kept only for the pairs of Gaussian and
expression that have a share of them.
"""

from pathlib import Path

import torch

from ..errors import InputError

_LARGEST = 32767
_SHARES = 255  # steps of a consistency factor between 0 and 1
_EXPRESSION, _CONSISTENCY = "expressions.expression", "expressions.consistency"
_INITIAL, _LEARNED = "expressions.initial", "deltas"
_INDICES = {"attachment.face_id": torch.int32, "expressions.offsets": torch.int32, _EXPRESSION: torch.int16}
_KINDS = {**_INDICES, _CONSISTENCY: torch.uint8, _INITIAL: torch.int16, _LEARNED: torch.int16}


def compact(tensors: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """The tensors of `avatar_tensors` as they are stored.

    Both tables T of 16-bit numbers come with `T.step`, float32 [expressions, columns]. Where a number is not finite a
    step is not, so that reading it fails.
    """
    stored = {name: value.cpu() for name, value in tensors.items()}
    expression = stored[_EXPRESSION]
    stored[_CONSISTENCY] = (stored[_CONSISTENCY] * _SHARES).round()
    learned = stored[_CONSISTENCY] > 0
    stored |= _rounded(_INITIAL, stored[_INITIAL], expression)
    stored |= _rounded(_LEARNED, stored[_LEARNED][learned], expression[learned])
    return {name: value.to(_KINDS.get(name, value.dtype)) for name, value in stored.items()}


def _rounded(name: str, table: torch.Tensor, expression: torch.Tensor) -> dict[str, torch.Tensor]:
    """The table [N, C] in whole steps, and the steps of every expression, whose rows `expression` [N] names."""
    expressions = int(expression.max()) + 1 if len(expression) else 0
    largest = table.new_zeros(expressions, table.shape[1])
    largest.scatter_reduce_(0, expression[:, None].expand_as(table), table.abs(), "amax")
    step = largest / _LARGEST
    return {name: (table / torch.where(step == 0, 1.0, step)[expression]).round(), f"{name}.step": step}


def expand(stored: dict[str, torch.Tensor], path: Path) -> dict[str, torch.Tensor]:
    """The inverse of `compact`, within half a step.

    Args:
        path: where the tensors come from, for messages.

    Raises:
        InputError: when a tensor is missing or of another kind than `compact` makes, or two do not fit each other.
    """
    for name, kind in _KINDS.items():
        if name not in stored:
            raise InputError(f"{path} lacks '{name}'; fit the avatar again")
        if stored[name].dtype != kind:
            raise InputError(f"{path}: {name} holds {stored[name].dtype}, expected {kind}")
    steps = {f"{name}.step" for name in (_INITIAL, _LEARNED)}
    tensors = {name: value for name, value in stored.items() if name not in steps}
    tensors |= {name: tensors[name].long() for name in _INDICES}
    expression, shares = tensors[_EXPRESSION], tensors[_CONSISTENCY]
    if expression.ndim != 1 or shares.shape != expression.shape:
        raise InputError(f"{path}: {_CONSISTENCY} has shape {list(shares.shape)}, not that of {_EXPRESSION}")
    learned = shares > 0
    tensors[_CONSISTENCY] = shares / _SHARES
    tensors[_INITIAL] = _in_full(_INITIAL, stored, expression, path)
    rows = _in_full(_LEARNED, stored, expression[learned], path)
    tensors[_LEARNED] = rows.new_zeros(len(expression), rows.shape[1]).index_put_((learned,), rows)
    return tensors


def _in_full(name: str, stored: dict[str, torch.Tensor], expression: torch.Tensor, path: Path) -> torch.Tensor:
    """The table [N, C] of `name`, whose rows belong to `expression` [N]."""
    table, step = stored[name], stored.get(f"{name}.step")
    if step is None:
        raise InputError(f"{path} lacks '{name}.step'; fit the avatar again")
    fits = table.ndim == 2 and len(table) == len(expression) and step.dtype == torch.float32 and step.ndim == 2
    if not fits or step.shape[1] != table.shape[1] or not bool(((expression >= 0) & (expression < len(step))).all()):
        raise InputError(
            f"{path}: {name} has shape {list(table.shape)} and steps of shape {list(step.shape)}; expected one row for "
            "every pair with a share, and steps for every expression"
        )
    return table * step[expression]
