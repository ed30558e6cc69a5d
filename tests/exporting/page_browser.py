"""A headless Chromium with software WebGL2 that opens exported pages; tests that need it skip where there is none."""

import base64
import io
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
_QUIET = ("--no-sandbox", "--disable-background-networking", "--disable-component-update", "--disable-sync")
_SOFTWARE = ("--use-gl=angle", "--use-angle=swiftshader", "--enable-unsafe-swiftshader", "--ignore-gpu-blocklist")
_READY_MS = 120_000


class OpenPage:
    """One page in the browser, with what it asked of the network and what it complained about."""

    def __init__(self, page: Any):
        self.page = page
        self.requests: list[str] = []
        self.complaints: list[str] = []
        page.on("request", lambda request: self.requests.append(request.url))
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.on("console", lambda line: line.type == "error" and self.complaints.append(line.text))

    def load(self, path: Path) -> None:
        """Open a file and wait until it shows its avatar or says why not."""
        self.page.goto(path.as_uri())
        ended = "document.body.classList.contains('ready') || document.body.classList.contains('failed')"
        self.page.wait_for_function(ended, timeout=_READY_MS)

    def run(self, script: str, argument: object = None) -> Any:
        """The result of the body of an async function of `argument`; `page` is the page's own object."""
        return self.page.evaluate(f"async (argument) => {{ {script} }}", argument)

    def freeze(self) -> None:
        """Stop blinks and gaze, so that pictures repeat."""
        self.run("page.frozen = true; await page.settle();")

    def picture(self) -> np.ndarray:
        """The canvas as it is shown, uint8 [H, W, 3]."""
        self.run("await page.settle();")
        url = self.run("return document.getElementById('view').toDataURL('image/png');")
        return np.array(Image.open(io.BytesIO(base64.b64decode(url.split(",")[1]))).convert("RGB"))


@contextmanager
def playwright() -> Iterator[Any]:
    """Playwright, of which a thread can hold one; skips the test where it or Chromium is missing."""
    api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    if CHROMIUM is None:
        pytest.skip("no Chromium")
    with api.sync_playwright() as control:
        yield control


@contextmanager
def open_page(
    control: Any, path: Path, width: int, height: int, flags: tuple[str, ...] = _SOFTWARE
) -> Iterator[OpenPage]:
    """A page of that size in a browser of its own.

    Its content security policy is set aside: it forbids the scripts that tests run in it.
    """
    chromium = control.chromium.launch(executable_path=CHROMIUM, args=[*_QUIET, *flags])
    page = OpenPage(chromium.new_page(viewport={"width": width, "height": height}, bypass_csp=True))
    page.load(path)
    yield page
    chromium.close()
