"""Measures `rgb batch` by whole runs of the command and compares what they leave, to the bit:
`python benchmarks/batch_cards.py WHAT OUT DATASET ... [--preset demo] [--device cuda]`.

WHAT is one of
  shares    the first dataset eight times at once, by shares 1, 1/2, 1/3, 1/4, 1/6 and 1/8 of a card: subjects an hour
  cards     all datasets on one card and on two, then on two with a worker killed in mid-run
  cluster   all datasets through --address on two Ray nodes of this machine, each of which owns one card
Every run prints its wall time and whether its results are those of the first. With --device cpu, cores stand for cards.
"""

import argparse
import hashlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import yaml
from ray.util import get_node_ip_address

SHARES = (1, 2, 3, 4, 6, 8)
COPIES = 8
RGB = [sys.executable, "-c", "from rgb_cli.app import main; main()"]
RAY = [sys.executable, "-m", "ray.scripts.scripts"]
PORT = 6399


def write_manifest(path: Path, subjects: dict[str, Path], arguments: argparse.Namespace, share: float) -> Path:
    """A manifest of datasets that are fitted, scored and filmed, each stage with a share of a card."""
    stages = ("fit-geometry", "fit-gaussians", "eval", "relight")
    table = {
        "format": "rgb-batch",
        "version": 1,
        "needs": {name: {"gpus": share, "memory_gb": arguments.memory} for name in stages},
        "defaults": {"preset": arguments.preset, "settings": arguments.set, "do": list(arguments.do)},
        "subjects": {name: {"dataset": str(dataset.absolute())} for name, dataset in subjects.items()},
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(yaml.safe_dump(table, sort_keys=False))
    return path


def digests(out: Path) -> dict[str, str]:
    """SHA-256 of everything that a batch made, by its place; what names folders, times and machines is left out."""
    found = {}
    for path in sorted(out.glob("*/*/**/*")):
        name = path.relative_to(out).as_posix()
        if not path.is_file() or path.name.startswith(".") or path.suffix in (".html", ".yaml", ".lock"):
            continue
        content = path.read_bytes()
        if path.name == "metrics.json":
            content = json.dumps({**json.loads(content), "speed": None}).encode()
        found[name] = hashlib.sha256(content).hexdigest()
    return found


def killed_worker(subject: str) -> int | None:
    """Kill -9 the worker that is at a subject; its process id, None where none is."""
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                title = (entry / "cmdline").read_bytes()
            except OSError:
                continue
            if title.startswith(b"ray::") and subject.encode() in title:
                os.kill(int(entry.name), signal.SIGKILL)
                return int(entry.name)
    return None


@contextmanager
def busy(device: str) -> Iterator[dict[str, float]]:
    """The mean utilisation of every card while the block runs, by its number."""
    means: dict[str, float] = {}
    if device == "cpu":
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
        means.update({card: sum(values) / len(values) for card, values in samples.items()})


def run(
    manifest: Path, out: Path, arguments: argparse.Namespace, cards: str | None = None, kill: str = "", *more: str
) -> float:
    """One `rgb batch`; returns its wall seconds.

    Args:
        cards: what CUDA_VISIBLE_DEVICES says; None leaves it as it is.
        kill: the subject whose worker is killed once it has written its first checkpoint.
        more: options of the command.
    """
    environment = dict(os.environ) if cards is None else {**os.environ, "CUDA_VISIBLE_DEVICES": cards}
    command = [*RGB, "batch", str(manifest), "-o", str(out), "--device", arguments.device, "--quiet", *more]
    started = time.perf_counter()
    with busy(arguments.device) as means:
        process = subprocess.Popen(command, env=environment)
        while kill and process.poll() is None:
            time.sleep(0.2)
            if any((out / kill / "avatar").glob("*checkpoint*")):
                print(f"    killed the worker of {kill}, process {killed_worker(kill)}")
                kill = ""
        status = process.wait()
    seconds = time.perf_counter() - started
    if status:
        sys.exit(f"{' '.join(command)} ended with {status}")
    if means:
        print("    cards busy: " + ", ".join(f"{card} {value:.0f} %" for card, value in sorted(means.items())))
    return seconds


def compare(name: str, out: Path, first: dict[str, str]) -> None:
    """Say whether a run left what the first one left."""
    mine = digests(out)
    wrong = sorted(key for key in mine.keys() | first.keys() if mine.get(key) != first.get(key))
    print(f"    {name}: {len(mine)} files, " + (f"DIFFERENT: {wrong[:5]}" if wrong else "equal to the bit"), flush=True)


def shares(arguments: argparse.Namespace) -> None:
    """Copies of one subject at once, by the share of a card that each asks for."""
    subjects = {f"copy{index}": arguments.datasets[0] for index in range(arguments.copies)}
    first: dict[str, str] = {}
    for parts in arguments.parts:
        out = arguments.out / f"share_{parts}"
        manifest = write_manifest(arguments.out / f"share_{parts}.yaml", subjects, arguments, 1 / parts)
        more = ("--workers", str(parts)) if arguments.device == "cpu" else ()
        seconds = run(manifest, out, arguments, "0", "", *more)
        print(
            f"1/{parts} of a card: {seconds:.1f} s, {3600 * arguments.copies / seconds:.0f} subjects an hour",
            flush=True,
        )
        first = first or digests(out)
        compare(f"1/{parts}", out, first)
    alike = {name.partition("/")[2]: value for name, value in first.items() if name.startswith("copy0/")}
    equal = all(alike[name.partition("/")[2]] == value for name, value in first.items())
    print(f"copies among each other: {'equal to the bit' if equal else 'DIFFERENT'}")


def cards(arguments: argparse.Namespace) -> None:
    """All datasets on one card, on two, and on two with a worker killed."""
    subjects = {f"card_{dataset.name}": dataset for dataset in arguments.datasets}
    manifest = write_manifest(arguments.out / "cards.yaml", subjects, arguments, 1 / arguments.per_card)
    outs = {name: arguments.out / name for name in ("one", "two", "killed")}
    on_cpu = arguments.device == "cpu"
    seconds = {
        "one": run(manifest, outs["one"], arguments, "0", "", *(("--workers", "1") if on_cpu else ())),
        "two": run(manifest, outs["two"], arguments, "0,1"),
        "killed": run(manifest, outs["killed"], arguments, "0,1", next(iter(subjects))),
    }
    first = digests(outs["one"])
    for name, out in outs.items():
        print(f"{name}: {seconds[name]:.1f} s, {seconds['one'] / seconds[name]:.2f} times as fast as one", flush=True)
        compare(name, out, first)


def cluster(arguments: argparse.Namespace) -> None:
    """All datasets through a cluster of two nodes on this machine, each with one card."""
    subjects = {f"card_{dataset.name}": dataset for dataset in arguments.datasets}
    manifest = write_manifest(arguments.out / "cards.yaml", subjects, arguments, 1 / arguments.per_card)
    out = arguments.out / "cluster"
    with nodes(arguments) as address:
        seconds = run(manifest, out, arguments, None, "", "--address", address)
    print(f"two nodes: {seconds:.1f} s", flush=True)
    if (arguments.out / "one").is_dir():
        compare("two nodes against one card", out, digests(arguments.out / "one"))


@contextmanager
def nodes(arguments: argparse.Namespace) -> Iterator[str]:
    """Two Ray nodes, each in a process of its own that ends with the block; yields the address of the first."""
    address = f"{get_node_ip_address()}:{PORT}"
    started: list[subprocess.Popen[bytes]] = []
    try:
        for card in ("0", "1"):
            gpus = "0" if arguments.device == "cpu" else "1"
            cpus = str(max(1, (os.cpu_count() or 2) // 2))
            where = (
                ["--address", address] if started else ["--head", "--port", str(PORT), "--include-dashboard", "false"]
            )
            command = [*RAY, "start", *where, "--num-cpus", cpus, "--num-gpus", gpus, "--block"]
            environment = {**os.environ, "CUDA_VISIBLE_DEVICES": card, "RAY_USAGE_STATS_ENABLED": "0"}
            environment["RAY_AUTH_MODE"] = "token"
            path = arguments.out / f"node{card}.log"
            with path.open("w") as log:
                started.append(
                    subprocess.Popen(
                        command, env=environment, stdout=log, stderr=subprocess.STDOUT, start_new_session=True
                    )
                )
            while "Ray runtime started" not in path.read_text():
                if started[-1].poll() is not None:
                    sys.exit(f"a Ray node does not start: see {path}")
                time.sleep(0.5)
        yield address
    finally:
        for process in reversed(started):
            os.killpg(process.pid, signal.SIGKILL)  # with all that it started
            process.wait()


def main() -> None:
    """Run what the command line names."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["shares", "cards", "cluster"])
    parser.add_argument("out", type=Path)
    parser.add_argument("datasets", type=Path, nargs="+")
    parser.add_argument("--preset", default="demo")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE")
    parser.add_argument("--do", nargs="+", default=["eval", "relight"])
    parser.add_argument("--device", default="cuda", choices=["cpu", "cuda"])
    parser.add_argument("--per-card", type=int, default=4, help="subjects that share a card, in cards and cluster")
    parser.add_argument("--parts", type=int, nargs="+", default=list(SHARES), help="parts of a card to try, in shares")
    parser.add_argument("--copies", type=int, default=COPIES)
    parser.add_argument("--memory", type=float, default=4.0, help="GB of the machine that a stage sets aside")
    arguments = parser.parse_args()
    if len({dataset.name for dataset in arguments.datasets}) < len(arguments.datasets):
        parser.error("two datasets have the same name")
    arguments.out.mkdir(parents=True, exist_ok=True)
    {"shares": shares, "cards": cards, "cluster": cluster}[arguments.what](arguments)


if __name__ == "__main__":
    main()
