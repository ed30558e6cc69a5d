"""The loop of a fit: start or continue, step by step, with checkpoints."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, Protocol

from torch import Tensor

from ..progress import Progress
from .checkpoint import load_checkpoint, save_checkpoint
from .log import StepLog


class Fit(Protocol):
    """What the loop asks of a stage of fitting."""

    @property
    def log(self) -> StepLog:
        """Where its steps leave their values."""

    def active(self) -> AbstractContextManager[None]:
        """Around all steps."""

    def start(self) -> None:
        """Prepare the first step of a run that begins anew."""

    def restore(self, tensors: dict[str, Tensor], meta: dict[str, Any]) -> None:
        """Continue where `state` was taken."""

    def step(self, step: int) -> None:
        """Look at some frames, update, and add the step's values to the log."""

    def state(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """Everything that the next step depends on: tensors, and JSON values."""


def run_fit(
    fit: Fit,
    stage: str,
    steps: int,
    checkpoint_every: int,
    folder: Path,
    progress: Progress,
    on_checkpoint: Callable[[int], None] | None = None,
) -> None:
    """Do all steps of a fit, continuing from the checkpoint in `folder` where there is one.

    Args:
        on_checkpoint: called after every checkpoint with the number of steps done.

    Raises:
        DivergenceError: at the first value that is not finite; the last checkpoint is kept.
        InputError: when the checkpoint cannot be read or written.
    """
    checkpoint = load_checkpoint(folder)
    done = 0
    with fit.active():
        if checkpoint is None:
            fit.start()
        else:
            tensors, meta = checkpoint
            fit.restore(tensors, meta)
            done = meta["step"]
        progress.start(stage, steps, done)
        for step in range(done, steps):
            fit.step(step)
            if (step + 1) % checkpoint_every == 0 and step + 1 < steps:
                fit.log.flush()
                tensors, meta = fit.state()
                save_checkpoint(folder, tensors, {**meta, "step": step + 1})
                if on_checkpoint is not None:
                    on_checkpoint(step + 1)
        fit.log.flush()
