"""Pages that can be mailed: one HTML file with pictures, style and script inside, which asks nothing of a network."""

import base64
import io
from collections.abc import Mapping, Sequence
from html import escape
from importlib import resources

import numpy as np
from PIL import Image
from torch import Tensor

_QUALITY = 92  # of JPEG: errors below what a screen shows; the PNGs beside the report are exact
_NO_NETWORK = "default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'unsafe-inline'"


def whole_page(title: str, body: Sequence[str]) -> str:
    """A page with the report's style and script."""
    files = resources.files(__package__)
    style, script = (files.joinpath(name).read_text(encoding="utf-8") for name in ("report.css", "report.js"))
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{_NO_NETWORK}">\n'
        f"<title>{escape(title)}</title>\n<style>\n{style}</style>\n</head>\n<body>\n"
        + "\n".join(body)
        + f"\n<dialog><img alt=''><p></p></dialog>\n<script>\n{script}</script>\n</body>\n</html>\n"
    )


def embedded(picture: Tensor) -> str:
    """A picture uint8 [H, W, 3] as a data URI: PNG or JPEG, whichever is shorter."""
    image = Image.fromarray(np.ascontiguousarray(picture.cpu().numpy()))
    exact, compressed = io.BytesIO(), io.BytesIO()
    image.save(exact, "PNG", optimize=True)
    image.save(compressed, "JPEG", quality=_QUALITY, subsampling=0)
    kind, file = min((("png", exact), ("jpeg", compressed)), key=lambda pair: pair[1].tell())
    return f"data:image/{kind};base64,{base64.b64encode(file.getvalue()).decode('ascii')}"


def image_tag(picture: Tensor, words: str, eager: bool = False) -> str:
    """An <img> with the picture inside; it is decoded when it comes into view unless `eager`."""
    height, width = picture.shape[:2]
    when = "" if eager else ' loading="lazy"'
    return f'<img src="{embedded(picture)}" alt="{escape(words)}" width="{width}" height="{height}"{when}>'


def figure(picture: Tensor, caption: str) -> str:
    """A picture that opens large when it is pressed, and its caption."""
    return (
        f"<figure><button type=button>{image_tag(picture, caption)}</button>"
        f"<figcaption>{escape(caption)}</figcaption></figure>"
    )


def colour_bar(ticks: Sequence[float], words: str) -> str:
    """The legend of an error picture: its colours with the values at evenly spaced places."""
    marks = "".join(f"<span>{value:g}</span>" for value in ticks)
    return f'<div class="bar"><i></i><div>{marks}</div><p>{escape(words)}</p></div>'


def table(caption: str, header: Sequence[str], rows: Sequence[Sequence[str]], wide: bool = False) -> str:
    """A table of text; a header cell or the caption may be empty. A `wide` one takes the whole width of the page."""
    head = f"<tr>{''.join(f'<th>{escape(name)}</th>' for name in header)}</tr>" if header else ""
    body = "".join(f"<tr>{''.join(f'<td>{escape(cell)}</td>' for cell in row)}</tr>" for row in rows)
    title = f"<caption>{escape(caption)}</caption>" if caption else ""
    return f'<div class="scroll{" wide" if wide else ""}"><table>{title}{head}{body}</table></div>'


def links(targets: Mapping[str, str]) -> str:
    """A line of links by their words; empty without any."""
    items = "".join(f'<a href="{escape(target)}">{escape(words)}</a>' for words, target in targets.items())
    return f'<nav class="links">{items}</nav>' if items else ""
