"""Runs of whole commands for the benchmarks of `rgb batch`: what they leave, what they take, how to kill them."""

import hashlib
import json
import os
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Any

RGB = [sys.executable, "-c", "from rgb_cli.app import main; main()"]
RAY = [sys.executable, "-m", "ray.scripts.scripts"]
_ANY_PORTS = [
    f"--{service}-port=0"
    for service in ("node-manager", "object-manager", "min-worker", "max-worker", "metrics-export", "runtime-env-agent",
                    "dashboard-agent-grpc", "dashboard-agent-listen")
]  # fmt: skip
"""Of `ray start`: free ones, so that nodes of one machine and whatever else runs there do not take each other's."""
_MARK = "RGB_BENCHMARK_RUN"  # in the environment of a run's processes, whoever started them
_TICKS = os.sysconf("SC_CLK_TCK")
_OF_THE_MOMENT = ("log.txt", "batch.json", "report.html")
"""Files that say how fast something was made; what else a report shows lies beside it."""


def write_manifest(path: Path, subjects: Mapping[str, Any], **fields: Any) -> Path:
    """A manifest of these rows and whatever else it shall say."""
    path.parent.mkdir(parents=True, exist_ok=True)
    table = {"format": "rgb-batch", "version": 1, **fields, "subjects": dict(subjects)}
    path.write_text(json.dumps(table, indent=1))  # which is YAML too, without its aliases
    return path


def digests(out: Path) -> dict[str, str]:
    """SHA-256 of everything that the subjects below `out` left, by its place; `out` itself, where a file names it, and
    measured speed are left out."""
    found = {}
    for path in sorted(out.glob("*/*/**/*")) + sorted(out.glob("*/*.html")):
        if path.is_file() and not path.name.startswith(".rgb") and path.name not in _OF_THE_MOMENT:
            found[path.relative_to(out).as_posix()] = hashlib.sha256(_content(path, out)).hexdigest()
    return found


def _content(path: Path, out: Path) -> bytes:
    content = path.read_bytes()
    if path.name == "metrics.json":
        content = json.dumps({**json.loads(content), "speed": None}).encode()
    if path.suffix in (".yaml", ".html", ".json"):
        content = content.replace(str(out.absolute()).encode(), b"")
    return content


def differences(mine: Mapping[str, str], first: Mapping[str, str]) -> list[str]:
    """The places where two runs left different bytes, or one of them nothing."""
    return sorted(key for key in mine.keys() | first.keys() if mine.get(key) != first.get(key))


def tell_differences(name: str, mine: Mapping[str, str], first: Mapping[str, str]) -> None:
    """Print whether a run left what the first one left."""
    wrong = differences(mine, first)
    print(f"    {name}: {len(mine)} files, " + (f"DIFFERENT: {wrong[:5]}" if wrong else "equal to the bit"), flush=True)


def worker_of(subjects: Iterable[str]) -> tuple[int, str] | None:
    """The process that is at one of these subjects, and which; None where none is."""
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                title = (entry / "cmdline").read_bytes().decode(errors="replace")
            except OSError:
                continue
            for subject in subjects:
                if title.startswith(f"ray::{subject}:"):
                    return int(entry.name), subject
    return None


@dataclass(frozen=True)
class Took:
    """The seconds of a command."""

    wall: float
    before: float
    """Until the first stage began."""
    after: float
    """Since the last subject ended."""

    def outside(self, stages: float, places: int) -> str:
        """In words: the seconds outside of stages, which took so many seconds on so many places at once."""
        mean = self.wall - stages / places
        return (
            f"outside of stages {self.before:.1f} s before the first and {self.after:.1f} after the last, "
            f"{mean:.1f} in the mean of {places} at once"
        )


class Running:
    """A `rgb batch` whose seconds are measured by what it leaves in `out`."""

    def __init__(self, process: subprocess.Popen[bytes], out: Path):
        self.process = process
        self._out, self._started, self._began = out, time.time(), 0.0

    def lasts(self) -> bool:
        """Whether it still runs, after a short wait."""
        with suppress(subprocess.TimeoutExpired):
            self.process.wait(0.05)
        if not self._began and self._newest("log.txt") > self._started:
            self._began = time.time()
        return self.process.returncode is None

    def took(self) -> Took:
        """The seconds of one that has ended."""
        ended = time.time()
        return Took(ended - self._started, self._began - self._started, ended - self._newest("batch.json"))

    def _newest(self, name: str) -> float:
        return max((path.stat().st_mtime for path in self._out.glob(f"*/{name}")), default=0.0)


@contextmanager
def busy(on_cpu: bool) -> Iterator[dict[str, float]]:
    """The mean utilisation of every card while the block runs, by its number."""
    means: dict[str, float] = {}
    if on_cpu:
        yield means
        return
    query = ["nvidia-smi", "--query-gpu=index,utilization.gpu", "--format=csv,noheader,nounits", "-lms", "500"]
    process = subprocess.Popen(query, stdout=subprocess.PIPE, text=True)
    samples: dict[str, list[float]] = {}

    def read() -> None:
        for line in process.stdout or ():
            card, value = line.split(",")
            samples.setdefault(card.strip(), []).append(float(value))

    reader = threading.Thread(target=read)
    reader.start()
    try:
        yield means
    finally:
        process.terminate()
        reader.join()
        means.update({card: statistics.fmean(values) for card, values in samples.items()})


class Meter:
    """Counts the CPU seconds of every process of a run, those of Ray among them, while its block lasts.

    Processes are looked at once a second, so that each may lose the last second of its life.
    """

    def __init__(self) -> None:
        self.environment = {_MARK: f"{os.getpid()}-{time.monotonic_ns()}"}
        """To be added to that of the run."""
        self._mark = f"{_MARK}={self.environment[_MARK]}".encode()
        self._taken: dict[tuple[int, str], float] = {}
        self._ours: dict[tuple[int, str], bool] = {}
        self._over = threading.Event()

    @property
    def cpu_seconds(self) -> float:
        """Of all processes so far."""
        return sum(self._taken.values())

    def __enter__(self) -> "Meter":
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._over.wait(1.0):
            for entry in Path("/proc").iterdir():
                if entry.name.isdigit():
                    self._look(entry)

    def _look(self, entry: Path) -> None:
        try:
            fields = (entry / "stat").read_text().rpartition(")")[2].split()
            key = int(entry.name), fields[19]  # with the time of its start: numbers come again
            if key not in self._ours:
                self._ours[key] = self._mark in (entry / "environ").read_bytes()
        except OSError:
            return
        if self._ours[key]:
            self._taken[key] = (int(fields[11]) + int(fields[12])) / _TICKS


@dataclass
class Cluster:
    """Ray nodes of this machine, each in a session of its own."""

    address: str
    """Of the first."""
    nodes: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def kill(self) -> None:
        """Kill -9 all that the nodes started, the raylets and the control store among it."""
        while self.nodes:
            node = self.nodes.pop()
            for session in _sessions_below(node.pid):
                with suppress(ProcessLookupError):  # it ended with another
                    os.killpg(session, signal.SIGKILL)
            node.wait()


@contextmanager
def cluster(folder: Path, cards: Iterable[str | None], cpus: int) -> Iterator[Cluster]:
    """A Ray node for each of `cards`, which it owns (None owns none), with so many cores; they end with the block.

    Neither their ports nor their files are those of any other Ray of this machine.
    """
    from ray.util import get_node_ip_address

    subprocess.run([*RAY, "get-auth-token", "--generate"], check=True, stdout=subprocess.DEVNULL)
    started = Cluster(f"{get_node_ip_address()}:{_free_port()}")
    # In /tmp, since paths of sockets must be short.
    with tempfile.TemporaryDirectory(prefix="ray", dir="/tmp", ignore_cleanup_errors=True) as files:
        try:
            for index, card in enumerate(cards):
                where = ["--address", started.address] if index else _head(started.address, files)
                command = [*RAY, "start", *where, *_ANY_PORTS, "--num-cpus", str(cpus), "--block"]
                command += ["--num-gpus", "0" if card is None else "1", "--object-store-memory", str(100 << 20)]
                environment = {**os.environ, "RAY_USAGE_STATS_ENABLED": "0", "RAY_AUTH_MODE": "token"}
                if card is not None:
                    environment["CUDA_VISIBLE_DEVICES"] = card
                started.nodes.append(_node(command, environment, folder / f"node{index}.log"))
            yield started
        finally:
            started.kill()


def _head(address: str, files: str) -> list[str]:
    """What the first node is told: where it is found, and where its files lie."""
    port = address.rpartition(":")[2]
    client = ["--ray-client-server-port", str(_free_port())] if find_spec("grpc") else []  # which starts it
    return ["--head", "--port", port, "--temp-dir", files, "--include-dashboard", "false", *client]


def _free_port() -> int:
    with socket.socket() as found:
        found.bind(("", 0))
        return int(found.getsockname()[1])


def _node(command: list[str], environment: dict[str, str], log: Path) -> subprocess.Popen[bytes]:
    with log.open("w") as file:
        process = subprocess.Popen(
            command, env=environment, stdout=file, stderr=subprocess.STDOUT, start_new_session=True
        )
    while "Ray runtime started" not in log.read_text():
        if process.poll() is not None:
            sys.exit(f"a Ray node does not start: see {log}")
        time.sleep(0.5)
    return process


def _sessions_below(process: int) -> set[int]:
    """The sessions of a process and of all that descend from it."""
    parents: dict[int, list[tuple[int, int]]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                fields = (entry / "stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue
            parents.setdefault(int(fields[1]), []).append((int(entry.name), int(fields[3])))
    found, left = {process}, [process]
    while left:
        for child, session in parents.get(left.pop(), []):
            found.add(session)
            left.append(child)
    return found
