"""The values of recent steps, read from the device together: a step must not wait for the one before to end."""

import math

import torch

from ..errors import DivergenceError
from ..progress import Progress

_STEPS_AT_ONCE = {"cpu": 1, "cuda": 50}


class StepLog:
    """Collects the loss and the terms of every step, reports them, and stops at the first that is not finite."""

    def __init__(self, progress: Progress, device: torch.device):
        self.names: tuple[str, ...] = ()  # of the values, the loss first
        self._progress = progress
        self._room = _STEPS_AT_ONCE[device.type]
        self._steps: list[tuple[int, str, int, torch.Tensor, tuple[str, ...]]] = []

    @property
    def up_to_date(self) -> bool:
        """Whether everything noted has been read, so that to read more costs no waiting."""
        return not self._steps

    def add(self, step: int, frame: str, values: torch.Tensor, gaussians: int) -> None:
        """Note the values of a step on `frame`.

        Raises:
            DivergenceError: where this or one of the steps since the last report has a value that is not finite.
        """
        self._steps.append((step, frame, gaussians, values, self.names))
        if len(self._steps) >= self._room:
            self.flush()

    def flush(self) -> None:
        """Read and report what was noted.

        Raises:
            DivergenceError: naming the first step, frame and term that is not finite.
        """
        steps, self._steps = self._steps, []
        if not steps:
            return
        rows = torch.nn.utils.rnn.pad_sequence([values for *_, values, _ in steps], batch_first=True).tolist()
        for (step, frame, _, _, names), row in zip(steps, rows, strict=True):
            for name, value in zip(names[1:], row[1:], strict=False):
                if not math.isfinite(value):
                    raise DivergenceError(
                        f"step {step}, frame {frame}: the term '{name}' is not finite; lower learning_rates, then run "
                        "again to continue from the last checkpoint"
                    )
        loss = sum(row[0] for row in rows) / len(rows)
        self._progress.advance(len(steps), loss=loss, gaussians=steps[-1][2])
