"""The report a reader opens: report.html, which holds all that it shows, and its pictures as files and on one sheet."""

import os
from collections.abc import Mapping
from html import escape
from itertools import groupby
from pathlib import Path
from typing import Any
from urllib.parse import quote

from ..files import write_text
from ..images import write_png
from ..images.contact_sheet import Tile, contact_sheet
from . import markup
from .advice import advice
from .sections import Picture, Section
from .wording import RELIT, Score, number, scores_of

REPORT, SHEET, PICTURES = "report.html", "contact_sheet.png", "pictures"
_SHEET_TILE = 192  # pixels


def write_report(
    out: Path,
    metrics: Mapping[str, Any],
    sections: list[Section],
    provenance: Mapping[str, str],
    links: Mapping[str, Path],
) -> None:
    """Write report.html, its pictures under pictures/, and contact_sheet.png into the folder `out`.

    Args:
        metrics: the record of metrics.json.
        sections: pictures to show.
        provenance: what made the run, by name.
        links: files to link to, by the words of the link; those that do not exist are left out.

    Raises:
        InputError: when the folder cannot be written to.
    """
    for picture in _pictures(sections):
        write_png(out / PICTURES / f"{picture.name}.png", picture.image)
    rows = [[Tile(picture.image, picture.caption) for picture in row] for section in sections for row in section.rows]
    write_png(out / SHEET, contact_sheet(rows, _SHEET_TILE))
    targets = {words: quote(Path(os.path.relpath(to, out)).as_posix()) for words, to in links.items() if to.is_file()}
    write_text(out / REPORT, _page(metrics, sections, provenance, targets))


def _pictures(sections: list[Section]) -> list[Picture]:
    return [picture for section in sections for row in section.rows for picture in row]


def _page(
    metrics: Mapping[str, Any], sections: list[Section], provenance: Mapping[str, str], targets: Mapping[str, str]
) -> str:
    title = f"{metrics['avatar']} on {metrics['subject']}"
    body = [f"<h1>{escape(title)}</h1>", markup.links(targets), _headline(metrics)]
    if sentences := advice(metrics):
        items = "".join(f"<li>{escape(sentence)}</li>" for sentence in sentences)
        body.append(f'<h2>What to do next</h2>\n<ol class="next">{items}</ol>')
    body += [_section(section) for section in sections]
    body += ["<h2>Scores</h2>", '<div class="tables">', *_tables(metrics), "</div>"]
    body += ["<h2>Run</h2>", markup.table("", [], [[name, value] for name, value in provenance.items()])]
    return markup.whole_page(title, body)


def _headline(metrics: Mapping[str, Any]) -> str:
    """The few numbers that a reader looks for first."""
    facts = [
        ("test pictures, PSNR", metrics["reenactment"]["psnr"], 1, "dB"),
        ("test pictures, SSIM", metrics["reenactment"]["ssim"], 3, ""),
        ("poses refined on the test pictures, PSNR", (metrics["refined"] or {}).get("psnr"), 1, "dB"),
        ("relit, PSNR under one RGB scale", metrics["relight"]["mean"]["psnr_aligned"], 1, "dB"),
        ("normals", metrics["normal"]["mean_angle_deg"], -1, "degrees"),
        ("skin surface", metrics["mesh"]["skin_mean_mm"], -1, "mm"),
        ("speed", metrics["speed"]["fps"], -1, "frames/s"),
    ]
    items = "".join(
        f"<li><b>{number(value, decimals)}</b> {unit}<span>{name}</span></li>"
        for name, value, decimals, unit in facts
        if value is not None
    )
    return f'<ul class="headline">{items}</ul>'


def _section(section: Section) -> str:
    rows = [
        f'<div class="{section.layout}">{"".join(markup.figure(image, caption) for _, image, caption in row)}</div>'
        for row in section.rows
        if row
    ]
    bar = markup.colour_bar(section.bar.ticks, section.bar.words) if section.bar else ""
    return f"<h2>{escape(section.title)}</h2>\n<p>{escape(section.note)}</p>\n{bar}" + "\n".join(rows)


def _tables(metrics: Mapping[str, Any]) -> list[str]:
    """One table per group of scores; lights share one."""
    relight = [[name, *_relit(record)] for name, record in metrics["relight"].items()]
    header = ["", *(label for label, *_ in RELIT.values()), "the scale"]
    tables = [markup.table("Relighting", header, relight, wide=True)]
    others = (score for score in scores_of(metrics) if not score.group.startswith("Relighting"))
    for group, scores in groupby(others, key=lambda score: score.group):
        rows = [_row(score) for score in scores]
        tables.append(markup.table(group, [], rows))
    return tables


def _relit(record: Mapping[str, Any]) -> list[str]:
    cells = [
        Score("", label, record.get(key), unit, decimals, better).text
        for key, (label, unit, decimals, better) in RELIT.items()
    ]
    return [*cells, " ".join(number(value, 2) for value in record.get("scale", []))]


def _row(score: Score) -> list[str]:
    return [score.label, score.text]
