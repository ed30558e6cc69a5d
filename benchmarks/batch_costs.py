"""What many subjects cost, by the figures of a batch: `python benchmarks/batch_costs.py OUT/results.csv --per-card 4`.

Prints seconds, memory and bytes of every stage (means over the subjects that finished), what so many subjects take on
1, 8 and 64 GPUs, and how fast the shared disk must then be. A card works on `--per-card` subjects at a time, as it did
when the figures were taken, so that one is finished every `seconds / per card`. Stages read what those before wrote.
"""

import argparse
import csv
import statistics
from pathlib import Path

from rgb_core.batch.stages import STAGES

CARDS = (1, 8, 64)
COLUMNS = ("seconds", "memory_mb", "gpu_mb", "disk_mb")
READERS_OF_DATASET, READERS_OF_AVATAR = ("fit-geometry", "fit-gaussians", "eval"), ("eval", "relight", "export")


def stage_means(path: Path) -> dict[str, dict[str, float]]:
    """Mean figures of every stage that a batch ran."""
    with path.open(encoding="utf-8") as file:
        rows = [row for row in csv.DictReader(file) if row["state"] == "finished"]
    means: dict[str, dict[str, float]] = {}
    for stage in STAGES:
        known = [row for row in rows if row.get(f"{stage} seconds")]
        if known:
            means[stage] = {key: statistics.fmean(float(row[f"{stage} {key}"]) for row in known) for key in COLUMNS}
    return means


def read_mb(means: dict[str, dict[str, float]], dataset_mb: float) -> float:
    """Bytes that the stages of one subject read, in MB: the dataset and the avatar, by each that needs them."""
    of_dataset = dataset_mb * sum(stage in means for stage in READERS_OF_DATASET)
    avatar = means.get("fit-gaussians", {}).get("disk_mb", 0.0)
    return of_dataset + avatar * sum(stage in means for stage in READERS_OF_AVATAR)


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("results", type=Path)
    parser.add_argument("--subjects", type=int, default=1000)
    parser.add_argument("--per-card", type=int, default=1, help="subjects that shared a card, or a machine without one")
    parser.add_argument("--dataset-mb", type=float, help="size of a dataset, where no stage made it")
    arguments = parser.parse_args()
    means = stage_means(arguments.results)
    print(f"{'stage':14s}{'seconds':>10s}{'memory MB':>11s}{'GPU MB':>9s}{'disk MB':>9s}")
    for stage, figures in means.items():
        print(f"{stage:14s}{figures['seconds']:10.1f}" + "".join(f"{figures[key]:10.0f}" for key in COLUMNS[1:]))
    on_card = sum(figures["seconds"] for stage, figures in means.items() if STAGES[stage].on_gpu)
    beside = sum(figures["seconds"] for stage, figures in means.items() if not STAGES[stage].on_gpu)
    made = [means[stage]["disk_mb"] for stage in ("synth", "track", "import") if stage in means]
    dataset = arguments.dataset_mb if arguments.dataset_mb is not None else sum(made)
    written, read = sum(figures["disk_mb"] for figures in means.values()), read_mb(means, dataset)
    print(f"\na subject: {on_card:.1f} s of a card's share, {beside:.1f} s of a core beside it, ", end="")
    print(f"{written:.0f} MB written, {read:.0f} MB read")
    print(f"\n{arguments.subjects} subjects, {arguments.per_card} at a time on each card")
    print(f"{'cards':>6s}{'hours':>9s}{'cores beside':>14s}{'disk, MB/s':>12s}{'left on disk, GB':>18s}")
    for cards in CARDS:
        seconds = arguments.subjects * on_card / (arguments.per_card * cards)
        cores = arguments.subjects * beside / seconds
        speed = arguments.subjects * (written + read) / seconds
        size = arguments.subjects * written / 1000
        print(f"{cards:6d}{seconds / 3600:9.2f}{cores:14.1f}{speed:12.1f}{size:18.1f}")


if __name__ == "__main__":
    main()
