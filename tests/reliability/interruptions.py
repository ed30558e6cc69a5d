"""Commands that are killed, or whose disk is full, and continue to the same files.

By hand, with as many kills of every command as one likes, and as root on full file systems too:

    python -m tests.reliability.interruptions 20
"""

import contextlib
import hashlib
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from tests.commands import TINY, CommandServer, server

_RUN_ONLY = (".rgb-run.lock", "report.html", "speed", "seconds")
"""What differs from run to run: the lock, a page that says how fast pictures were drawn, keys of JSON with times."""


def commands(demo: Path) -> dict[str, list[str | Path]]:
    """Arguments, but for the output folder, of every command that takes long, on the demo of the tests."""
    avatar, dataset, geometry = (demo / name for name in ("avatar", "dataset", "geometry"))
    return {
        "synth": ["synth", *TINY],
        "fit-geometry": ["fit-geometry", dataset, *TINY],
        "fit-gaussians": ["fit-gaussians", dataset, "--geometry", geometry, *TINY],
        "relight": ["relight", avatar, "--envmap", "sun", "--count", "12", "--size", "64"],
        "animate": ["animate", avatar, "--drive", dataset, "--size", "64"],
        "eval": ["eval", avatar, dataset],
    }


def digests(folder: Path) -> dict[str, str]:
    """A checksum of every file in a folder; of JSON without the times in it."""
    found = {}
    for path in sorted(folder.rglob("*")):
        if path.is_file() and path.name not in _RUN_ONLY:
            data = path.read_bytes()
            if path.suffix == ".json":
                data = json.dumps(_timeless(json.loads(data))).encode()
            found[str(path.relative_to(folder))] = hashlib.sha256(data).hexdigest()
    return found


def _timeless(value: object) -> object:
    if isinstance(value, dict):
        return {key: _timeless(inner) for key, inner in value.items() if key not in _RUN_ONLY}
    return [_timeless(inner) for inner in value] if isinstance(value, list) else value


class Trial:
    """A command whose result is known, and what interruptions make of it.

    Args:
        arguments: the command, without its output folder.
        folder: for the results.
        commands: what runs it.
    """

    def __init__(self, arguments: list[str | Path], folder: Path, commands: CommandServer):
        self._arguments, self._folder, self._commands = arguments, folder, commands
        begin = time.monotonic()
        done = self._run(folder / "whole")
        self.seconds = time.monotonic() - begin
        assert done.returncode == 0, done.stderr
        self.whole = digests(folder / "whole")
        self.kills = 0
        self.bytes = sum(path.stat().st_size for path in (folder / "whole").rglob("*") if path.is_file())

    def _run(self, out: Path, **limits: float) -> subprocess.CompletedProcess[str]:
        return self._commands.run(*self._arguments, "-o", out, **limits)

    def killed(self, times: int, chance: random.Random) -> list[str]:
        """What is wrong after kills at random moments of a run that is continued each time."""
        out = self._folder / "killed"
        faults: list[str] = []
        while self.kills < times:
            begin = time.monotonic()
            ended = self._run(out, seconds=max(0.02, chance.random() * self.seconds))
            if ended.returncode not in (0, -14):
                return [f"after {self.kills} kills: status {ended.returncode}: {ended.stderr}"]
            if ended.returncode == 0:  # it was faster than the kill: the next begins anew, and is killed sooner
                self.seconds = min(self.seconds, time.monotonic() - begin)
                faults += self._continued(out, f"after {self.kills} kills")
                shutil.rmtree(out)
            else:
                self.kills += 1
        return [*faults, *self._continued(out, f"after {self.kills} kills")]

    def short_files(self, longest: int) -> list[str]:
        """What is wrong with a run whose files may hold `longest` bytes, and with the next, which has room."""
        out = self._folder / f"room{longest}"
        ended = self._run(out, file_bytes=longest)
        return [*_no_sentence(ended), *self._continued(out, f"after files of {longest} bytes")]

    def full_disk(self, room: int) -> list[str]:
        """The same on a file system with `room` bytes, whose size is raised before the next run."""
        disk = self._folder / f"disk{room}"
        disk.mkdir()
        with mounted(disk, room):
            ended = self._run(disk / "out")
            _mount("-o", f"remount,size={1 << 30}", disk)
            return [*_no_sentence(ended), *self._continued(disk / "out", f"after a disk of {room} bytes")]

    def _continued(self, out: Path, when: str) -> list[str]:
        done = self._run(out)
        if done.returncode != 0:
            return [f"{when}: status {done.returncode}: {done.stderr}"]
        now = digests(out)
        names = sorted(self.whole.keys() | now.keys())
        return [f"{when}: {name} is another" for name in names if self.whole.get(name) != now.get(name)]


def _no_sentence(ended: subprocess.CompletedProcess[str]) -> list[str]:
    """What is wrong with how a command ended that had too little room; nothing where it had enough."""
    said = [line for line in ended.stderr.splitlines() if "error:" in line or "Traceback" in line]
    if ended.returncode == 0 or (ended.returncode == 2 and len(said) == 1 and said[0].startswith("error: ")):
        return []
    return [f"status {ended.returncode}: {ended.stderr}"]


@contextlib.contextmanager
def mounted(folder: Path, room: int) -> Iterator[None]:
    """A file system of `room` bytes at `folder`, which only root may make."""
    _mount("-t", "tmpfs", "-o", f"size={room}", "tmpfs", folder)
    try:
        yield
    finally:
        subprocess.run(["umount", folder], check=True)


def _mount(*arguments: str | Path) -> None:
    subprocess.run(["mount", *arguments], check=True, capture_output=True)


def faults(kills: int, seed: int) -> Iterator[str]:
    """What went wrong in `kills` kills of every command, and on full disks of several sizes."""
    with tempfile.TemporaryDirectory() as name:
        demo = Path(name) / "demo"
        made = server().run("demo", "-o", demo, "--quiet", *TINY)
        assert made.returncode == 0, made.stderr
        for command, arguments in commands(demo).items():
            folder = Path(name) / command
            folder.mkdir()
            trial = Trial(arguments, folder, server())
            found = trial.killed(kills, random.Random(f"{command} {seed}"))
            for share in (0.01, 0.1, 0.3, 0.6, 0.9):
                room = int(share * trial.bytes)
                found += trial.short_files(room) + (trial.full_disk(room) if os.geteuid() == 0 else [])
            print(f"{command}: {trial.kills} kills, {trial.bytes} bytes, {len(found)} faults", flush=True)
            yield from (f"{command}, seed {seed}, {fault}" for fault in found)


if __name__ == "__main__":
    every = list(faults(int(sys.argv[1]) if len(sys.argv) > 1 else 20, int(time.time())))
    print("\n".join(every) or "nothing found")
    raise SystemExit(bool(every))
