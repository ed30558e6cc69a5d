"""Malformed input ends in one sentence, nothing executes or is written, and the documented table is the corpus."""

import os
import pickle
import re
import sys
import warnings
from collections import Counter
from pathlib import Path

import pytest

from rgb_cli.app import main
from rgb_cli.console import Reporter, print_error
from rgb_core.data import load_dataset
from rgb_core.data.inspection import inspect_dataset
from rgb_core.data.inspection_overlay import overlay
from rgb_core.errors import InputError
from rgb_core.progress import Silent
from tests.data.dataset_samples import write_dataset

from .cases import Case
from .corpus import CASES, DOCUMENT, document_with_table
from .tripwire import watched

LEAST_CASES = 60
ROOT = DOCUMENT.parents[1]


def tree(folder: Path) -> dict[str, int]:
    return {str(path.relative_to(folder)): path.lstat().st_mtime_ns for path in folder.rglob("*")}


def read_silently(case: Case, argument: object) -> None:
    """Warnings are failures: they are noise before the sentence."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.simplefilter("ignore", ResourceWarning)  # numpy leaves files that are no archives to the collector
        case.read(argument)


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.reader}: {case.problem}")
def test_malformed_input_is_one_sentence(case: Case, tmp_path: Path):
    argument = case.make(tmp_path)
    before = tree(tmp_path)
    with watched(tmp_path) as seen, pytest.raises(InputError) as caught:
        read_silently(case, argument)
    message = str(caught.value)
    assert case.says in message
    assert message == message.strip()
    assert not any(letter in message for letter in "\n\r\x00")
    assert seen == []
    after = tree(tmp_path)
    assert after.keys() == before.keys()
    assert all(after[name] == time for name, time in before.items() if (tmp_path / name).is_file())


def test_the_corpus_is_large_and_says_each_thing_once():
    assert len(CASES) >= LEAST_CASES
    assert max(Counter((case.reader, case.problem) for case in CASES).values()) == 1


def test_the_documented_table_is_the_corpus():
    text = DOCUMENT.read_text(encoding="utf-8")
    assert text == document_with_table(text), "run python -m tests.reliability.corpus"


def test_the_named_tests_exist():
    named = re.findall(r"`(tests/[^`]*\.py)`", DOCUMENT.read_text(encoding="utf-8"))
    assert len(named) > 5
    assert [name for name in named if not (ROOT / name).is_file()] == []


def test_the_tripwire_notices(tmp_path: Path):
    (tmp_path / "inside").mkdir()
    with watched(tmp_path / "inside") as seen:
        (tmp_path / "inside/mine").write_text("")
        (tmp_path / "outside").write_text("")
        os.system("true")
        pickle.loads(pickle.dumps(print))
        events = [event.split()[0] for event in seen]
    assert events == ["open", "os.system", "pickle.find_class"]


def test_brackets_in_a_sentence_are_no_markup(capsys: pytest.CaptureFixture[str]):
    sentence = "K is [fx, fy, cx, cy], not [/x] or [bold]"
    print_error(sentence)
    assert sentence in capsys.readouterr().err
    reporter = Reporter()
    reporter.message(sentence)
    reporter.result("[b]", {"[/k]": "[/v]"})
    printed = capsys.readouterr()
    assert sentence in printed.err
    assert "[/k]" in printed.out
    assert "[/v]" in printed.out


@pytest.fixture(scope="module")
def compiled(tmp_path_factory: pytest.TempPathFactory) -> None:
    """numba unpickles what it compiled earlier; that is over before the tripwire watches."""
    dataset = load_dataset(write_dataset(tmp_path_factory.mktemp("sound") / "subject"))
    inspect_dataset(dataset.folder, Silent())
    overlay(dataset, dataset.all_frames[0])


COMMANDS = {
    "native dataset": lambda given, out: ["check", given, "-o", out],
    "geometry folder": lambda given, out: ["fit-gaussians", given.parent / "dataset", "--geometry", given, "-o", out],
    "avatar": lambda given, out: ["export", given, "-o", out / "avatar.ply"],
    "preset": lambda given, out: ["synth", "-o", out, "--preset", given],
    "archive of masks": lambda given, out: ["patch-dataset", "-i", given, "-o", given.parent / "data"],
}
"""The command that meets each kind of input first."""


@pytest.mark.parametrize(
    "case", [case for case in CASES if case.reader in COMMANDS][::4], ids=lambda case: case.problem
)
def test_commands_end_in_one_sentence_and_exit_code_2(
    case: Case, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], compiled: None
):
    given = case.make(tmp_path)
    if case.reader == "geometry folder":
        write_dataset(given.parent / "dataset")
    before = tree(tmp_path)
    command = COMMANDS[case.reader](given, tmp_path / "out")
    monkeypatch.setattr(sys, "argv", ["rgb", *map(str, command), "--quiet", "--json"])
    with watched(tmp_path) as seen, pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 2
    text = capsys.readouterr().err.strip()
    assert text.startswith("error: ")
    assert text.count("error:") == 1
    assert "\n" not in text
    assert seen == []
    assert {name for name in tree(tmp_path).keys() - before.keys() if not name.startswith("out")} == set()
