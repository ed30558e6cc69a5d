"""The scores of a batch: results.csv with a row per subject, and every score's mean, worst and spread."""

import csv
import io
import math
import statistics
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..data.records import read_json
from ..errors import InputError
from ..evaluation.evaluate import METRICS
from ..files import write_text
from ..pipeline import REPORT
from .records import SubjectRecord
from .stages import STAGES

TABLE, SUMMARY = "results.csv", "summary.csv"
_NO_SCORES = frozenset({"format", "version", "frames", "size", "gaussians", "speed"})  # of metrics.json
_MORE_IS_BETTER = ("psnr", "ssim", "silhouette_iou")
_TAKEN = ("seconds", "memory_mb", "gpu_mb", "disk_mb")


@dataclass(frozen=True)
class Spread:
    """One score over all subjects that have it."""

    mean: float
    worst: float
    subject: str
    """Whose score is the worst."""
    spread: float
    """Standard deviation over the subjects; 0 for a single one."""
    count: int


def more_is_better(score: str) -> bool:
    """Whether a larger value of a score, by its dotted name in metrics.json, is the better one."""
    return score.rpartition(".")[2].startswith(_MORE_IS_BETTER) or score.startswith("parts.")


def subject_scores(folder: Path) -> dict[str, float]:
    """Every score of a subject by its dotted name, as in `reenactment.psnr`; none where it was not evaluated."""
    try:
        metrics = read_json(folder / REPORT / METRICS)
    except InputError:
        return {}
    return dict(_leaves({key: value for key, value in metrics.items() if key not in _NO_SCORES}))


def _leaves(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, float]]:
    for name, value in values.items():
        if isinstance(value, Mapping):
            yield from _leaves(value, f"{prefix}{name}.")
        elif isinstance(value, int | float) and math.isfinite(value):
            yield f"{prefix}{name}", float(value)


def spreads(scores: Mapping[str, Mapping[str, float]]) -> dict[str, Spread]:
    """Mean, worst and spread of every score, from the scores of each subject."""
    names = dict.fromkeys(name for own in scores.values() for name in own)
    return {name: _spread(name, {key: own[name] for key, own in scores.items() if name in own}) for name in names}


def _spread(name: str, values: Mapping[str, float]) -> Spread:
    worst = min(values, key=lambda key: values[key] if more_is_better(name) else -values[key])
    numbers = list(values.values())
    deviation = statistics.stdev(numbers) if len(numbers) > 1 else 0.0
    return Spread(statistics.fmean(numbers), values[worst], worst, deviation, len(numbers))


def write_results(out: Path, records: Mapping[str, SubjectRecord], scores: Mapping[str, Mapping[str, float]]) -> None:
    """Write results.csv and summary.csv into the folder of a batch."""
    summary = spreads(scores)
    stages = [name for name in STAGES if any(name in record.stages for record in records.values())]
    header = [
        "subject",
        "state",
        "stage",
        "sentence",
        "seconds",
        *(f"{a} {b}" for a in stages for b in _TAKEN),
        *summary,
    ]
    rows = [_row(name, record, stages, scores.get(name, {}), summary) for name, record in records.items()]
    write_text(out / TABLE, _csv([header, *rows]))
    lines = [[name, s.count, s.mean, s.worst, s.subject, s.spread] for name, s in summary.items()]
    write_text(out / SUMMARY, _csv([["score", "subjects", "mean", "worst", "worst subject", "spread"], *lines]))


def _row(
    name: str, record: SubjectRecord, stages: list[str], scores: Mapping[str, float], summary: Mapping[str, Spread]
) -> list[Any]:
    taken = [getattr(record.stages[a], b) if a in record.stages else "" for a in stages for b in _TAKEN]
    failure = record.failure
    told = [failure.stage, failure.sentence] if failure else ["", ""]
    return [name, state_of(record), *told, record.seconds, *taken, *(scores.get(key, "") for key in summary)]


def state_of(record: SubjectRecord) -> str:
    """`finished`, `failed` or `unfinished`."""
    return "failed" if record.failure else "finished" if record.finished else "unfinished"


def _csv(rows: list[list[Any]]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue()
