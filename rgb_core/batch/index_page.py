"""The page of a batch: a card per subject with picture, scores and links, to be sorted, and every score's spread."""

import base64
import io
import json
from collections.abc import Mapping
from html import escape
from importlib import resources
from pathlib import Path

from PIL import Image

from ..evaluation.report import PICTURES
from ..evaluation.report import REPORT as REPORT_FILE
from ..files import open_regular, write_text
from ..pipeline import FILM, PAGE, REPORT
from .records import LOG, SubjectRecord
from .results import SUMMARY, TABLE, Scores, Spread, spreads, state_of

INDEX = "index.html"
_HEADLINES = {
    "reenactment.psnr": "test PSNR",
    "reenactment.psnr_head": "on the head",
    "relight.mean.psnr_aligned": "relit, one RGB scale",
    "normal.mean_angle_deg": "normals",
}
"""The scores that a card shows, in few words."""
_SIDE = 240  # pixels of a card's picture
_PICTURES = (f"{REPORT}/{PICTURES}/reenactment_*_prediction.png", f"{FILM}/frames/00000.png", "geometry/preview.png")


def write_index(out: Path, records: Mapping[str, SubjectRecord], scores: Mapping[str, Scores]) -> Path:
    """Write out/index.html, which needs no other file to be shown, and return its path; links lead into `out`."""
    style, script = (
        resources.files(__package__).joinpath(name).read_text(encoding="utf-8") for name in ("index.css", "index.js")
    )
    states = [state_of(record) for record in records.values()]
    counts = ", ".join(f"{states.count(state)} {state}" for state in dict.fromkeys(states))
    cards = "\n".join(_card(out, name, record, scores.get(name, {})) for name, record in records.items())
    write_text(
        out / INDEX,
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{len(records)} subjects</title>\n<style>\n{style}</style>\n</head>\n<body>\n"
        f"<h1>{len(records)} subjects</h1>\n<p>{counts}; <a href='{TABLE}'>{TABLE}</a> has all scores</p>\n"
        f'{_sorting(scores)}\n<div id="cards">\n{cards}\n</div>\n{_table(spreads(scores))}\n'
        f"<script>\n{script}</script>\n</body>\n</html>\n",
    )
    return out / INDEX


def _sorting(scores: Mapping[str, Scores]) -> str:
    known = {key: score for own in scores.values() for key, score in own.items()}
    groups: dict[str, str] = {}
    for key, score in known.items():
        option = f'<option value="{escape(key)}">{escape(score.label)}</option>'
        groups[score.group] = groups.get(score.group, "") + option
    options = "".join(f'<optgroup label="{escape(title)}">{own}</optgroup>' for title, own in groups.items())
    return (
        '<div class="sorting"><label for="score">Sorted by</label><select id="score">'
        f'<option value="name">name</option><option value="seconds">seconds</option>{options}</select>'
        '<button id="order" data-sign="+">smallest first</button></div>'
    )


def _card(out: Path, name: str, record: SubjectRecord, scores: Scores) -> str:
    state, folder = state_of(record), out / name
    values = json.dumps({**{key: score.value for key, score in scores.items()}, "seconds": record.seconds})
    facts = [(title, scores[key].text) for key, title in _HEADLINES.items() if key in scores]
    facts.append(("seconds", f"{record.seconds:.1f}"))
    told = f"<p>{escape(f'{record.failure.stage}: {record.failure.sentence}')}</p>" if record.failure else ""
    targets = {f"{name}/{REPORT}/{REPORT_FILE}": "report", f"{name}/{PAGE}": "page", f"{name}/{LOG}": "log"}
    links = "".join(f'<a href="{escape(to)}">{text}</a>' for to, text in targets.items() if (out / to).is_file())
    items = "".join(f"<dt>{title}</dt><dd>{value}</dd>" for title, value in facts)
    return (
        f'<article class="card {state}" data-name="{escape(name)}" data-scores="{escape(values)}">{_picture(folder)}'
        f'<div><h3>{escape(name)}</h3>{told}<dl>{items}</dl><div class="links">{links}</div></div></article>'
    )


def _picture(folder: Path) -> str:
    """The first picture that the subject's stages left, small enough to be part of the page."""
    found = next((path for pattern in _PICTURES for path in sorted(folder.glob(pattern))), None)
    if found is None:
        return '<div class="none"></div>'
    with open_regular(found) as file, Image.open(file, formats=["PNG"]) as image:
        small = image.convert("RGB")
        small.thumbnail((_SIDE, _SIDE))
    data = io.BytesIO()
    small.save(data, "JPEG", quality=80)
    text = base64.b64encode(data.getvalue()).decode()
    return f'<img alt="" loading="lazy" src="data:image/jpeg;base64,{text}">'


def _table(summary: Mapping[str, Spread]) -> str:
    if not summary:
        return ""
    head = "".join(f"<th>{title}</th>" for title in ("score", "subjects", "mean", "worst", "of", "spread"))
    rows, group = "", ""
    for found in summary.values():
        if found.score.group != group:
            group = found.score.group
            rows += f'<tr><th colspan="6">{escape(group)}</th></tr>'
        rows += "".join(f"<td>{escape(cell)}</td>" for cell in _cells(found)).join(("<tr>", "</tr>"))
    return (
        f"<h2>All scores</h2>\n<p>Spread is the standard deviation over subjects; <a href='{SUMMARY}'>{SUMMARY}</a> "
        f'has the same.</p>\n<div class="scroll"><table><tr>{head}</tr>{rows}</table></div>'
    )


def _cells(found: Spread) -> tuple[str, ...]:
    """A row of the table: every number to the digits that mean something, in the score's unit."""
    mean, spread = (found.score._replace(value=value).text for value in (found.mean, found.spread))
    return found.score.label, str(found.count), mean, found.score.text, found.subject, spread
