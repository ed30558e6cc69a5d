"""The scores of a batch: results.csv with a row per subject, and every score's mean, worst and spread."""

import csv
import io
import math
import statistics
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..data.records import read_json
from ..errors import InputError
from ..evaluation.evaluate import METRICS
from ..evaluation.wording import Score, scores_of
from ..files import write_text
from ..pipeline import REPORT
from .records import SubjectRecord
from .stages import STAGES

TABLE, SUMMARY = "results.csv", "summary.csv"
_TAKEN = ("seconds", "memory_mb", "gpu_mb", "disk_mb")

Scores = Mapping[str, Score]
"""Of one subject, by their dotted names in metrics.json."""


@dataclass(frozen=True)
class Spread:
    """One score over all subjects that have it."""

    score: Score
    """The worst, with its words."""
    subject: str
    """Whose score is the worst."""
    mean: float
    spread: float
    """Standard deviation over the subjects; 0 for a single one."""
    count: int

    @property
    def worst(self) -> float:
        """The value of the worst score."""
        assert self.score.value is not None
        return self.score.value


def subject_scores(folder: Path) -> dict[str, Score]:
    """Every score that a subject has, by its dotted name; none where it was not evaluated.

    Speed is left out: it tells of the machine and its other work.
    """
    try:
        metrics = read_json(folder / REPORT / METRICS)
    except InputError:
        return {}
    metrics.pop("speed", None)
    known = (score for score in scores_of(metrics) if score.value is not None and math.isfinite(score.value))
    return {score.key: score for score in known}


def spreads(scores: Mapping[str, Scores]) -> dict[str, Spread]:
    """Mean, worst and spread of every score, from the scores of each subject."""
    names = dict.fromkeys(name for own in scores.values() for name in own)
    return {name: _spread({key: own[name] for key, own in scores.items() if name in own}) for name in names}


def _spread(scores: Scores) -> Spread:
    """The spread of one score over the subjects that have it."""
    values = {name: score.value for name, score in scores.items() if score.value is not None}
    worst = min(values, key=lambda name: values[name] * scores[name].better)
    numbers = list(values.values())
    deviation = statistics.stdev(numbers) if len(numbers) > 1 else 0.0
    return Spread(scores[worst], worst, statistics.fmean(numbers), deviation, len(numbers))


def write_results(out: Path, records: Mapping[str, SubjectRecord], scores: Mapping[str, Scores]) -> None:
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
    name: str, record: SubjectRecord, stages: list[str], scores: Scores, summary: Mapping[str, Spread]
) -> list[Any]:
    taken = [getattr(record.stages[a], b) if a in record.stages else "" for a in stages for b in _TAKEN]
    failure = record.failure
    told = [failure.stage, failure.sentence] if failure else ["", ""]
    return [
        name,
        state_of(record),
        *told,
        record.seconds,
        *taken,
        *(scores[key].value if key in scores else "" for key in summary),
    ]


def state_of(record: SubjectRecord) -> str:
    """`finished`, `failed` or `unfinished`."""
    return "failed" if record.failure else "finished" if record.finished else "unfinished"


def _csv(rows: list[list[Any]]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue()
