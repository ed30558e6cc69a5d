"""How long work reports on itself without printing."""

from typing import Protocol


class Progress(Protocol):
    """Receives what long work has to say; `rgb_cli` draws it."""

    def start(self, stage: str, total: int, done: int = 0) -> None:
        """A stage of `total` units begins, `done` of which an earlier run finished."""

    def advance(self, units: int = 1, **values: float) -> None:
        """`units` are done; `values` (loss, psnr, ...) are worth showing."""

    def message(self, text: str) -> None:
        """One line worth keeping on screen."""


class Silent:
    """Reports nowhere."""

    def start(self, stage: str, total: int, done: int = 0) -> None:
        """Ignore the stage."""

    def advance(self, units: int = 1, **values: float) -> None:
        """Ignore the units."""

    def message(self, text: str) -> None:
        """Ignore the line."""
