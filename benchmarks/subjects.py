"""Fits and scores several subjects with named variants of one preset:
`python benchmarks/subjects.py OUT DATASET ... [--preset short] [--set KEY=VALUE ...] [--variant NAME KEY=VALUE ... ]`.

Two runs of `rgb batch`: the geometry of every subject, then every variant of every subject on that geometry, which is
what `rgb fit-gaussians DATASET --preset PRESET --set KEY=VALUE ...` makes. Several fits run at once. Prints a table of
every variant with the mean and the worst over the subjects, and writes OUT/subjects.json after every fit.
"""

import argparse
import json
import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rgb_core.batch.manifest import Manifest, Needs, Subject
from rgb_core.batch.options import BatchOptions
from rgb_core.batch.records import SubjectRecord
from rgb_core.batch.run import run_batch
from rgb_core.batch.stages import STAGES
from rgb_core.data.records import read_json
from rgb_core.devices import device_name, resolve_device

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
    "eyes": True,
    "mouth": True,
    "light": False,
    "irradiance": False,
    "seconds": False,
}


def scores(metrics: dict[str, Any]) -> dict[str, float | None]:
    """The columns of the table from the record of metrics.json; normals in degrees, eyes and mouth relit."""
    relight = dict(metrics["relight"])
    mean = relight.pop("mean")
    sun = relight.get("sun", {})
    light, parts = metrics["light"], metrics["parts"]["relight"]
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
        "eyes": parts["eyes"],
        "mouth": parts["mouth"],
        "light": light["brightest_deg"],
        "irradiance": light["irradiance_error"],
    }


class Table:
    """Listens to the batch: keeps the scores of every fit, and prints a variant when its subjects have ended."""

    def __init__(self, out: Path, variants: dict[str, list[str]], subjects: int):
        self._out, self._variants, self._subjects = out, variants, subjects
        self._rows: dict[str, dict[str, Any]] = {name: {} for name in variants}
        self._ended = dict.fromkeys(variants, 0)
        self.places: dict[str, tuple[str, str]] = {}
        """Variant and subject of every row of the batch."""

    def begin(self, subjects: Sequence[str], given_up: Sequence[str]) -> None:
        """See `rgb_core.batch.options.Listener`."""

    def event(self, event: dict[str, Any]) -> None:
        """See `rgb_core.batch.options.Listener`."""

    def end(self, subject: str, record: SubjectRecord) -> None:
        """See `rgb_core.batch.options.Listener`."""
        if record.failure:
            print(f"{subject} failed in {record.failure.stage}: {record.failure.sentence}", flush=True)
        if subject not in self.places:
            return
        variant, name = self.places[subject]
        if not record.failure:
            metrics = read_json(self._out / subject / "report" / "metrics.json")
            seconds = record.stages["fit-gaussians"].seconds
            self._rows[variant][name] = {**scores(metrics), "seconds": seconds, "metrics": metrics}
            table = {name: {"changes": self._variants[name], "subjects": rows} for name, rows in self._rows.items()}
            (self._out / "subjects.json").write_text(json.dumps(table, indent=1) + "\n")
        self._ended[variant] += 1
        if self._ended[variant] == self._subjects:
            print(summary(variant, self._rows[variant]), flush=True)


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
    """All variants on all subjects, as many fits at once as asked for."""
    share = Needs(cpus=max(1, (os.cpu_count() or 1) // arguments.jobs), gpus=1 / arguments.jobs)
    needs = dict.fromkeys(STAGES, share)
    options = BatchOptions(retry_failed=True, workers=arguments.jobs)
    table = Table(arguments.out, variants, len(arguments.datasets))
    places = {dataset.name: (arguments.geometry or arguments.out) / dataset.name for dataset in arguments.datasets}
    if arguments.geometry is None:
        meshes = {
            f"geometry_{dataset.name}": Subject(
                dataset=dataset.absolute(), preset=arguments.geometry_preset, do=("fit-geometry",)
            )
            for dataset in arguments.datasets
        }
        run_batch(Manifest(meshes, needs), arguments.out, table, options)
        places = {name: arguments.out / f"geometry_{name}" / "geometry" for name in places}
    rows = {}
    for variant, changes in variants.items():
        for dataset in arguments.datasets:
            row = re.sub(r"[^A-Za-z0-9._-]+", "_", f"{variant}_{dataset.name}")
            table.places[row] = variant, dataset.name
            rows[row] = Subject(
                dataset=dataset.absolute(),
                geometry=places[dataset.name].absolute(),
                preset=arguments.preset,
                settings=tuple(changes),
                size=arguments.size,
                do=("eval",),
            )
    run_batch(Manifest(rows, needs), arguments.out, table, options)


def main() -> None:
    """Fit and score what the command line names."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("datasets", type=Path, nargs="+")
    parser.add_argument("--preset", default="short")
    parser.add_argument("--geometry", type=Path, help="folder of geometries by subject; fitted where left out")
    parser.add_argument("--geometry-preset", default="short")
    parser.add_argument("--size", type=int, help="pixels of the longer side to score at; the dataset's where left out")
    parser.add_argument("--jobs", type=int, default=3, help="fits at once")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="for every variant")
    parser.add_argument("--variant", nargs="+", action="append", default=[], metavar=("NAME", "KEY=VALUE"))
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    named = arguments.variant or [["preset"]]
    variants = {name: [*arguments.set, *changes] for name, *changes in named}
    print(f"{device_name(resolve_device('auto'))}, preset {arguments.preset}")
    print(f"{'variant':22s} {'subject':10s}" + "".join(f"{column:>10s}" for column in COLUMNS), flush=True)
    run(arguments, variants)


if __name__ == "__main__":
    main()
