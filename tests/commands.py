"""Runs commands of `rgb` in processes of their own that need no second to start: forks of one that has imported all."""

import atexit
import json
import os
import resource
import signal
import subprocess
import sys
import tempfile
import traceback
from functools import cache
from pathlib import Path
from typing import NoReturn

_LIMIT = 600  # seconds that a command may take
_IMPORTS = ("rgb_core.pipeline", "rgb_core.exporting", "rgb_core.data.importers", "rgb_core.tracking", "rgb_cli.app")


TINY = [
    "--set", "synthetic.frames=6",
    "--set", "synthetic.test_frames=2",
    "--set", "synthetic.size=64",
    "--set", "synthetic.samples=1",
    "--set", "synthetic.shadow_rays=4",
    "--set", "synthetic.ground_truth_every=2",
    "--set", "synthetic.relight=[sun]",
    "--set", "geometry.image_size=64",
    "--set", "geometry.steps=6",
    "--set", "geometry.batch=2",
    "--set", "gaussians.image_size=64",
    "--set", "gaussians.steps=24",
    "--set", "gaussians.gaussians=600",
    "--set", "gaussians.checkpoint_every=8",
    "--set", "gaussians.density.interval=10",
    "--set", "gaussians.density.max_gaussians=700",
]  # fmt: skip
"""Settings of a synthetic subject and its avatar, small enough to make in seconds."""


class CommandServer:
    """A process that has imported what commands need, and forks for each one.

    A command that runs in a fork of it does and says what it does when started by hand; the imports, most of the time
    of a short one, are made once.

    Args:
        folder: where its commands stand.
        environment: of its commands, caches of kernels included, which modules look up when they are imported.
    """

    def __init__(self, folder: Path | None = None, environment: dict[str, str] | None = None):
        command = [sys.executable, "-P", __file__, *_IMPORTS]
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=folder, env=environment
        )

    def run(
        self, *arguments: str | Path, seconds: float = _LIMIT, file_bytes: int | None = None
    ) -> subprocess.CompletedProcess[str]:
        """One command, waited for.

        Args:
            arguments: of `rgb`.
            seconds: after which the system ends it, without a word or a chance to clean up.
            file_bytes: that a file of the command and of what it starts may hold; writing more fails.
        """
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        with tempfile.TemporaryDirectory() as folder:
            said = [Path(folder) / name for name in ("stdout", "stderr")]
            request = {"said": list(map(str, said)), "arguments": list(map(str, arguments))}
            limits = {"seconds": seconds, "file_bytes": file_bytes}
            print(json.dumps({**request, **limits}), file=self._process.stdin, flush=True)
            answer = self._process.stdout.readline()
            assert answer, "the process that forks has ended"
            output, errors = (path.read_text() for path in said)
        return subprocess.CompletedProcess(list(map(str, arguments)), int(answer), output, errors)

    def close(self) -> None:
        """End the process."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait()


@cache
def server() -> CommandServer:
    """The one that stands where the tests do."""
    return CommandServer()


def run_rgb(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """Run the command line in a process of its own."""
    return server().run(*arguments)


def _serve() -> None:
    """In the server: a fork for each line of standard input, whose exit status is the answer."""
    requests, answers = os.fdopen(os.dup(0)), os.fdopen(os.dup(1), "w")
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    for line in requests:
        child = os.fork()
        if not child:
            _become(**json.loads(line))
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), file=answers, flush=True)


def _become(said: list[str], arguments: list[str], seconds: float, file_bytes: int | None) -> NoReturn:
    """In the fork: the command, and the end of the process without the second that taking modules apart needs."""
    for number, path in enumerate(said, start=1):
        file = os.open(path, os.O_WRONLY | os.O_CREAT)
        os.dup2(file, number)
        os.close(file)
    if file_bytes is not None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (file_bytes, resource.RLIM_INFINITY))
    signal.setitimer(signal.ITIMER_REAL, seconds)
    sys.argv = ["rgb", *arguments]
    status = 1
    try:
        from rgb_cli.app import main

        main()
    except SystemExit as ended:
        status = ended.code if isinstance(ended.code, int) else int(ended.code is not None)
    except BaseException:
        traceback.print_exc()
    finally:
        atexit._run_exitfuncs()
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parents[1]))
    for name in sys.argv[1:]:
        __import__(name)
    _serve()
