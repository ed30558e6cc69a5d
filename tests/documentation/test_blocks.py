"""Every block of code on a page runs, every command line on a page is one that `rgb` understands."""

import re
from pathlib import Path

import pytest
from typer.exceptions import TyperException

from rgb_core.presets import load_preset

from .blocks import (
    DOCS,
    NOT_RUN,
    PAGES,
    ROOT,
    SHELLS,
    Block,
    blocks_of,
    command_lines,
    parsed,
    root,
    spans_of,
    unknown_in,
)

BLOCKS = [block for page in PAGES for block in blocks_of(page)]
SHELL = [block for block in BLOCKS if block.language in SHELLS]
EXAMPLES = {path.read_text(encoding="utf-8") for path in (DOCS / "examples").glob("*.py")}
PYTHON = [block for block in BLOCKS if block.language == "python" and block.code not in EXAMPLES]
"""What `test_python.py` does not run already."""
MOST_SKIPPED = 3
TOOLS = {"ruff", "mypy", "mkdocs"}
"""Programs whose arguments are their own affair."""


def problems(block: Block) -> list[str]:
    """What is wrong with the commands of a shell block."""
    found = []
    for words in command_lines(block.code):
        if words[0] == "rgb":
            try:
                context = parsed(words)
            except TyperException as error:
                found.append(f"{' '.join(words)}: {error.format_message()}")
                continue
            given = {name: context.params[each.name] for each in context.command.params for name in each.opts}
            if "--preset" in given and "--set" in given:
                load_preset(given["--preset"] or "default", given["--set"])
        elif words[0] in ("pip", "python", "pytest"):
            found += [f"no file {word}" for word in files_in(words) if not (ROOT / word).exists()]
        elif words[0] not in TOOLS:
            found.append(f"nobody checks '{words[0]}': mark the block with '{NOT_RUN}and why'")
    return found


def files_in(words: list[str]) -> list[str]:
    """The files of this repository that a line names: requirements, packages without their extras, scripts, tests."""
    names = [re.sub(r"\[.*\]$", "", word) for word in words[1:]]
    return [name for name in names if re.fullmatch(r"\.|\./.*|\w[\w-]*\.txt|(docs|benchmarks|tests)/.*\.py", name)]


@pytest.mark.parametrize("block", [each for each in SHELL if not each.skipped], ids=str)
def test_commands_of_a_block_are_understood(block: Block):
    assert problems(block) == []


def test_bad_commands_are_noticed():
    lines = {
        "rgb relight avatar --envmap sun -o out": 0,
        "$ rgb synth -o x --set synthetic.frames=6\noutput": 0,
        "rgb relight avatar --lamp 60,20,10,#4060ff,-1 -o out  # a comment": 0,
        "rgb relight avatar --envmap sun": 1,
        "rgb relight avatar --envmap sun -o out --size 3": 1,
        "rgb relight avatar --envmap sun -o out --device abacus": 1,
        "rgb relit avatar": 1,
        "rgb head convert": 1,
        "python docs/nothing.py": 1,
        "pip install ./submodules/nothing[cuda]": 1,
        "curl example.org": 1,
    }
    assert {code: len(problems(Block(DOCS, 1, "bash", code))) for code in lines} == lines
    with pytest.raises(Exception, match=r"synthetic\.framez"):
        problems(Block(DOCS, 1, "bash", "rgb synth -o x --set synthetic.framez=6"))


def test_commands_in_running_text_exist():
    spans = [(page, span) for page in PAGES for span in spans_of(page)]
    assert len(spans) > 20
    assert [(page.name, span, unknown) for page, span in spans if (unknown := unknown_in(span))] == []


@pytest.mark.parametrize(
    ("span", "unknown"),
    [
        ("rgb eval --size 256", []),
        ("rgb presets show NAME", []),
        ("rgb COMMAND --help", []),
        ("rgb evaluate AVATAR", ["evaluate"]),
        ("rgb eval --sise=256 -h", ["--sise"]),
    ],
)
def test_bad_commands_in_text_are_noticed(span: str, unknown: list[str]):
    assert unknown_in(span) == unknown


def test_examples_of_help_are_understood():
    """What `--help` calls an example, on whose lines the pages of commands stand."""
    commands = [inner for each in root().commands.values() for inner in (each, *getattr(each, "commands", {}).values())]
    lines = [
        line for each in commands for line in re.findall(r"(?:Examples?:\s*|^\s*)(rgb .*)$", each.help, re.MULTILINE)
    ]
    assert len(lines) >= len(commands)
    assert {line: found for line in lines if (found := problems(Block(DOCS, 1, "bash", line)))} == {}


@pytest.mark.parametrize("page", sorted({block.page for block in PYTHON}), ids=lambda page: page.name)
def test_python_blocks_run(page: Path, beside_demo: Path):
    names = {"__name__": "__main__"}
    for block in PYTHON:
        if block.page == page and not block.skipped:
            exec(compile("\n" * (block.line - 1) + block.code, str(page), "exec"), names)


def test_few_blocks_are_not_run():
    skipped = [block for block in BLOCKS if block.skipped]
    assert len(skipped) <= MOST_SKIPPED
    assert all(block.code.splitlines()[0].removeprefix(NOT_RUN).strip() for block in skipped)


def test_code_is_fenced_and_says_what_it_is():
    """Code that is only indented, or fenced without a language, would escape these tests."""
    escaped = re.compile(r"\n(\n    |```\n)(\$ )?(rgb|pip|python|pytest) ")
    assert [page.name for page in PAGES if escaped.search(page.read_text(encoding="utf-8"))] == []
