"""The site builds strictly and quickly, has a page for every command and name, and needs no network."""

import re
import time
from html.parser import HTMLParser
from pathlib import Path

import pytest
from mkdocs.commands.build import build
from mkdocs.config import load_config

import rgb_core
from tests.exporting.page_browser import CHROMIUM, playwright

from .blocks import DOCS, ROOT, root

MOST_SECONDS = 15.0  # of the processor
MOST_BYTES_OF_THE_TOUR = 1_500_000
LOADED = {
    "script": "src",
    "img": "src",
    "iframe": "src",
    "link": "href",
    "source": "src",
    "video": "src",
    "object": "data",
}
"""What a browser fetches by itself, and the attribute that says from where."""
WIDTHS = (390, 1440)
NOT_YET = "Initializing"
"""How the search begins what it says until it has its index."""
LONGEST_WAIT_MS = 120_000  # a loaded machine


class Page(HTMLParser):
    """What a page loads, and the names of its places."""

    def __init__(self, path: Path):
        super().__init__()
        self.loads: list[str] = []
        self.places: set[str] = set()
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = dict(attrs)
        self.places |= {values["id"] or ""} if "id" in values else set()
        if tag in LOADED and values.get("rel") not in ("canonical", "prev", "next"):
            self.loads.append(values.get(LOADED[tag]) or "")


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The built site."""
    folder = tmp_path_factory.mktemp("site")
    began = time.process_time()
    build(load_config(str(ROOT / "mkdocs.yml"), site_dir=str(folder), strict=True))  # any warning ends it
    assert time.process_time() - began < MOST_SECONDS
    return folder


def test_every_command_and_option_has_its_page(site: Path):
    for name, command in root().commands.items():
        text = (site / f"commands/{name}.html").read_text(encoding="utf-8")
        for inner in (command, *getattr(command, "commands", {}).values()):
            lacking = [
                each for option in inner.params for each in option.opts if each.startswith("--") and each not in text
            ]
            assert lacking == [], name
    listed = (site / "commands/index.html").read_text(encoding="utf-8")
    assert [name for name in root().commands if f'href="{name}.html"' not in listed] == []


def test_every_exported_name_is_on_the_api_page(site: Path):
    """By its short name, or where a module of that name stands in the way by its whole one."""
    places = Page(site / "api.html").places
    for name in set(rgb_core.__all__) - {"__version__"}:
        thing = getattr(rgb_core, name)
        assert {f"rgb_core.{name}", f"{thing.__module__}.{name}"} & places, name
    assert {place.split(".")[1] for place in places if re.fullmatch(r"rgb_core\.\w+", place)} <= set(rgb_core.__all__)


def test_nothing_comes_from_another_server(site: Path):
    pages = list(site.rglob("*.html"))
    assert len(pages) > 30
    loaded = {(path.name, address) for path in pages for address in Page(path).loads}
    assert len(loaded) > len(pages)
    assert {each for each in loaded if "//" in each[1]} == set()
    styles = "".join(path.read_text(encoding="utf-8") for path in site.rglob("*.css"))
    assert "@import" not in styles
    assert "url(http" not in styles
    assert "url(//" not in styles


def test_the_tour_is_small():
    files = list((DOCS / "images/tour").iterdir())
    assert {path.suffix for path in files} == {".gif", ".jpg", ".png"}
    assert sum(path.stat().st_size for path in files) < MOST_BYTES_OF_THE_TOUR


def test_the_site_opens_from_disk_and_finds_words(site: Path):
    with playwright() as control:
        browser = control.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        for width in WIDTHS:
            page = browser.new_page(viewport={"width": width, "height": 800})
            page.set_default_timeout(LONGEST_WAIT_MS)
            seen: list[str] = []
            page.on("request", lambda request, seen=seen: seen.append(request.url))
            page.on("pageerror", lambda error, seen=seen: seen.append(str(error)))
            for name in ("index.html", "commands/relight.html", "api.html", "quality.html"):
                page.goto((site / name).as_uri())
                assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), (name, width)
            assert [each for each in seen if not each.startswith("file://")] == []
        page.wait_for_function(
            f"!document.querySelector('.md-search-result__meta').textContent.startsWith('{NOT_YET}')"
        )
        page.locator("input.md-search__input").press_sequentially("roughness")
        page.wait_for_selector(".md-search-result__item", state="attached")
        browser.close()


def test_the_links_of_the_readme_lead_somewhere():
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    links = [link.split("#")[0] for link in re.findall(r"\]\(([^)]+)\)", text) if "://" not in link]
    assert len(links) > 10
    assert [link for link in links if not (ROOT / link).exists()] == []
