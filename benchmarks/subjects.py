"""Fits and scores several subjects with named variants of one preset:
`python benchmarks/subjects.py OUT DATASET ... [--preset short] [--variant NAME KEY=VALUE ... ]`.

Every variant is what `rgb fit-gaussians DATASET --preset PRESET --set KEY=VALUE ...` makes on geometry that
`rgb fit-geometry` fitted once for each subject. Several fits run at once, each in a process of its own. Prints a table
of every variant with the mean and the worst over the subjects, and writes OUT/subjects.json after every fit.
"""

import argparse
import json
import multiprocessing
import os
import time
import traceback
from pathlib import Path
from typing import Any

import torch

from rgb_core.data import load_dataset
from rgb_core.devices import device_name, resolve_device
from rgb_core.evaluation import EvaluationOptions, evaluate
from rgb_core.geometry import fit_geometry, load_geometry
from rgb_core.geometry.result import RECORD_FILE
from rgb_core.presets import load_preset
from rgb_core.progress import Silent
from rgb_core.rendering import Renderer
from rgb_core.training import fit_gaussians

# Column -> whether more is better.
COLUMNS = {
    "psnr": True,
    "head": True,
    "relit": True,
    "worst": True,
    "raw": True,
    "sun": True,
    "shadow": True,
    "albedo": True,
    "skin": False,
    "hair": False,
    "light": False,
    "irradiance": False,
    "seconds": False,
}


def scores(metrics: dict[str, Any]) -> dict[str, float | None]:
    """The columns of the table from the record of metrics.json."""
    relight = dict(metrics["relight"])
    mean = relight.pop("mean")
    sun = relight.get("sun", {})
    light = metrics["light"]
    return {
        "psnr": metrics["reenactment"]["psnr"],
        "head": metrics["reenactment"]["psnr_head"],
        "relit": mean["psnr_aligned"],
        "worst": min((entry["psnr_aligned"] for entry in relight.values()), default=None),
        "raw": mean["psnr"],
        "sun": sun.get("psnr_aligned"),
        "shadow": sun.get("psnr_cast_shadow"),
        "albedo": metrics["albedo"]["psnr_aligned"],
        "skin": metrics["normal"]["skin_deg"],
        "hair": metrics["normal"]["hair_deg"],
        "light": light["brightest_deg"],
        "irradiance": light["irradiance_error"],
    }


def geometry_of(dataset: Path, out: Path, preset: str) -> None:
    """Fit the geometry of a subject unless it is there."""
    if not (out / RECORD_FILE).is_file():
        fit_geometry(load_dataset(dataset), load_preset(preset).geometry, out, Silent(), device=resolve_device("auto"))


def fit_and_score(task: dict[str, Any]) -> dict[str, Any]:
    """One fit and its scores."""
    dataset, out = load_dataset(task["dataset"]), Path(task["out"])
    device = resolve_device("auto")
    config = load_preset(task["preset"], task["changes"]).gaussians
    start = time.perf_counter()
    avatar = fit_gaussians(
        dataset, load_geometry(task["geometry"]), config, out / "avatar", Silent(), 0, True, {}, device
    )
    seconds = time.perf_counter() - start
    options = EvaluationOptions(size=task["size"])
    metrics = evaluate(dataset, Renderer(avatar.to(device)), out / "report", options=options)
    return {**scores(metrics), "seconds": seconds, "metrics": metrics}


def worker(tasks: Any, results: Any, jobs: int) -> None:
    """Work off tasks until one is None; a failure is a result."""
    torch.set_num_threads(max(1, (os.cpu_count() or 1) // jobs))
    for task in iter(tasks.get, None):
        try:
            if task["variant"] is None:
                geometry_of(Path(task["dataset"]), Path(task["geometry"]), task["preset"])
                results.put((task, {}))
            else:
                results.put((task, fit_and_score(task)))
        except Exception:
            results.put((task, {"error": traceback.format_exc()}))


def summary(name: str, rows: dict[str, dict[str, Any]]) -> str:
    """Lines of one variant: its subjects, their mean and their worst."""
    lines = [
        f"{name:22s} {subject:10s}" + "".join(_cell(row.get(key)) for key in COLUMNS) for subject, row in rows.items()
    ]
    for title, choose in (("mean", lambda values, _: sum(values) / len(values)), ("worst", _worst)):
        columns = {key: [row[key] for row in rows.values() if row.get(key) is not None] for key in COLUMNS}
        cells = [_cell(choose(values, COLUMNS[key]) if values else None) for key, values in columns.items()]
        lines.append(f"{name:22s} {title:10s}" + "".join(cells))
    return "\n".join(lines)


def _worst(values: list[float], more_is_better: bool) -> float:
    return min(values) if more_is_better else max(values)


def _cell(value: float | None) -> str:
    return "         -" if value is None else f"{value:10.4g}"


def run(arguments: argparse.Namespace, variants: dict[str, list[str]]) -> None:
    """All variants on all subjects, as many processes at once as asked for."""
    context = multiprocessing.get_context("spawn")
    tasks, results = context.Queue(), context.Queue()
    workers = [
        context.Process(target=worker, args=(tasks, results, arguments.jobs), daemon=True)
        for _ in range(arguments.jobs)
    ]
    for process in workers:
        process.start()

    def task(dataset: Path, name: str | None) -> dict[str, Any]:
        return {
            "dataset": dataset,
            "geometry": (arguments.geometry or arguments.out / "geometry") / dataset.name,
            "variant": name,
            "preset": arguments.preset if name else arguments.geometry_preset,
            "changes": variants.get(name or "", []),
            "size": arguments.size,
            "out": arguments.out / (name or "").replace(" ", "_") / dataset.name,
        }

    for dataset in arguments.datasets:
        tasks.put(task(dataset, None))
    pending = len(arguments.datasets)
    table: dict[str, dict[str, Any]] = {name: {} for name in variants}
    queued = False
    while pending:
        done, result = results.get()
        pending -= 1
        subject = Path(done["dataset"]).name
        if "error" in result:
            print(f"{done['variant']} {subject} failed:\n{result['error']}", flush=True)
        elif done["variant"] is not None:
            table[done["variant"]][subject] = result
            record = {name: {"changes": variants[name], "subjects": rows} for name, rows in table.items()}
            (arguments.out / "subjects.json").write_text(json.dumps(record, indent=1) + "\n")
            if len(table[done["variant"]]) == len(arguments.datasets):
                print(summary(done["variant"], table[done["variant"]]), flush=True)
        if not queued and pending == 0:
            queued = True
            for name in variants:
                for dataset in arguments.datasets:
                    tasks.put(task(dataset, name))
                    pending += 1
    for _ in workers:
        tasks.put(None)
    for process in workers:
        process.join()


def main() -> None:
    """Fit and score what the command line names."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("datasets", type=Path, nargs="+")
    parser.add_argument("--preset", default="short")
    parser.add_argument("--geometry", type=Path, help="folder of geometries by subject; OUT/geometry where left out")
    parser.add_argument("--geometry-preset", default="short")
    parser.add_argument("--size", type=int, help="pixels of the longer side to score at; the dataset's where left out")
    parser.add_argument("--jobs", type=int, default=3, help="fits at once")
    parser.add_argument("--variant", nargs="+", action="append", default=[], metavar=("NAME", "KEY=VALUE"))
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    variants = {name: changes for name, *changes in arguments.variant} or {"preset": []}
    print(f"{device_name(resolve_device('auto'))}, preset {arguments.preset}")
    print(f"{'variant':22s} {'subject':10s}" + "".join(f"{column:>10s}" for column in COLUMNS), flush=True)
    run(arguments, variants)


if __name__ == "__main__":
    main()
