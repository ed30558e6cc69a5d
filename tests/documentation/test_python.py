"""`rgb_core` from a stranger's script: quick to import, ten lines to a picture, and examples that run."""

import ast
import re
import runpy
import subprocess
import sys
from pathlib import Path

import pytest

import rgb_core
from rgb_core import read_png

from .blocks import DOCS, blocks_of

EXAMPLES = sorted((DOCS / "examples").glob("*.py"))
WRITTEN = {
    "expressions": {"expressions.png": 20_000},
    "first_picture": {"jaw_0.png": 20_000, "jaw_50.png": 20_000, "jaw_100.png": 20_000},
    "lamp_going_round": {"lamp.mp4": 5_000},
    "materials": dict.fromkeys(["albedo.png", "roughness.png", "normals.png", "dry.png", "wet.png"], 2_000),
    "unseen_frames": {},
}
"""The files that an example writes, and the bytes that a picture of something has at least."""


def test_importing_takes_nothing_along():
    code = (
        "import sys, rgb_core, rgb_cli.app; print({'torch', 'numpy', 'numba'} & set(sys.modules), rgb_core.__version__)"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=600)
    assert result.stdout == f"set() {rgb_core.__version__}\n"


def test_every_name_is_there_and_known_to_type_checkers():
    for name in rgb_core.__all__:
        assert getattr(rgb_core, name) is not None
    tree = ast.parse(Path(rgb_core.__file__).read_text(encoding="utf-8"))
    imports = {
        node.module: tuple(alias.name for alias in node.names)
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and node.level == 1
    }
    assert imports == rgb_core._HOMES
    assert {name for names in imports.values() for name in names} | {"__version__"} == set(rgb_core.__all__)
    with pytest.raises(AttributeError, match="load_avatars"):
        rgb_core.load_avatars  # noqa: B018


def test_a_strangers_script_works_from_the_page_alone(beside_demo: Path):
    first = next(block for block in blocks_of(DOCS / "python.md") if block.language == "python")
    lines = [line for line in first.code.splitlines() if line and not line.startswith('"""')]
    assert len(lines) <= 10
    Path("script.py").write_text("\n".join(lines), encoding="utf-8")
    result = subprocess.run([sys.executable, "script.py"], capture_output=True, text=True, check=False, timeout=600)
    assert (result.returncode, result.stdout, result.stderr) == (0, "", "")
    shut, half, wide = (read_png(Path(f"jaw_{percent}.png"), 4) for percent in (0, 50, 100))
    assert shut.shape == (512, 512, 4)
    assert 0.05 < (shut[..., 3] > 0.5).float().mean() < 0.95  # a head, on nothing
    assert (shut - wide).abs().mean() > (shut - half).abs().mean() > 0


def test_a_misspelt_expression_is_one_sentence(demo_folder: Path):
    avatar = rgb_core.load_avatar(demo_folder / "demo/avatar")
    assert avatar.portrait_pose(jawOpen=0.5).expression.sum() == 0.5
    with pytest.raises(rgb_core.InputError, match=r"no expression 'jawOpne' \(did you mean jawOpen\?\)"):
        avatar.portrait_pose(jawOpne=0.5)


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.stem)
def test_examples_run(example: Path, beside_demo: Path, capsys: pytest.CaptureFixture[str]):
    runpy.run_path(str(example), run_name="__main__")
    files = WRITTEN[example.stem]
    assert {path.name for path in beside_demo.iterdir()} == {"demo", *files}
    assert [name for name, size in files.items() if Path(name).stat().st_size < size] == []
    if example.stem == "unseen_frames":
        assert re.fullmatch(r"00003: \d+\.\d dB\n", capsys.readouterr().out)


def test_the_page_shows_every_example_as_it_is():
    shown = [block.code for block in blocks_of(DOCS / "python.md") if block.language == "python"]
    assert sorted(shown) == sorted(path.read_text(encoding="utf-8") for path in EXAMPLES)
    assert set(WRITTEN) == {path.stem for path in EXAMPLES}
