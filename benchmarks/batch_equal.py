"""Whether `rgb batch` makes what single runs make, to the bit, and what it costs beside them:
`python benchmarks/batch_equal.py WHAT OUT [--subjects 12] [--preset demo]`.

WHAT is one of, in this order (each compares with what `single` left in OUT)
  single    `rgb demo --seed N` for every subject, so many at a time; one that was interrupted begins anew
  batch     all subjects, and one whose data is broken, by `rgb batch` with so many workers, undisturbed
  killed    the same by two Ray nodes of this machine and --address; a worker, the driver and then Ray itself are ended
            by kill -9 in mid-run, and the same command is given again each time
Stages use one thread, so that the results are those of single runs with one. Progress and figures are printed.
"""

import argparse
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from batch_runs import RGB, Meter, cluster, digests, tell_differences, worker_of, write_manifest

from rgb_core.batch.stages import STAGES
from rgb_core.output_folder import is_finished

ONE_THREAD = {"OMP_NUM_THREADS": "1", "NUMBA_NUM_THREADS": "1", "OMP_WAIT_POLICY": "passive"}
BROKEN = "broken"
_FIGURES = "single.json"
_NEVER = 3600.0  # seconds after which a run that was disturbed is taken to hang
_WANTED = ["eval", "relight", "export"]


def single(arguments: argparse.Namespace) -> None:
    """Every subject by a command of its own; what finished before is kept with its figures."""
    path = arguments.out / _FIGURES
    figures: dict[str, dict[str, float]] = json.loads(path.read_text()) if path.is_file() else {}

    def one(name: str, seed: int) -> None:
        options = ["--preset", arguments.preset, *changes(arguments), "--seed", str(seed), "--device", "cpu"]
        command = [*RGB, "demo", "-o", str(arguments.out / "single" / name), *options, "--quiet"]
        shutil.rmtree(arguments.out / "single" / name, ignore_errors=True)  # half a run would take half the time
        started = time.perf_counter()
        process = subprocess.Popen(command, env={**os.environ, **ONE_THREAD})
        _, status, usage = os.wait4(process.pid, 0)
        if status:
            raise SystemExit(f"{' '.join(command)} ended with {status}")
        figures[name] = {"wall": time.perf_counter() - started, "cpu": usage.ru_utime + usage.ru_stime}
        path.write_text(json.dumps(figures))
        print(f"    {name}: {figures[name]['wall']:.0f} s, {figures[name]['cpu']:.0f} CPU seconds", flush=True)

    with ThreadPoolExecutor(arguments.at_once) as pool:
        list(pool.map(one, *zip(*((k, v) for k, v in seeds(arguments).items() if k not in figures), strict=True)))
    print(f"single runs: {sum(each['cpu'] for each in figures.values()):.0f} CPU seconds")


def batch(arguments: argparse.Namespace) -> None:
    """Undisturbed, by the Ray that the command starts; prints what it costs beside the stages."""
    out = arguments.out / "batch"
    started = time.perf_counter()
    with Meter() as meter:
        driver = start(arguments, out, meter.environment, "--workers", str(arguments.at_once))
        driver.wait()
    wall = time.perf_counter() - started
    records = check(arguments, out)
    stages = sum(record["stages"][name]["seconds"] for record in records.values() for name in record["stages"])
    singles = json.loads((arguments.out / _FIGURES).read_text())
    cpu = sum(singles[name]["cpu"] for name in seeds(arguments))
    print(
        f"{arguments.at_once} workers for {wall:.0f} s: {arguments.at_once * wall:.0f} s, of which stages {stages:.0f}"
    )
    print(f"not in stages: {1 - stages / (arguments.at_once * wall):.1%} of the workers' time")
    print(f"CPU seconds: {meter.cpu_seconds:.0f}, Ray's own among them; single runs {cpu:.0f}, ", end="")
    print(f"so that the batch takes {meter.cpu_seconds / cpu - 1:+.1%}")


def killed(arguments: argparse.Namespace) -> None:
    """Disturbed three times, by two Ray nodes; the last run goes to the end."""
    out, workers = arguments.out / "killed", max(1, arguments.at_once // 2)
    out.mkdir(parents=True, exist_ok=True)
    with cluster(out, [None, None], workers) as nodes:
        driver = start(arguments, out, {}, "--address", nodes.address)
        process, subject = wait_for(lambda: at_a_fit(out), driver)
        os.kill(process, signal.SIGKILL)
        print(f"    killed the worker of {subject}, process {process}", flush=True)
        wait_for(lambda: finished(out) > arguments.subjects // 4, driver)
        process, subject = wait_for(lambda: at_a_fit(out), driver)
        driver.kill()
        driver.wait()
        print(f"    killed the driver, while {subject} was fitted and {finished(out)} subjects had ended", flush=True)
        nothing_half_written(arguments, out)
        driver = start(arguments, out, {}, "--address", nodes.address)
        wait_for(lambda: finished(out) > arguments.subjects // 2, driver)
        _, subject = wait_for(lambda: at_a_fit(out), driver)
        nodes.kill()
        print(f"    killed Ray, while {subject} was fitted and {finished(out)} subjects had ended", flush=True)
        started = time.perf_counter()
        print(
            f"    the command ended with {driver.wait(_NEVER)} after {time.perf_counter() - started:.0f} s", flush=True
        )
        nothing_half_written(arguments, out)
    with cluster(out, [None, None], workers) as nodes:
        start(arguments, out, {}, "--address", nodes.address).wait()
    check(arguments, out)


def seeds(arguments: argparse.Namespace) -> dict[str, int]:
    """The subjects by name."""
    return {f"s{seed:02d}": seed for seed in range(1, arguments.subjects + 1)}


def changes(arguments: argparse.Namespace) -> list[str]:
    """The changes of the preset as options."""
    return [part for change in arguments.set for part in ("--set", change)]


def start(arguments: argparse.Namespace, out: Path, environment: dict[str, str], *more: str) -> subprocess.Popen[bytes]:
    """Give the command."""
    rows: dict[str, Any] = {name: {"synthetic": True, "seed": seed} for name, seed in seeds(arguments).items()}
    rows = {BROKEN: {"dataset": str(broken_dataset(arguments.out).absolute())}, **rows}
    shared = {"preset": arguments.preset, "settings": arguments.set, "do": _WANTED}
    manifest = write_manifest(arguments.out / "subjects.yaml", rows, defaults=shared)
    command = [*RGB, "batch", str(manifest), "-o", str(out), "--device", "cpu", "--quiet", *more]
    return subprocess.Popen(command, env={**os.environ, **ONE_THREAD, **environment})


def broken_dataset(out: Path) -> Path:
    """A dataset of which half a picture is lost."""
    folder = out / "broken_dataset"
    if not folder.is_dir():
        few = ["--set", "synthetic.frames=4", "--set", "synthetic.test_frames=1", "--set", "synthetic.size=32"]
        subprocess.run([*RGB, "synth", "-o", str(folder), *few, "--quiet"], check=True)
        picture = sorted(folder.glob("images/*.png"))[0]
        picture.write_bytes(picture.read_bytes()[: picture.stat().st_size // 2])
    return folder


def records_of(out: Path) -> dict[str, dict[str, Any]]:
    """What the subjects' folders say of them."""
    return {path.parent.name: json.loads(path.read_text()) for path in sorted(out.glob("*/batch.json"))}


def finished(out: Path) -> int:
    """How many subjects have ended well."""
    return sum(record["finished"] for record in records_of(out).values())


def at_a_fit(out: Path) -> tuple[int, str] | None:
    """A worker in the middle of stage 2, past its first checkpoint, and its subject."""
    fitted = [path.parents[1].name for path in out.glob("*/avatar/*checkpoint*")]
    return worker_of(fitted)


def wait_for(look: Callable[[], Any], driver: subprocess.Popen[bytes]) -> Any:
    """What `look` finds once it finds something."""
    while not (found := look()):
        if driver.poll() is not None:
            sys.exit("the batch ended before it could be disturbed: give it more subjects or steps")
        time.sleep(0.5)
    return found


def made(arguments: argparse.Namespace, out: Path) -> dict[str, str]:
    """Digests of what the sound subjects left."""
    return {key: value for key, value in digests(out).items() if key.partition("/")[0] in seeds(arguments)}


def nothing_half_written(arguments: argparse.Namespace, out: Path) -> None:
    """Compare what finished stages left with the single runs, in the state in which a kill left it."""
    mine, single = made(arguments, out), made(arguments, arguments.out / "single")
    places = {f"{name}/{stage.folder}" for name in seeds(arguments) for stage in STAGES.values()}
    whole = tuple(f"{place}/" for place in places if is_finished(out / place))
    of_finished = [{key: value for key, value in found.items() if key.startswith(whole)} for found in (mine, single)]
    tell_differences(f"{len(whole)} finished folders after the kill", *of_finished)


def check(arguments: argparse.Namespace, out: Path) -> dict[str, dict[str, Any]]:
    """Say whether every subject ended as it must; returns the records of all."""
    records = records_of(out)
    failure = records[BROKEN]["failure"]
    print(f"    the broken subject: {failure and failure['sentence']}")
    print(f"    {finished(out)} of {arguments.subjects} subjects finished")
    tell_differences("against the single runs", made(arguments, out), made(arguments, arguments.out / "single"))
    return records


def main() -> None:
    """Run what the command line names."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["single", "batch", "killed"])
    parser.add_argument("out", type=Path)
    parser.add_argument("--subjects", type=int, default=12)
    parser.add_argument("--preset", default="demo")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE")
    parser.add_argument(
        "--at-once", type=int, default=2, help="single runs, and workers of the batch, half of them on each node"
    )
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    {"single": single, "batch": batch, "killed": killed}[arguments.what](arguments)


if __name__ == "__main__":
    main()
