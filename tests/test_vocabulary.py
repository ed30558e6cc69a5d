"""House rules that a tool can check: codes have names, files and functions stay short, the core is silent."""

import ast
import itertools
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
MOST_LINES, MOST_LINES_OF_A_FUNCTION = 350, 60
VOCABULARIES = ("rgb_core/heads/regions.py", "rgb_core/scene/labels.py")
CODES = {"region", "regions", "labels", "label", "semantic"}
"""What tensors of codes are called."""
SAME_VALUES = {"long", "int", "byte", "to", "cpu", "clone", "flatten", "view", "reshape", "expand"}
"""Methods after which codes are still the same codes."""


def sources(*folders: str) -> Iterator[tuple[str, str]]:
    """Name and text of every module of our packages under `folders`."""
    for path in itertools.chain(*((ROOT / folder).rglob("*.py") for folder in folders)):
        name = str(path.relative_to(ROOT))
        if not {"build", "tests", "setup.py"} & set(path.relative_to(ROOT).parts):
            yield name, path.read_text(encoding="utf-8")


def name_of(node: ast.expr) -> str | None:
    """The name of what an expression reads: `region` for head.region[rows].long() and for avatar.region()."""
    while isinstance(node, ast.Subscript | ast.Call):
        if isinstance(node, ast.Subscript):
            node = node.value
        elif isinstance(node.func, ast.Attribute) and node.func.attr in SAME_VALUES:
            node = node.func.value
        else:
            node = node.func
    return node.attr if isinstance(node, ast.Attribute) else node.id if isinstance(node, ast.Name) else None


def bare_codes(node: ast.expr) -> list[int]:
    """The integers in a number or a list of them, signed ones apart: -1 stands for no code at all."""
    values = node.elts if isinstance(node, ast.Tuple | ast.List | ast.Set) else [node]
    return [value.value for value in values if isinstance(value, ast.Constant) and type(value.value) is int]


def compared_bare(text: str) -> list[int]:
    """Lines that compare or assign codes as bare integers, or look for them with isin."""
    lines = []
    for node in ast.walk(ast.parse(text)):
        sides: list[ast.expr] = []
        if isinstance(node, ast.Compare):
            sides = [node.left, *node.comparators]
        elif isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Subscript):
            sides = [node.targets[0], node.value]
        elif isinstance(node, ast.Call) and name_of(node.func) in ("isin", "in_regions", "has_label"):
            sides = [argument for given in node.args for argument in (given, *getattr(given, "args", ()))]
        if any(name_of(side) in CODES for side in sides) and any(bare_codes(side) for side in sides):
            lines.append(node.lineno)
    return lines


@pytest.mark.parametrize(
    "text",
    [
        "head.region == 4", "4 != region", "labels[rows] == 17", "avatar.region()[3] in (4, 7)", "region.long() > 3",
        "torch.isin(labels, torch.tensor([1, 2]))", "labels[a > 0] = 17", "dataset.semantic(frame) == 17",
    ],
)  # fmt: skip
def test_the_rule_finds_bare_codes(text: str):
    assert compared_bare(text) == [1]


@pytest.mark.parametrize(
    "text",
    [
        "head.region == Region.EYEBALL", "region != -1", "len(found) == 4", "labels[rows] == Label.HAIR",
        "torch.isin(labels, wanted)", "labels[a > 0] = Label.HAIR", "region.shape[0] == 4", "labels.ndim == 2",
    ],
)  # fmt: skip
def test_the_rule_lets_names_pass(text: str):
    assert compared_bare(text) == []


def test_regions_and_labels_are_called_by_their_names():
    """A region code of 4 and a label of 4 are different things that look alike."""
    found = [
        f"{name}:{line}"
        for name, text in sources("rgb_core", "rgb_cli")
        if name not in VOCABULARIES
        for line in compared_bare(text)
    ]
    assert found == []


def test_no_file_is_long():
    long = {name: text.count("\n") for name, text in sources("rgb_core", "rgb_cli", "submodules")}
    assert {name: lines for name, lines in long.items() if lines > MOST_LINES} == {}


def functions(text: str) -> Iterator[tuple[str, int]]:
    """Name and number of lines of every function, decorators apart."""
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node.name, node.end_lineno - node.lineno + 1


def test_no_function_is_long():
    assert {
        f"{name}: {function}": lines
        for name, text in sources("rgb_core", "rgb_cli", "submodules")
        for function, lines in functions(text)
        if lines > MOST_LINES_OF_A_FUNCTION
    } == {}


def printing(text: str) -> list[int]:
    """Lines that call print."""
    return [
        node.lineno
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "print"
    ]


def imported(text: str) -> set[str]:
    """Packages that a module imports, by their first name."""
    names = set()
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            names |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            names.add(node.module.split(".")[0])
    return names


def test_the_core_does_not_print():
    assert {name: lines for name, text in sources("rgb_core") if (lines := printing(text))} == {}


def test_the_core_does_not_know_the_command_line():
    assert [name for name, text in sources("rgb_core") if "rgb_cli" in imported(text)] == []
