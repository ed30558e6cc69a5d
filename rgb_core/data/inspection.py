"""Everything about a dataset that can be said before a fit: what is broken, and what the clip covers."""

import math
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch

from ..progress import Progress
from ..scene.light import load_map
from .dataset import Dataset, examine_dataset
from .ground_truth import GroundTruth
from .inspection_frames import FrameFacts, measure_frame
from .records import Defects

_BIN = 15  # degrees of a histogram bar
_MOVES = 0.05  # change of a coefficient that counts as movement: about the noise of trackers
_LEAST_OVERLAP = 0.6  # below it no hairstyle explains the difference
_LEAST_COVERAGE = 0.005  # share of the picture below which stage 1 leaves a frame out
_MOST_COVERAGE = 0.98  # share of the picture from which there is no matte
_LEAST_YAW = 30.0  # degrees from the leftmost to the rightmost view that show both ears
_MOST_DRIFT = 1.0  # stops of brightness between the darkest and the brightest frame
_MOST_CLIPPED = 0.05  # share of the head whose colour is lost
_NAMED = 5  # frames or expressions that a sentence lists


@dataclass(frozen=True)
class Inspection:
    """The outcome of `inspect_dataset`."""

    folder: Path
    dataset: Dataset | None
    """What is sound; None where too little is."""
    facts: list[FrameFacts]
    """Of all frames whose pixels can be read."""
    defects: list[str]
    """Sentences with file, frame and key: what must be repaired."""
    warnings: list[str]
    """Sentences on what a fit will suffer from."""

    def record(self) -> dict[str, Any]:
        """Everything as JSON values."""
        record: dict[str, Any] = {"folder": str(self.folder), "defects": self.defects, "warnings": self.warnings}
        if self.dataset is None or not self.facts:
            return record
        return {
            **record,
            "subject": self.dataset.subject,
            "head": self.dataset.head.name,
            "size": [self.dataset.width, self.dataset.height],
            "frames": {name: len(ids) for name, ids in self.dataset.splits.items()},
            "pose": {
                name: _spread([getattr(facts, name) for facts in self.facts]) for name in ("yaw", "pitch", "roll")
            },
            "expressions": _expressions(self.dataset),
            "matte": {
                "coverage": _mean(facts.coverage for facts in self.facts),
                "soft": _mean(facts.soft for facts in self.facts),
                "cut": [facts.id for facts in self.facts if facts.cut],
                "empty": [facts.id for facts in self.facts if facts.coverage < _LEAST_COVERAGE],
            },
            "exposure": {
                "luminance": _mean(facts.luminance for facts in self.facts),
                "drift_stops": _drift(self.facts),
                "clipped": _mean(facts.clipped for facts in self.facts),
                "black": _mean(facts.black for facts in self.facts),
            },
            "overlap": {
                "mean": _mean(facts.overlap for facts in self.facts),
                "worst": min(facts.overlap for facts in self.facts),
                "worst_frame": min(self.facts, key=lambda facts: facts.overlap).id,
            },
        }


def inspect_dataset(folder: str | Path, progress: Progress) -> Inspection:
    """Check all records and decode all files of a dataset, and measure what is sound.

    Bad input becomes defects in the result, never an exception.
    """
    dataset, found = examine_dataset(folder)
    defects = Defects(keep=True)
    facts: list[FrameFacts] = []
    if dataset is not None:
        progress.start("frames", len(dataset.all_frames))
        for frame in dataset.all_frames:
            with defects.checked():
                facts.append(measure_frame(dataset, frame))
            progress.advance()
        others = list(_other_files(dataset))
        progress.start("other files", len(others))
        for read in others:
            with defects.checked():
                read()
            progress.advance()
    found = found + defects.found + _misplaced(Path(folder), facts)
    warnings = list(_warnings(dataset, facts)) if dataset is not None and facts else []
    return Inspection(Path(folder), dataset, facts, found, warnings)


def spread_frames(inspection: Inspection, count: int) -> list[FrameFacts]:
    """Up to `count` readable frames, evenly spread over the clip."""
    rows = torch.linspace(0, len(inspection.facts) - 1, min(count, len(inspection.facts))).round().long().unique()
    return [inspection.facts[row] for row in rows.tolist()]


def _other_files(dataset: Dataset) -> Iterator[Callable[[], object]]:
    """Reading each file of the dataset that is no frame."""
    for path in dataset.envmaps.values():
        yield partial(load_map, path)
    truth = dataset.ground_truth
    if truth is not None:
        yield from _truth_files(truth)


def _truth_files(truth: GroundTruth) -> Iterator[Callable[[], object]]:
    if (truth.folder / "envmap.hdr").is_file():
        yield truth.light
    if (truth.folder / "coefficients.json").is_file():
        yield truth.coefficients
    readers: dict[str, Callable[[str], object]] = {"mesh": truth.mesh, "albedo": truth.albedo, "normal": truth.normal}
    for kind, read in readers.items():
        for path in sorted((truth.folder / kind).glob("*")):
            yield partial(read, path.stem)
    for name in truth.relit_names:
        for frame_id in truth.relit_ids(name):
            yield partial(truth.relit, name, frame_id)


def _misplaced(folder: Path, facts: list[FrameFacts]) -> list[str]:
    """The sentence on a head model that does not lie on the head."""
    shown = [found.overlap for found in facts if found.coverage >= _LEAST_COVERAGE]
    if not shown or sum(shown) / len(shown) >= _LEAST_OVERLAP:
        return []
    mean = sum(shown) / len(shown)
    return [
        f"{folder}: the tracked head covers the matte with an overlap of only {mean:.2f} (0.60 is the least that "
        "works): K, w2c, joints, translation or the unit of head_model is wrong; look at the overlays of rgb check -o"
    ]


def _warnings(dataset: Dataset, facts: list[FrameFacts]) -> Iterator[str]:
    empty = [found.id for found in facts if found.coverage < _LEAST_COVERAGE]
    if empty:
        yield f"{len(empty)} frames have an empty matte and are left out of a fit: {_few(empty)}"
    if _mean(found.coverage for found in facts) > _MOST_COVERAGE:
        yield "the matte covers whole pictures: the clip was not cut out, and the background becomes part of the head"
    if not any(frame.semantic for frame in dataset.all_frames):
        yield "there are no semantic labels: hair, cloth and eyes are not told apart"
    yaw = [found.yaw for found in facts]
    if max(yaw) - min(yaw) < _LEAST_YAW:
        yield f"the head turns by only {max(yaw) - min(yaw):.0f} degrees: its sides will be guesses"
    if not _expressions(dataset)["moving"]:
        yield "no expression coefficient changes over the clip: the avatar will not move its face"
    if _drift(facts) > _MOST_DRIFT:
        yield f"brightness changes by {_drift(facts):.1f} stops over the clip: fix the exposure of the camera"
    clipped = _mean(found.clipped for found in facts)
    if clipped > _MOST_CLIPPED:
        yield f"{clipped:.0%} of the head is overexposed (255 in a channel): its colour is lost there"


def _spread(angles: list[float]) -> dict[str, Any]:
    """Least and greatest angle in degrees, and frames by bin, keyed by its lower edge."""
    bins = Counter(math.floor(angle / _BIN) * _BIN for angle in angles)
    return {"min": min(angles), "max": max(angles), "histogram": {str(edge): bins[edge] for edge in sorted(bins)}}


def _expressions(dataset: Dataset) -> dict[str, Any]:
    """How many coefficients there are and move, the widest ranges, and the names of those that stay still."""
    values = torch.stack([frame.pose.expression for frame in dataset.all_frames])
    least, greatest = values.amin(0), values.amax(0)
    names = dataset.head.expression_names
    order = (greatest - least).argsort(descending=True, stable=True).tolist()
    moving = [index for index in order if greatest[index] - least[index] > _MOVES]
    return {
        "count": len(names),
        "moving": len(moving),
        "widest": {names[index]: [float(least[index]), float(greatest[index])] for index in moving[:_NAMED]},
        "still": [name for index, name in enumerate(names) if index not in set(moving)],
    }


def _drift(facts: list[FrameFacts]) -> float:
    """Stops between the darkest and the brightest frame."""
    shown = [found.luminance for found in facts if found.luminance > 0]
    return math.log2(max(shown) / min(shown)) if shown else 0.0


def _mean(values: Iterator[float]) -> float:
    listed = list(values)
    return sum(listed) / len(listed)


def _few(names: list[str]) -> str:
    return ", ".join(names[:_NAMED]) + (" ..." if len(names) > _NAMED else "")
