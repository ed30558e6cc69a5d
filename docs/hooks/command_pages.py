"""Writes a page for every `rgb` command while the site is built, from what the command's `--help` is made of."""

import re
from collections.abc import Iterator
from enum import Enum
from pathlib import Path
from typing import Any

import typer
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

from rgb_cli.app import app

SECTION, INDEX = "Commands", "commands/index.md"
"""The entry of the nav that the pages are listed under, and the page that lists them, which is written by hand."""
_EXAMPLE = re.compile(r"^Examples?:\s*", re.MULTILINE)
_VALUES = {Path: "PATH", str: "TEXT", int: "INTEGER", float: "NUMBER"}


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """List the pages in the nav."""
    pages: list[Any] = [{f"rgb {name}": f"commands/{name}.md"} for name in _commands()]
    for entry in config.nav or []:
        if isinstance(entry, dict) and SECTION in entry:
            entry[SECTION] = [INDEX, *pages]
    return config


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages."""
    for name, command in _commands().items():
        text = "\n".join(_page(name, command))
        files.append(File.generated(config, f"commands/{name}.md", content=text))
    return files


def on_page_markdown(markdown: str, page: Any, config: MkDocsConfig, files: Files) -> str:
    """Put the table of all commands into the page that lists them."""
    if page.file.src_uri != INDEX:
        return markdown
    rows = [f"| [`rgb {name}`]({name}.md) | {_cell(_summary(command))} |" for name, command in _commands().items()]
    return "\n".join([markdown, "", "| command | what it does |", "|---|---|", *rows, ""])


def _commands() -> dict[str, Any]:
    """The commands by name, in the order of `rgb --help`."""
    return typer.main.get_command(app).commands  # type: ignore[attr-defined]


def _summary(command: Any) -> str:
    return command.help.strip().split("\n")[0]


def _page(name: str, command: Any) -> Iterator[str]:
    """The Markdown of a command and of the commands below it."""
    yield f"# rgb {name}\n"
    yield from _body(name, command)
    for inner_name, inner in getattr(command, "commands", {}).items():
        yield f"\n## rgb {name} {inner_name}\n"
        yield from _body(f"{name} {inner_name}", inner)


def _body(name: str, command: Any) -> Iterator[str]:
    text, *examples = _EXAMPLE.split(command.help.replace("\b", "").strip())
    yield text.strip() + "\n"
    lines = [line for block in examples for line in re.split(r"\s*\n\s*|\s+(?=rgb )", block.strip()) if line]
    if lines:
        yield "\n".join(["```console", *(f"$ {line}" if line.startswith("rgb ") else line for line in lines), "```\n"])
    arguments = [each for each in command.params if each.param_type_name == "argument"]
    options = [each for each in command.params if each.param_type_name == "option" and not each.hidden]
    below = " COMMAND" if getattr(command, "commands", None) else ""
    usage = " ".join(each.metavar or each.name.upper() for each in arguments)
    yield f"Usage: `rgb {name}{' [OPTIONS]' if options else ''}{below}{' ' + usage if usage else ''}`\n"
    if arguments:
        yield "| argument | |\n|---|---|"
        yield from (f"| `{each.metavar or each.name.upper()}` | {_cell(each.help or '')} |" for each in arguments)
        yield ""
    if options:
        yield "| option | |\n|---|---|"
        yield from (_row(each) for each in options)


def _row(option: Any) -> str:
    """One line of the table of options: names, what they take, what they do and what holds without them."""
    names = " ".join(f"`{name}`" for name in [*option.opts, *option.secondary_opts])
    notes = [_cell(option.help or "")]
    if option.required:
        notes.append("**Required.**")
    elif not option.is_flag and option.default is not None:
        default = option.default.value if isinstance(option.default, Enum) else option.default
        notes.append(f"Default `{default}`.")
    return f"| {names} {_cell(_value(option))} | {' '.join(notes)} |"


def _value(option: Any) -> str:
    """What an option takes."""
    if option.is_flag:
        return ""
    if option.metavar:
        return str(option.metavar)
    kind = option.type_descriptor.annotation
    if isinstance(kind, type) and issubclass(kind, Enum):
        return " or ".join(choice.value for choice in kind)
    reach = "" if option.min is None else f" {option.min} to {option.max}" if option.max else f" from {option.min}"
    return f"{_VALUES.get(kind, 'VALUE')}{reach}"


def _cell(text: str) -> str:
    """Text that does not end its cell, nor turn into tags."""
    return " ".join(text.split()).replace("|", "\\|").replace("<", "&lt;")
