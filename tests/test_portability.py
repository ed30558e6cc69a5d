"""What users run asks for nothing that Windows or macOS lack: a look at the sources, since CI has neither."""

import ast
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[1]
SOURCES = sorted(path for name in ("rgb_core", "rgb_cli", "submodules") for path in (ROOT / name).rglob("*.py"))
POSIX_MODULES = {"fcntl", "grp", "pty", "pwd", "resource", "syslog", "termios", "tty"}
POSIX_CALLS = {
    *("chown", "chroot", "fork", "forkpty", "getegid", "geteuid", "getgid", "getgroups", "getloadavg", "getpgid"),
    *("getuid", "killpg", "mkfifo", "nice", "openpty", "sched_getaffinity", "setpgid", "setsid", "setuid", "statvfs"),
    *("sysconf", "uname", "wait", "wait3", "wait4", "O_NONBLOCK", "O_NOFOLLOW", "O_CLOEXEC"),
}
SIGNALS = {"SIGINT", "SIGTERM", "SIG_DFL", "SIG_IGN"}  # what signal.signal takes on all systems
POSIX_ARGUMENTS = {"preexec_fn", "start_new_session", "pass_fds", "process_group"}
POSIX_PLACES = ("/tmp", "/dev/", "/proc/", "/usr/", "/etc/", "/var/")


def complaints(source: str) -> list[str]:
    """What a source asks for that only POSIX systems have, or that depends on the language of a Windows."""
    tree = ast.parse(source)
    asked_for = {
        ast.unparse(node.args[1]).strip("'")
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "hasattr"
    }
    return [said for node in _everywhere(tree) for said in _of(node) if said.split(".")[-1] not in asked_for]


def _everywhere(tree: ast.AST) -> Iterator[ast.AST]:
    """All nodes but those that run on Linux alone, after `if sys.platform == "linux"`."""
    yield tree
    for child in ast.iter_child_nodes(tree):
        if isinstance(child, ast.If) and ast.unparse(child.test) == "sys.platform == 'linux'":
            for other in child.orelse:
                yield from _everywhere(other)
        else:
            yield from _everywhere(child)


def _of(node: ast.AST) -> Iterator[str]:
    if isinstance(node, ast.Import | ast.ImportFrom):
        names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else [node.module or ""]
        yield from (f"import {name}" for name in names if name in POSIX_MODULES)
    elif isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
        if node.value.id == "os" and node.attr in POSIX_CALLS:
            yield f"os.{node.attr}"
        if node.value.id == "signal" and node.attr.startswith("SIG") and node.attr not in SIGNALS:
            yield f"signal.{node.attr}"
    elif isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value.startswith(POSIX_PLACES):
        yield node.value
    elif isinstance(node, ast.Call):
        given = {keyword.arg: keyword.value for keyword in node.keywords}
        yield from (name for name in POSIX_ARGUMENTS & given.keys() if name is not None)
        called = ast.unparse(node.func).split(".")[-1]
        before = {"read_text": 0, "write_text": 1}.get(called)  # arguments that come before the encoding
        if len(node.args) == before and "encoding" not in given:
            yield f"{ast.unparse(node)} without an encoding"
        if "text" in given and "encoding" not in given:
            yield f"{called} of text without an encoding"


def test_nothing_is_asked_for_that_a_system_lacks():
    assert len(SOURCES) > 200
    texts = {path.relative_to(ROOT): path.read_text(encoding="utf-8") for path in SOURCES}
    assert [f"{path}: {said}" for path, text in texts.items() for said in complaints(text)] == []


def test_the_look_sees_what_it_looks_for():
    source = (
        "import fcntl\nos.fork()\nsignal.SIGKILL\nopen('/tmp/x')\nPopen(x, preexec_fn=f)\np.read_text()\n"
        "run(x, text=True)\nos.geteuid() if hasattr(os, 'geteuid') else 0\nsignal.SIGINT\np.read_text('utf-8')\n"
        "if sys.platform == 'linux':\n    import resource\nelse:\n    os.setsid()"
    )
    expected = {"import", "os.fork", "os.setsid", "signal.SIGKILL", "preexec_fn", "p.read_text()", "run", "/tmp/x"}
    assert {said.split()[0] for said in complaints(source)} == expected
