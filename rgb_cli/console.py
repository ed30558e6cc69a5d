"""The single place that prints: progress bars and messages on stderr, results on stdout as tables or JSON."""

import json
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext, redirect_stdout
from typing import Any

from rich.console import Console, RenderableType
from rich.live import Live
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.table import Table
from rich.text import Text

from rgb_core.errors import printable

_stderr = Console(stderr=True)
_stdout = Console()
_silent = False


def print_error(sentence: str) -> None:
    """One line on stderr."""
    _say(Text.assemble(("error:", "bold red"), " ", printable(sentence)))


def print_warning(sentence: str) -> None:
    """One line on stderr, unless the command is quiet."""
    if not _silent:
        _say(Text(f"warning: {printable(sentence)}"))


def _say(text: Text) -> None:
    _stderr.print(text, highlight=False, soft_wrap=True)


class Reporter:
    """Draws the progress that `rgb_core` reports; the console of one command.

    Args:
        quiet: print nothing but errors and JSON.
        as_json: print results as one JSON object on stdout.
    """

    def __init__(self, quiet: bool = False, as_json: bool = False):
        global _silent
        self._quiet = _silent = quiet
        self._json = as_json
        self._events = sys.stdout
        self._bars: Progress | None = None
        self._task: TaskID | None = None

    @contextmanager
    def live(self) -> Iterator["Reporter"]:
        """Show progress bars while the block runs."""
        columns = (
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            TextColumn("{task.fields[values]}"),
        )
        with Progress(*columns, console=_stderr, disable=self._quiet) as self._bars:
            yield self
        self._bars = None

    def start(self, stage: str, total: int, done: int = 0) -> None:
        """Begin a bar; see `rgb_core.progress.Progress`."""
        if self._bars is not None:
            self._task = self._bars.add_task(stage, total=total, completed=done, values="")

    def advance(self, units: int = 1, **values: float) -> None:
        """Move the current bar."""
        if self._bars is not None and self._task is not None:
            text = "  ".join(f"{name} {value:.4g}" for name, value in values.items())
            self._bars.update(self._task, advance=units, values=text)

    def message(self, text: str) -> None:
        """One line above the bars."""
        if not self._quiet:
            _say(Text(printable(text)))

    @contextmanager
    def watching(self, picture: Callable[[], RenderableType]) -> Iterator[None]:
        """Show what `picture` makes, again and again while the block runs; lines of `message` stay above it.

        What libraries print meanwhile goes to stderr: stdout has nothing but events.
        """
        drawn = not self._quiet and _stderr.is_terminal
        shown = Live(get_renderable=picture, console=_stderr, refresh_per_second=4) if drawn else nullcontext()
        self._events = sys.stdout
        with redirect_stdout(sys.stderr), shown:
            yield

    def event(self, values: Mapping[str, Any]) -> None:
        """Something that happened while the command runs: one line of JSON, where it was asked for."""
        if self._json:
            print(json.dumps(values), file=self._events, flush=True)

    def result(self, title: str, values: Mapping[str, Any]) -> None:
        """The outcome of the command: a table of names and values, or the same as JSON."""
        if self._json:
            _stdout.print_json(json.dumps(values))
            return
        if self._quiet:
            return
        rows = [(printable(name), value) for name, value in _rows(values)]
        width = max((len(name) for name, _ in rows), default=0)
        _stdout.print(Text(printable(title), "bold"), highlight=False)
        for name, value in rows:  # no table: a path that is cut or broken cannot be copied
            _stdout.print(Text(f"  {name:<{width}}  {value}"), highlight=False, soft_wrap=True)

    def table(self, title: str, columns: Mapping[str, str], rows: Sequence[Mapping[str, Any]]) -> None:
        """Records as a table, or the same as JSON; `columns` gives headings by key, empty ones are left out."""
        if self._json:
            _stdout.print_json(json.dumps({"title": title, "rows": rows}))
            return
        if self._quiet:
            return
        shown = {key: heading for key, heading in columns.items() if any(row[key] is not None for row in rows)}
        table = Table(title=Text(printable(title)), title_justify="left")
        for index, heading in enumerate(shown.values()):
            table.add_column(Text(heading), overflow="fold", justify="right" if index else "left")
        for row in rows:
            table.add_row(*(Text(_cell(row[key])) for key in shown))
        _stdout.print(table)


def _cell(value: Any) -> str:
    if value is None:
        return ""
    return f"{value:.4g}" if isinstance(value, float) else printable(str(value))


def _rows(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    for name, value in values.items():
        if isinstance(value, Mapping):
            yield from _rows(value, f"{prefix}{name} ")
        else:
            yield f"{prefix}{name}", _cell(value)
