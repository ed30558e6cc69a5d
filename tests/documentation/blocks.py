"""The blocks of code and the commands in running text of README.md and docs/, and what a command line is parsed by."""

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import typer

from rgb_cli.app import app

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
PAGES = [ROOT / "README.md", *sorted(DOCS.rglob("*.md"))]
SHELLS = {"bash", "sh", "console"}
NOT_RUN = "# not run: "
"""What a block begins with that cannot run, before the reason."""
_FENCE = re.compile(r"^( *)```(\w*)[^\n]*\n(.*?)^\1```$", re.MULTILINE | re.DOTALL)
_COMMENT = re.compile(r"(^|\s)#\s.*")  # a colour as #4060ff is none
_SPAN = re.compile(r"`(rgb [^`]+)`")
_COMMENT = re.compile(r"(^|\s)#.*")  # a shell takes what is inside a word, as a colour is, for part of it


@dataclass(frozen=True)
class Block:
    """One fenced block of a page."""

    page: Path
    line: int
    """Where its code begins, from 1."""
    language: str
    code: str

    @property
    def skipped(self) -> bool:
        """Whether it says that it cannot run."""
        return self.code.startswith(NOT_RUN)

    def __str__(self) -> str:
        return f"{self.page.relative_to(ROOT)}:{self.line}"


def blocks_of(page: Path) -> list[Block]:
    """The fenced blocks of a page."""
    text = page.read_text(encoding="utf-8")
    return [
        Block(
            page,
            text.count("\n", 0, match.start()) + 2,
            match[2],
            match[3],
        )
        for match in _FENCE.finditer(text)
    ]


def spans_of(page: Path) -> list[str]:
    """What begins with `rgb ` in the running text of a page."""
    return [" ".join(span.split()) for span in _SPAN.findall(_FENCE.sub("", page.read_text(encoding="utf-8")))]


def command_lines(code: str) -> Iterator[list[str]]:
    """The words of every command of a shell block; prompts and comments are left out, as are lines of output."""
    prompted = any(line.startswith("$ ") for line in code.splitlines())
    for line in code.replace("\\\n", " ").splitlines():
        if prompted and not line.startswith("$ "):
            continue
        if words := shlex.split(_COMMENT.sub("", line.removeprefix("$ "))):
            yield words


def parsed(words: list[str]) -> Any:
    """The context of an `rgb` command line, parsed as it would be for a run, which does not take place.

    Raises:
        typer.exceptions.TyperException: as the command line would.
    """
    name, command, rest, context = words[0], root(), words[1:], None
    while True:
        context = command.make_context(name, rest, parent=context)
        rest = [*context._protected_args, *context.args]
        if not hasattr(command, "commands") or not rest:
            return context
        name, command, rest = command.resolve_command(context, rest)


def unknown_in(span: str) -> list[str]:
    """Options and commands that a piece of a command line names and that do not exist; arguments may be missing."""
    command, inside = root(), True
    unknown = []
    for word in span.split()[1:]:
        if word.startswith("-"):
            inside = False
            known = {name for each in command.params for name in [*each.opts, *each.secondary_opts]}
            unknown += [name for name in [word.split("=")[0]] if name not in known | {"--help", "-h"}]
        elif inside and hasattr(command, "commands") and re.fullmatch(r"[a-z-]+", word):
            unknown += [] if word in command.commands else [word]
            command = command.commands.get(word, command)
        else:
            inside = False
    return unknown


@cache
def root() -> Any:
    """The `rgb` command."""
    return typer.main.get_command(app)
