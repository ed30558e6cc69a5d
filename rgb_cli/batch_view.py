"""The live table of `rgb batch`, and its events for machines."""

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from rich.table import Table
from rich.text import Text

from rgb_core.errors import printable

from .console import Reporter

if TYPE_CHECKING:
    from rgb_core.batch.records import SubjectRecord

_MOST_ROWS = 20  # of subjects that run


@dataclass
class _Row:
    stage: str = ""
    what: str = ""
    done: int = 0
    total: int = 0
    began: float = field(default_factory=time.monotonic)
    first: int = 0  # units that an earlier run had done

    def left(self) -> float | None:
        """Seconds until the present work is done, as fast as it went so far."""
        new = self.done - self.first
        return (time.monotonic() - self.began) * (self.total - self.done) / new if new > 0 else None


class BatchView:
    """Listens to a batch and shows it.

    Args:
        reporter: the console of the command.
    """

    def __init__(self, reporter: Reporter):
        self._reporter = reporter
        self._rows: dict[str, _Row] = {}
        self._ended: set[str] = set()
        self._waiting = self._finished = self._failed = 0
        self._began = time.monotonic()

    def begin(self, subjects: Sequence[str], given_up: Sequence[str]) -> None:
        """See `rgb_core.batch.options.Listener`."""
        self._waiting, self._began = len(subjects), time.monotonic()
        self._reporter.event({"event": "begin", "subjects": list(subjects), "failed_before": list(given_up)})
        if given_up:
            self._reporter.message(f"{len(given_up)} subjects failed before: --retry-failed tries them again")

    def event(self, event: dict[str, Any]) -> None:
        """See `rgb_core.batch.options.Listener`."""
        self._reporter.event({"event": "progress", **event})
        if "message" in event or event["subject"] in self._ended:  # what is told may arrive late
            return
        row = self._rows.setdefault(event["subject"], _Row())
        if "what" in event:
            row.what, row.began, row.first = event["what"], time.monotonic(), event["done"]
        row.stage, row.done, row.total = event["stage"], event["done"], event["total"]

    def end(self, subject: str, record: "SubjectRecord") -> None:
        """See `rgb_core.batch.options.Listener`."""
        self._ended.add(subject)
        self._rows.pop(subject, None)
        failure = record.failure
        self._failed += failure is not None
        self._finished += failure is None
        result = f"failed in {failure.stage}: {failure.sentence}" if failure else f"finished, {record.seconds:.1f} s"
        self._reporter.message(f"{subject}: {result}")
        told = {"stage": failure.stage, "sentence": failure.sentence} if failure else {}
        self._reporter.event(
            {"event": "failed" if failure else "finished", "subject": subject, "seconds": record.seconds, **told}
        )

    def table(self) -> Table:
        """The subjects that run, and how many there are of the others."""
        table = Table(title=Text(self._summary()), title_justify="left")
        for heading in ("subject", "stage", "work", "progress", "left"):
            table.add_column(heading, no_wrap=True, justify="right" if heading in ("progress", "left") else "left")
        for name, row in list(self._rows.items())[:_MOST_ROWS]:
            share = f"{row.done / row.total:.0%}" if row.total else ""
            what = printable(row.what) if row.what != row.stage else ""
            table.add_row(*map(Text, (name, row.stage, what, share, _duration(row.left()))))
        if len(self._rows) > _MOST_ROWS:
            table.add_row(f"and {len(self._rows) - _MOST_ROWS} more")
        return table

    def _summary(self) -> str:
        ended = self._finished + self._failed
        left = self._waiting - ended
        spent = time.monotonic() - self._began
        rest = f", about {_duration(spent * left / ended)} left" if ended and left else ""
        return f"{self._finished} of {self._waiting} finished, {self._failed} failed{rest}"


def _duration(seconds: float | None) -> str:
    if seconds is None:
        return ""
    if seconds < 100:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 6000 else f"{seconds / 3600:.1f} h"
