"""The report a reader opens: report.html beside its pictures, and the same pictures on one contact sheet."""

from collections.abc import Mapping
from html import escape
from importlib import resources
from pathlib import Path
from typing import Any

from ..files import write_text
from ..images import write_png
from ..images.contact_sheet import Tile, contact_sheet
from .sections import Picture, Section

REPORT, SHEET, PICTURES = "report.html", "contact_sheet.png", "pictures"
_SHEET_TILE = 192  # pixels


def write_report(out: Path, metrics: Mapping[str, Any], sections: list[Section], provenance: Mapping[str, str]) -> None:
    """Write report.html, its pictures under pictures/, and contact_sheet.png into the folder `out`.

    Args:
        metrics: the record of metrics.json.
        sections: pictures to show.
        provenance: what made the run, by name.

    Raises:
        InputError: when the folder cannot be written to.
    """
    for picture in _pictures(sections):
        write_png(out / PICTURES / f"{picture.name}.png", picture.image)
    rows = [[Tile(picture.image, picture.caption) for picture in row] for section in sections for row in section.rows]
    write_png(out / SHEET, contact_sheet(rows, _SHEET_TILE))
    write_text(out / REPORT, _page(metrics, sections, provenance))


def _pictures(sections: list[Section]) -> list[Picture]:
    return [picture for section in sections for row in section.rows for picture in row]


def _page(metrics: Mapping[str, Any], sections: list[Section], provenance: Mapping[str, str]) -> str:
    style = resources.files(__package__).joinpath("report.css").read_text(encoding="utf-8")
    title = f"{metrics['avatar']} on {metrics['subject']}"
    body = [f"<h1>{escape(title)}</h1>", _headline(metrics)]
    body += [_section(section) for section in sections]
    body += ["<h2>Scores</h2>", '<div class="tables">', *_tables(metrics), "</div>"]
    body += ["<h2>Run</h2>", _table("", [], [[name, value] for name, value in provenance.items()])]
    return (
        f'<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n<title>{escape(title)}</title>\n'
        f"<style>\n{style}</style>\n</head>\n<body>\n" + "\n".join(body) + "\n</body>\n</html>\n"
    )


def _headline(metrics: Mapping[str, Any]) -> str:
    """The few numbers that a reader looks for first."""
    facts = [
        ("test PSNR", metrics["reenactment"]["psnr"], "dB"),
        ("test SSIM", metrics["reenactment"]["ssim"], ""),
        ("relit PSNR, one RGB scale", metrics["relight"]["mean"]["psnr_aligned"], "dB"),
        ("normals", metrics["normal"]["mean_angle_deg"], "degrees"),
        ("skin surface", metrics["mesh"]["skin_mean_mm"], "mm"),
        ("speed", metrics["speed"]["fps"], "frames/s"),
    ]
    known = [fact for fact in facts if fact[1] is not None]
    items = "".join(f"<li><b>{_number(value)}</b> {unit}<span>{name}</span></li>" for name, value, unit in known)
    return f'<ul class="headline">{items}</ul>'


def _section(section: Section) -> str:
    rows = [f'<div class="row">{"".join(_figure(picture) for picture in row)}</div>' for row in section.rows if row]
    return f"<h2>{escape(section.title)}</h2>\n<p>{escape(section.note)}</p>\n" + "\n".join(rows)


def _figure(picture: Picture) -> str:
    source, caption = escape(f"{PICTURES}/{picture.name}.png"), escape(picture.caption)
    height, width = picture.image.shape[:2]
    image = f'<img src="{source}" alt="{caption}" width="{width}" height="{height}" loading="lazy">'
    return f"<figure>{image}<figcaption>{caption}</figcaption></figure>"


def _tables(metrics: Mapping[str, Any]) -> list[str]:
    """One table per record of metrics.json; environments share one."""
    relight = metrics["relight"]
    columns = ["psnr", "psnr_aligned", "ssim_aligned", "scale"]
    rows = [[name, *(_cell(scores.get(key)) for key in columns)] for name, scores in relight.items()]
    tables = [_table("relight", ["", *columns], rows)]
    for name in ("reenactment", "albedo", "parts", "normal", "mesh", "light", "speed"):
        tables.append(_table(name, [], [[key, _cell(value)] for key, value in metrics[name].items()]))
    return tables


def _table(caption: str, header: list[str], rows: list[list[str]]) -> str:
    head = f"<tr>{''.join(f'<th>{escape(name)}</th>' for name in header)}</tr>" if header else ""
    body = "".join(f"<tr>{''.join(f'<td>{escape(cell)}</td>' for cell in row)}</tr>" for row in rows)
    title = f"<caption>{escape(caption)}</caption>" if caption else ""
    return f"<table>{title}{head}{body}</table>"


def _cell(value: Any) -> str:
    if value is None:
        return "–"
    if isinstance(value, list):
        return " ".join(_number(item) for item in value)
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {_cell(item)}" for name, item in value.items())
    return _number(value) if isinstance(value, float) else str(value)


def _number(value: float) -> str:
    return f"{value:.4g}"
