"""Two evaluated runs side by side: one page with a slider over every picture that both have, and their differences."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from itertools import groupby
from pathlib import Path
from typing import Any

from torch import Tensor, uint8

from ..data.records import read_json
from ..errors import InputError
from ..files import write_text
from ..images import read_png
from . import markup
from .evaluate import METRICS
from .records import FORMAT
from .report import PICTURES, REPORT
from .sections import AS_FILMED
from .wording import Score, number, scores_of

_PREDICTION, _TRUTH, _ERROR = "_prediction", "_truth", "_error"
_FORMER_ROWS = 16  # of the lights of records that do not say


@dataclass(frozen=True)
class Difference:
    """One score of two runs."""

    a: Score
    b: Score

    @property
    def change(self) -> float | None:
        """How much more B has; None where one of them has no score."""
        if self.a.value is None or self.b.value is None:
            return None
        return self.b.value - self.a.value

    @property
    def written(self) -> float | None:
        """The same of the values as they are written, so that what does not show in their digits is 0."""
        if self.a.written is None or self.b.written is None:
            return None
        return self.b.written - self.a.written

    @property
    def gain(self) -> float:
        """Positive where B is better, negative where A is, 0 where neither shows in the digits that are written."""
        return (self.written or 0.0) * self.a.better


def compare_runs(a: Path, b: Path, out: Path) -> list[Difference]:
    """Write one self-contained page about two reports of the same dataset, and return their scores.

    Args:
        a, b: folders written by `evaluate`, or the folders of whole runs with such a `report` inside.
        out: the page.

    Raises:
        InputError: when `out` has no name of a page, a folder holds no report, the two are of different subjects,
            sizes, numbers of frames or rows of lights, a file is damaged, or the page cannot be written.
    """
    if out.suffix.lower() not in (".html", ".htm"):
        raise InputError(f"{out} is a web page: give it a name that ends in .html")
    folders = [_report_folder(folder) for folder in (a, b)]
    metrics = [_read_metrics(folder) for folder in folders]
    for key, words in (("subject", "subjects"), ("size", "sizes of pictures"), ("frames", "numbers of test frames")):
        first, second = (record[key] for record in metrics)
        if first != second:
            raise InputError(f"{a} and {b} cannot be compared: their {words} differ, {first} and {second}")
    _check_lights(a, b, metrics)
    theirs = {(score.group, score.label): score for score in scores_of(metrics[1])}
    differences = [
        Difference(score, theirs[score.group, score.label])
        for score in scores_of(metrics[0])
        if (score.group, score.label) in theirs
    ]
    names = _names(a, b)
    title = f"{names[0]} and {names[1]} on {metrics[0]['subject']}"
    body = [f"<h1>{escape(title)}</h1>", _summary(names, differences), "<h2>Pictures</h2>", *_pairs(folders, names)]
    body += ["<h2>Scores</h2>", '<div class="tables">', *_tables(names, differences), "</div>"]
    body.append(_runs(folders, names, metrics))
    write_text(out, markup.whole_page(title, body))
    return differences


def _check_lights(a: Path, b: Path, metrics: list[dict[str, Any]]) -> None:
    """Lights of more rows have sharper shadows, which no fit has earned."""
    if not all(record.get("relight") for record in metrics):
        return
    first, second = (record.get("protocol", {}).get("light_rows", _FORMER_ROWS) for record in metrics)
    if first != second:
        again = f"make {a} anew with rgb eval --light-rows {second}"
        raise InputError(f"{a} and {b} cannot be compared: their lights had {first} and {second} rows; {again}")


def _report_folder(folder: Path) -> Path:
    for candidate in (folder, folder / "report"):
        if (candidate / METRICS).is_file():
            return candidate
    raise InputError(f"{folder} holds no {METRICS}: give a folder that rgb eval, rgb demo or rgb fit wrote")


def _read_metrics(folder: Path) -> dict[str, Any]:
    record = read_json(folder / METRICS)
    missing = [key for key in ("subject", "avatar", "size", "frames", "gaussians") if key not in record]
    if record.get("format") != FORMAT or missing:
        raise InputError(f"{folder / METRICS} is no record of {FORMAT}")
    return record


def _names(a: Path, b: Path) -> tuple[str, str]:
    """What to call the two runs: their folders' names, with as many parents as tell them apart."""
    parts = [path.resolve().parts for path in (a, b)]
    for count in range(1, max(map(len, parts)) + 1):
        first, second = ("/".join(part[-count:]) for part in parts)
        if first != second:
            return first, second
    return f"{parts[0][-1]} (A)", f"{parts[1][-1]} (B)"


def _summary(names: tuple[str, str], differences: list[Difference]) -> str:
    better = sum(difference.gain > 0 for difference in differences)
    worse = sum(difference.gain < 0 for difference in differences)
    alike = len(differences) - better - worse
    a, b = map(escape, names)
    return (
        f"<p>Of {len(differences)} scores, {b} is better in {better}, {a} in {worse}; {alike} are alike or unknown. "
        "Left of the slider is the first run, right of it the second.</p>"
    )


def _pairs(folders: list[Path], names: tuple[str, str]) -> list[str]:
    """A slider over every prediction that both reports picture, above the truth and both errors."""
    shown = [{path.stem for path in (folder / PICTURES).glob(f"*{_PREDICTION}.png")} for folder in folders]
    common = sorted((name.removesuffix(_PREDICTION) for name in shown[0] & shown[1]), key=_as_filmed_first)
    if not common:
        return ["<p>The two reports picture no frame in common.</p>"]
    return ['<div class="pairs">', *(_pair(folders, names, name) for name in common), "</div>"]


def _as_filmed_first(name: str) -> tuple[bool, str]:
    return not name.startswith(AS_FILMED), name


def _pair(folders: list[Path], names: tuple[str, str], name: str) -> str:
    predictions = [_picture(folder, name + _PREDICTION) for folder in folders]
    if predictions[0].shape != predictions[1].shape:
        raise InputError(f"{name}{_PREDICTION}.png has another size in {folders[0]} than in {folders[1]}")
    over = "".join(markup.image_tag(image, f"{name}, {run}") for image, run in zip(predictions, names, strict=True))
    below = [markup.figure(_picture(folders[0], name + _TRUTH), "truth")]
    below += [
        markup.figure(_picture(folder, name + _ERROR), f"error, {run}")
        for folder, run in zip(folders, names, strict=True)
    ]
    title = escape(name.replace(AS_FILMED, "as filmed").replace("_", ", "))
    ends = "".join(f"<span>{escape(run)}</span>" for run in names)
    return (
        f'<section class="pair"><b>{title}</b><div class="over">{over}</div>'
        f'<input type="range" min="0" max="100" value="50" aria-label="{title}: border between the runs">'
        f'<div class="ends">{ends}</div><div class="row">{"".join(below)}</div></section>'
    )


def _picture(folder: Path, name: str) -> Tensor:
    return read_png(folder / PICTURES / f"{name}.png", 3, dtype=uint8)


def _tables(names: tuple[str, str], differences: list[Difference]) -> list[str]:
    tables = []
    for group, scores in groupby(differences, key=lambda difference: difference.a.group):
        rows = "".join(_row(difference) for difference in scores)
        header = "".join(f"<th>{escape(name)}</th>" for name in ("", *names, "difference"))
        table = f"<table><caption>{escape(group)}</caption><tr>{header}</tr>{rows}</table>"
        tables.append(f'<div class="scroll">{table}</div>')
    return tables


def _row(difference: Difference) -> str:
    a, b, change = difference.a, difference.b, difference.written
    look = "better" if difference.gain > 0 else "worse" if difference.gain < 0 else ""
    signed = "–" if change is None else f"{'+' if change > 0 else ''}{number(change, a.decimals)}"
    cells = "".join(f"<td>{escape(text)}</td>" for text in (a.label, a.text, b.text))
    return f'<tr>{cells}<td class="{look}">{"same" if change == 0 else signed}</td></tr>'


def _runs(folders: list[Path], names: tuple[str, str], metrics: Sequence[Mapping[str, Any]]) -> str:
    rows = [
        [run, str(record["avatar"]), f"{record['gaussians']:,}", str(folder / REPORT)]
        for run, record, folder in zip(names, metrics, folders, strict=True)
    ]
    return "<h2>Runs</h2>" + markup.table("", ["", "avatar", "Gaussians", "report"], rows)
