"""The values of recent steps, read from the device together: a step must not wait for the one before to end."""

import math
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from ..errors import DivergenceError
from ..progress import Progress


class _Noted(NamedTuple):
    step: int
    where: str
    names: tuple[str, ...]
    values: Tensor
    counts: dict[str, float]


class StepLog:
    """Collects named values of every step, reports some of them, and stops at the first that is not finite.

    Args:
        shown: the values whose mean over the steps of a report is shown.
        steps_at_once: steps between reports from a device that the host would have to wait for; on a CPU every step is
            reported.
    """

    def __init__(self, progress: Progress, device: torch.device, shown: Sequence[str], steps_at_once: int):
        self._progress = progress
        self._shown = tuple(shown)
        self._room = 1 if device.type == "cpu" else steps_at_once
        self._noted: list[_Noted] = []

    @property
    def up_to_date(self) -> bool:
        """Whether everything noted has been read: then the device has nothing left to do, and reading is free."""
        return not self._noted

    def add(self, step: int, where: str, names: Sequence[str], values: Tensor, **counts: float) -> None:
        """Note the `values` [N] called `names` of a step on the frames `where`; `counts` are shown as they are.

        Raises:
            DivergenceError: where this or one of the steps since the last report has a value that is not finite.
        """
        self._noted.append(_Noted(step, where, tuple(names), values, counts))
        if len(self._noted) >= self._room:
            self.flush()

    def flush(self) -> None:
        """Read and report what was noted.

        Raises:
            DivergenceError: naming the first step, its frames and the value that is not finite.
        """
        noted, self._noted = self._noted, []
        if not noted:
            return
        rows = torch.nn.utils.rnn.pad_sequence([entry.values for entry in noted], batch_first=True).tolist()
        records = [dict(zip(entry.names, row, strict=False)) for entry, row in zip(noted, rows, strict=True)]
        for entry, record in zip(noted, records, strict=True):
            for name, value in record.items():
                if not math.isfinite(value):
                    raise DivergenceError(
                        f"step {entry.step}, {entry.where}: the {name} is not finite; lower the learning rates, then "
                        "run again to continue from the last checkpoint"
                    )
        means: dict[str, float] = {}
        for name in self._shown:
            values = [record[name] for record in records if name in record]
            means |= {name: sum(values) / len(values)} if values else {}
        self._progress.advance(len(noted), **means, **noted[-1].counts)
