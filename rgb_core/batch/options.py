"""What a user chooses about a run of a batch, and who hears of it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from .records import SubjectRecord


@dataclass(frozen=True)
class BatchOptions:
    """What a user can choose about one run."""

    only: tuple[str, ...] = ()
    """Names of subjects, or patterns such as `nf_*`; none means all."""
    retry_failed: bool = False
    """Try the subjects again that failed before."""
    max_failures: int | None = None
    """Stop after so many subjects have failed; what was running continues in the next run."""
    address: str | None = None
    """Of a Ray cluster; None starts Ray on this machine."""
    workers: int | None = None
    """Stages that this machine may run at once; None for as many as its cores allow."""
    device: str = "auto"
    """`auto`, `cpu` or `cuda`."""
    force: bool = False
    """Replace the work of other settings."""


class Listener(Protocol):
    """Receives what happens in a batch; `rgb_cli` draws it."""

    def begin(self, subjects: Sequence[str], given_up: Sequence[str]) -> None:
        """These subjects run; those given up failed before and are not tried again."""

    def event(self, event: dict[str, Any]) -> None:
        """A subject and its stage, with some of: `what`, `done` and `total` units of it, and a `message`."""

    def end(self, subject: str, record: SubjectRecord) -> None:
        """A subject is finished, or failed."""
