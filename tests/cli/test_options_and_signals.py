"""Every number on the command line has a range, messages show what they quote, and signals end in a sentence."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from rgb_cli import console
from rgb_cli.console import Reporter, print_error
from rgb_core.errors import InputError, printable
from tests.commands import run_rgb

PROGRAM = "from rgb_cli.app import main; main()"


@pytest.mark.parametrize(
    "options",
    [
        ["relight", "a", "-e", "sun", "-o", "b", "--exposure", "nan"],
        ["relight", "a", "-e", "sun", "-o", "b", "--exposure", "1e300"],
        ["relight", "a", "-e", "sun", "-o", "b", "--exposure", "-2000"],
        ["relight", "a", "-e", "sun", "-o", "b", "--yaw", "nan"],
        ["relight", "a", "-e", "sun", "-o", "b", "--turns", "inf"],
        ["relight", "a", "-e", "sun", "-o", "b", "--fps", "inf"],
        ["relight", "a", "-e", "sun", "-o", "b", "--size", "1000000000"],
        ["animate", "a", "--drive", "c", "-o", "b", "--yaw", "inf"],
        ["track", "v.mp4", "-o", "b", "--start", "inf"],
        ["track", "v.mp4", "-o", "b", "--end", "nan"],
        ["track", "v.mp4", "-o", "b", "--focal", "inf"],
        ["synth", "-o", "b", "--seed", "99999999999999999999"],
        ["relight", "a", "-e", "sun", "-o", "b", "--frames", "0:3"],
    ],
    ids=lambda options: " ".join(options[-2:]),
)
def test_numbers_without_sense_are_refused(
    options: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    said = run_here(options, monkeypatch, capsys)
    assert options[-2] in said


@pytest.mark.parametrize("value", ["!!python/name:os.system", "!!int ''", "&a [*a]", "{a: 1}", "1\n---\n2", "[" * 99])
def test_a_setting_is_a_scalar_or_a_list(
    value: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    options = ["synth", "-o", str(tmp_path / "out"), "--set", f"synthetic.frames={value}"]
    run_here(options, monkeypatch, capsys)
    assert not (tmp_path / "out").exists()


def run_here(options: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> str:
    from rgb_cli.app import main

    handlers = {name: signal.getsignal(name) for name in (signal.SIGINT, signal.SIGTERM)}
    monkeypatch.setattr(sys, "argv", ["rgb", *options])
    try:
        with pytest.raises(SystemExit) as ended:
            main()
    finally:
        for name, handler in handlers.items():
            signal.signal(name, handler)
    said = capsys.readouterr().err
    assert ended.value.code == 2, said
    assert said.startswith("error: ")
    assert said.count("\n") == 1
    return said


@pytest.mark.parametrize("name", [signal.SIGINT, signal.SIGTERM], ids=["Ctrl-C", "SIGTERM"])
def test_a_signal_ends_in_a_sentence(tmp_path: Path, name: signal.Signals):
    out = tmp_path / "out"
    command = [sys.executable, "-c", PROGRAM, "synth", "-o", str(out), "--set", "synthetic.size=256"]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 120
    while not list(out.glob("*")) and time.monotonic() < deadline:
        time.sleep(0.1)
    process.send_signal(name)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "error: interrupted; run the same command again to continue" in said
    assert "Traceback" not in said


def test_what_a_message_quotes_cannot_command_the_terminal(capsys: pytest.CaptureFixture[str]):
    hostile = "a\x1b[2J\x00b\nerror: c\u202e[/] :100: 0:100:\ud800"
    error = InputError(f"the name '{hostile}' is bad")
    assert str(error).isprintable()
    print_error(str(error))
    reporter = Reporter()
    reporter.message(hostile)
    reporter.result(hostile, {hostile: hostile})
    reporter.table(hostile, {"k": "K"}, [{"k": hostile}])
    printed = capsys.readouterr()
    for text in (printed.err, printed.out):
        assert "\x1b[2J" not in text
        assert "\x00" not in text
        assert "\u202e" not in text
        assert "[/]" in text
        assert ":100:" in text
    assert printed.err.count("\n") == 2


def test_a_message_of_any_length_is_short():
    assert len(printable("x" * 300_000)) < 1100
    assert len(printable("\x1b" * 300_000)) < 2200
    assert printable("short é") == "short é"


def test_quiet_prints_nothing(capsys: pytest.CaptureFixture[str]):
    reporter = Reporter(quiet=True)
    reporter.message("m")
    reporter.result("title", {"a": 1})
    reporter.table("title", {"a": "A"}, [{"a": 1}])
    assert capsys.readouterr() == ("", "")
    Reporter(quiet=True, as_json=True).result("title", {"a": 1})
    assert "1" in capsys.readouterr().out
    console._silent = False


def test_a_long_path_can_be_copied_from_the_result(capsys: pytest.CaptureFixture[str]):
    path = "/folder" * 40 + "/file name.npz"
    Reporter().result("written", {"file": path})
    assert path in capsys.readouterr().out


@pytest.mark.parametrize("encoding", ["cp1252", "ascii"])
def test_a_terminal_without_the_letters_is_no_traceback(tmp_path: Path, encoding: str):
    command = [sys.executable, "-c", PROGRAM, "head", str(tmp_path / "頭.npz")]
    environment = {**os.environ, "PYTHONIOENCODING": encoding}
    done = subprocess.run(command, env=environment, capture_output=True, check=False, timeout=120)
    assert done.returncode == 2
    assert b"Traceback" not in done.stderr
    assert b"\\u982d" in done.stderr


def test_names_with_markup_are_names(tmp_path: Path):
    result = run_rgb("head", tmp_path / "a[/].npz")
    assert result.returncode == 2
    assert "a[/].npz" in result.stderr
    assert "Traceback" not in result.stderr


def test_no_end_of_input_is_taken_for_an_interruption(monkeypatch: pytest.MonkeyPatch):
    """The framework calls an `EOFError` an abort, and the advice to run it again would help for ever."""
    from rgb_cli import app

    def ends(**_: object) -> None:
        raise EOFError("Ran out of input")

    monkeypatch.setattr(app, "app", ends)
    monkeypatch.setattr(app, "_ENDING_SIGNALS", ())
    with pytest.raises(EOFError):
        app.main()
