"""Measures `rgb batch` on two GPUs by whole runs of the command, and compares to the bit what they leave:
`python benchmarks/batch_cards.py OUT [--parts prepare cards cluster second shares] [--budget 480]`.

The parts, which are done in this order; one that would take longer than is left of `--budget` seconds is left out:
  prepare   makes synthetic subjects on the CPU, compiles the kernels, and finds how many steps of stage 2 make all
            subjects take one card `--seconds`
  cards     all subjects on one card, then on two
  cluster   the same by --address on two Ray nodes, each of which owns one card; a worker is killed in mid-run
  second    one subject's fits on the second card alone, in a process that sees both, while another fit keeps the first
            busy, against those on the first
  shares    copies of a small subject at once on one card, by shares 1, 1/2, 1/3, 1/4, 1/6 and 1/8 of it
With --device cpu, cores stand for cards. What a part made stays in OUT, and another call continues with other parts.
"""

import argparse
import json
import multiprocessing
import os
import queue
import signal
import statistics
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import torch
from batch_runs import (
    RGB,
    Running,
    Took,
    busy,
    cluster,
    digests,
    tell_differences,
    worker_of,
    write_manifest,
)

from rgb_core import pipeline
from rgb_core.batch.manifest import Subject
from rgb_core.batch.worker import set_threads
from rgb_core.data import load_dataset
from rgb_core.pipeline import AVATAR, GEOMETRY
from rgb_core.presets import load_preset
from rgb_core.progress import Silent

SHARES = (1, 2, 3, 4, 6, 8)
COPIES = 8
SCENE = ("synthetic.size=256", "synthetic.frames=40", "synthetic.test_frames=4", "synthetic.relight=[sun]")
LARGE = ("geometry.image_size=256", "geometry.steps=100", "gaussians.image_size=256", "gaussians.gaussians=40000",
         "gaussians.density.max_gaussians=50000", "gaussians.checkpoint_every=500")  # fmt: skip
SMALL = ("geometry.image_size=160", "geometry.steps=60", "gaussians.image_size=160", "gaussians.gaussians=15000",
         "gaussians.density.max_gaussians=20000", "gaussians.steps=1500")  # fmt: skip
_STEPS = "steps.json"
_STAGES = ("fit-geometry", "fit-gaussians", "eval")


class Clock:
    """What is left of the time."""

    def __init__(self, budget: float):
        self._end = time.perf_counter() + budget

    @property
    def left(self) -> float:
        """Seconds."""
        return self._end - time.perf_counter()

    def allows(self, what: str, seconds: float) -> bool:
        """Whether so many seconds are left; says so where not."""
        if seconds > self.left:
            print(f"{what}: left out, {self.left:.0f} s left and about {seconds:.0f} needed", flush=True)
        return seconds <= self.left


class Work:
    """What the command line asks for, and the runs of it."""

    def __init__(self, arguments: argparse.Namespace):
        self.arguments = arguments
        self.out: Path = arguments.out
        self.on_cpu: bool = arguments.device == "cpu"
        self.clock = Clock(arguments.budget)
        self.names = [f"card{index}" for index in range(arguments.subjects)]

    def dataset(self, name: str) -> Path:
        """The folder of a subject's dataset."""
        return (self.out / "datasets" / name).absolute()

    def settings(self, steps: int) -> list[str]:
        """Of the large subjects."""
        return [*LARGE, *self.arguments.set, f"gaussians.steps={steps}"]

    @property
    def steps(self) -> int:
        """What `prepare` found."""
        return int(json.loads((self.out / _STEPS).read_text()))

    def manifest(self, name: str, rows: dict[str, Any], parts: int) -> Path:
        """A table of rows, `parts` of which share a card."""
        needs = {
            stage: {"cpus": self.arguments.cpus, "gpus": 1 / parts, "memory_gb": self.arguments.memory}
            for stage in _STAGES
        }
        shared = {"preset": "short", "do": ["eval"]}
        return write_manifest(self.out / f"{name}.yaml", rows, needs=needs, defaults=shared)

    def subjects(self, steps: int) -> Path:
        """The manifest of all large subjects."""
        rows = {name: {"dataset": str(self.dataset(name)), "settings": self.settings(steps)} for name in self.names}
        return self.manifest("cards", rows, self.arguments.per_card)

    def run(self, manifest: Path, out: Path, cards: str | None = None, *more: str, kill: str = "") -> Took:
        """One `rgb batch`; returns its seconds.

        Args:
            cards: numbers of those that it may use; None leaves them as they are.
            kill: the subject whose worker is killed once it has written its first checkpoint.
        """
        environment = dict(os.environ) if cards is None else {**os.environ, "CUDA_VISIBLE_DEVICES": cards}
        if self.on_cpu and cards:
            more = (*more, "--workers", str(len(cards.split(","))))
        command = [*RGB, "batch", str(manifest), "-o", str(out), "--device", self.arguments.device, "--quiet", *more]
        run = Running(subprocess.Popen(command, env=environment), out)
        while run.lasts():
            if self.clock.left <= 0:
                run.process.terminate()
                run.process.wait()
                sys.exit(f"{' '.join(command)} was stopped: the time is over")
            if kill and any((out / kill / "avatar").glob("*checkpoint*")) and (found := worker_of([kill])):
                os.kill(found[0], signal.SIGKILL)
                print(f"    killed the worker of {kill}, process {found[0]}", flush=True)
                kill = ""
        if run.process.returncode:
            sys.exit(f"{' '.join(command)} ended with {run.process.returncode}")
        return run.took()


def prepare(work: Work) -> None:
    """Subjects, kernels, and how long the subjects shall be."""
    started = time.perf_counter()
    changes = [part for change in (*SCENE, *work.arguments.scene) for part in ("--set", change)]
    environment = {**os.environ, **dict.fromkeys(("OMP_NUM_THREADS", "NUMBA_NUM_THREADS"), str(work.arguments.cpus))}

    def make(name: str) -> None:
        options = ["-o", str(work.dataset(name)), "--seed", str(work.names.index(name)), *changes, "--quiet"]
        subprocess.run([*RGB, "synth", *options], check=True, env=environment)

    with ThreadPoolExecutor(1 if work.on_cpu else len(work.names)) as pool:
        list(pool.map(make, work.names))
    print(f"{len(work.names)} datasets: {time.perf_counter() - started:.0f} s", flush=True)
    targets = ["cpu"] if work.on_cpu else ["cpu", "sm_{}{}".format(*torch.cuda.get_device_capability())]
    for target in targets:
        subprocess.run([*RGB, "doctor", "--warm", target], check=True, stdout=subprocess.DEVNULL)
    print(f"with kernels compiled: {time.perf_counter() - started:.0f} s", flush=True)
    find_steps(work)
    print(f"prepared after {time.perf_counter() - started:.0f} s", flush=True)


def find_steps(work: Work) -> None:
    """By a trial on both cards: how many steps of stage 2 make all subjects take one card as long as they shall."""
    tried = work.arguments.trial
    rows = {
        name: {"dataset": str(work.dataset(name)), "settings": work.settings(tried[index % 2])}
        for index, name in enumerate(work.names)
    }
    out = work.out / "tried"
    seconds = work.run(work.manifest("tried", rows, work.arguments.per_card), out, "0,1").wall
    few, many = (statistics.fmean(stage_seconds(out, name) for name in work.names[which::2]) for which in (0, 1))
    step = (many - few) / (tried[1] - tried[0])
    if step <= 0:
        sys.exit(f"{tried[1]} steps take {many:.1f} s, {tried[0]} take {few:.1f}: another trial must tell")
    of_each = (work.arguments.seconds - (seconds - many)) * work.arguments.per_card / len(work.names)
    steps = max(tried[1], round((of_each - few) / step) + tried[0])
    (work.out / _STEPS).write_text(json.dumps(steps))
    print(f"a trial of {seconds:.0f} s: {few:.1f} and {many:.1f} s for {tried[0]} and {tried[1]} steps, ", end="")
    print(f"so that {steps} steps shall take one card {work.arguments.seconds:.0f} s", flush=True)


def stage_seconds(out: Path, name: str) -> float:
    """Seconds of all stages of a subject."""
    record = json.loads((out / name / "batch.json").read_text())
    return sum(stage["seconds"] for stage in record["stages"].values())


def cards(work: Work) -> None:
    """All subjects on one card and on two."""
    manifest = work.subjects(work.steps)
    with busy(work.on_cpu) as means:
        one = work.run(manifest, work.out / "one", "0")
    tell("one card", work, "one", one, None, means)
    if not work.clock.allows("two cards", 0.6 * one.wall):
        return
    with busy(work.on_cpu) as means:
        two = work.run(manifest, work.out / "two", "0,1")
    tell("two cards", work, "two", two, one, means, 2)


def by_cluster(work: Work) -> None:
    """All subjects on two nodes, each with one card; a worker is killed."""
    manifest = work.subjects(work.steps)
    cores = 1 if work.on_cpu else max(1, (os.cpu_count() or 2) // 2)
    out = work.out / "cluster"
    out.mkdir(exist_ok=True)
    with cluster(out, [None, None] if work.on_cpu else ["0", "1"], cores) as nodes, busy(work.on_cpu) as means:
        took = work.run(manifest, out, None, "--address", nodes.address, kill=work.names[0])
    tell("two nodes, a worker killed", work, "cluster", took, None, means, 2)


def tell(
    title: str, work: Work, name: str, took: Took, first: Took | None, means: dict[str, float], cards: int = 1
) -> None:
    """A run's line, and whether it left what the first one left."""
    parts = [f"{took.wall:.1f} s"]
    parts += [f"{first.wall / took.wall:.2f} times as fast as one"] if first else []
    parts += [f"cards busy {', '.join(f'{value:.0f} %' for _, value in sorted(means.items()))}"] if means else []
    each = [stage_seconds(work.out / name, subject) for subject in work.names]
    parts.append(f"stages of a subject {statistics.fmean(each):.1f} s")
    parts.append(took.outside(sum(each), cards * (1 if work.on_cpu else work.arguments.per_card)))
    print(f"{title}: {'; '.join(parts)}", flush=True)
    if name != "one":
        tell_differences("against one card", digests(work.out / name), digests(work.out / "one"))


def second(work: Work) -> None:
    """The second card alone beside a busy first one."""
    name = work.names[0]
    out = work.out / "second"
    device, other = ("cpu", "cpu") if work.on_cpu else ("cuda:1", "cuda:0")
    start = multiprocessing.get_context("spawn").Process
    cpus, endless = work.arguments.cpus, work.settings(10**6)
    neighbour = start(target=fit, args=(work.dataset(work.names[1]), endless, work.out / "neighbour", other, cpus))
    neighbour.start()
    alone = start(target=fit, args=(work.dataset(name), work.settings(work.steps), out / name, device, cpus))
    started = time.perf_counter()
    alone.start()
    alone.join(max(work.clock.left, 1.0))
    state = "busy" if neighbour.is_alive() else "NOT BUSY"
    for process in (alone, neighbour):
        process.kill()
        process.join()
    print(f"both fits on {device} beside {other}, {state}: {time.perf_counter() - started:.1f} s", flush=True)
    fits = (f"{name}/{GEOMETRY}/", f"{name}/{AVATAR}/")
    first = {key: value for key, value in digests(work.out / "one").items() if key.startswith(fits)}
    tell_differences("second card against first", digests(out), first)


def fit(dataset: Path, settings: list[str], out: Path, device: str, cpus: int) -> None:
    """Both fits of a subject as a batch does them."""
    set_threads(cpus)
    preset = load_preset("short", settings)
    pipeline.fit(load_dataset(dataset), out, preset, Silent(), Subject(dataset=dataset).seed, torch.device(device))


def shares(work: Work) -> None:
    """Copies of one subject at once, by the share of a card that each asks for; every share on a card that is free."""
    row = {"dataset": str(work.dataset(work.names[0])), "settings": [*SMALL, *work.arguments.set]}
    rows = {f"copy{index}": row for index in range(COPIES)}
    free: queue.SimpleQueue[str] = queue.SimpleQueue()
    for card in range(work.arguments.cards):
        free.put(str(card))

    def one(parts: int) -> None:
        card = free.get()
        if work.clock.allows(f"1/{parts} of a card", 60.0):
            out = work.out / f"share{parts}"
            more = ("--workers", str(parts)) if work.on_cpu else ()
            took = work.run(work.manifest(out.name, rows, parts), out, None if work.on_cpu else card, *more)
            each = statistics.fmean(stage_seconds(out, name) for name in rows)
            told = f"{took.wall:.1f} s, {3600 * COPIES / took.wall:.0f} subjects an hour, {each:.1f} s each"
            print(f"1/{parts} of a card: {told}; {took.outside(COPIES * each, parts)}", flush=True)
        free.put(card)

    with ThreadPoolExecutor(work.arguments.cards) as pool:
        list(pool.map(one, work.arguments.shares))
    found = [digests(work.out / f"share{parts}") for parts in work.arguments.shares]
    first = {key.partition("/")[2]: value for key, value in found[0].items() if key.startswith("copy0/")}
    alike = {f"{name}/{key}": value for name in rows for key, value in first.items()}
    for parts, mine in zip(work.arguments.shares, found, strict=True):
        if mine:
            tell_differences(f"copies of 1/{parts} against the first copy of all", mine, alike)


PARTS = {"prepare": prepare, "cards": cards, "cluster": by_cluster, "second": second, "shares": shares}
_NEEDED = {"prepare": 0.8, "cards": 1.1, "cluster": 0.65, "second": 0.4, "shares": 0.4}
"""Seconds of a part, at least, as parts of those that one card takes."""


def main() -> None:
    """Run what the command line names."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("--parts", nargs="+", default=list(PARTS), choices=list(PARTS))
    parser.add_argument("--budget", type=float, default=480.0, help="seconds of all parts")
    parser.add_argument("--seconds", type=float, default=160.0, help="that all subjects shall take one card")
    parser.add_argument("--subjects", type=int, default=8)
    parser.add_argument("--per-card", type=int, default=4, help="subjects that share a card")
    parser.add_argument("--cards", type=int, default=2, help="that `shares` may use")
    parser.add_argument("--shares", type=int, nargs="+", default=list(SHARES), help="parts of a card to try")
    parser.add_argument("--scene", action="append", default=[], metavar="KEY=VALUE", help="change of the subjects")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="change of the fits")
    parser.add_argument("--trial", type=int, nargs=2, default=[500, 4000], metavar=("FEW", "MANY"), help="its steps")
    parser.add_argument("--cpus", type=int, default=2, help="cores of a subject")
    parser.add_argument("--memory", type=float, default=4.0, help="GB of the machine that a stage sets aside")
    parser.add_argument("--device", default="cuda", choices=["cpu", "cuda"])
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    work = Work(arguments)
    for name, part in PARTS.items():
        if name in arguments.parts and work.clock.allows(name, _NEEDED[name] * arguments.seconds):
            part(work)


if __name__ == "__main__":
    main()
