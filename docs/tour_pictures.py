"""Draws the pictures of the tour: `python docs/tour_pictures.py DEMO docs/images/tour`, where `rgb demo -o DEMO` wrote.

turn.gif is `rgb relight DEMO/avatar --envmap sunset --count 40 --size 256`; expressions.png and materials.png come from
the examples of those names; page.jpg is a browser's picture of what `rgb export` writes.
"""

import os
import runpy
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from PIL import Image
from playwright.sync_api import sync_playwright

EXAMPLES = Path(__file__).parent / "examples"
SIDE, COLOURS, MILLISECONDS = 224, 64, 60  # of the GIF: pixels, palette, time of a picture
WIDTH, HEIGHT = 960, 600  # of the browser's picture
SOFTWARE = ("--no-sandbox", "--use-gl=angle", "--use-angle=swiftshader", "--enable-unsafe-swiftshader")


def main() -> None:
    """Write the four pictures."""
    demo, out = (Path(argument).resolve() for argument in sys.argv[1:3])
    out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        Path("demo").symlink_to(demo)
        turn(out / "turn.gif")
        runpy.run_path(str(EXAMPLES / "expressions.py"))
        Image.open("expressions.png").quantize(128).save(out / "expressions.png", optimize=True)
        runpy.run_path(str(EXAMPLES / "materials.py"))
        strip([Image.open(f"{name}.png") for name in ("dry", "wet", "albedo", "roughness", "normals")]).save(
            out / "materials.jpg", quality=88
        )
        page(out / "page.jpg")


def rgb(*arguments: str) -> None:
    """Run our command line."""
    subprocess.run([sys.executable, "-m", "rgb_cli", *arguments], check=True)


def turn(path: Path) -> None:
    """The head turning under a sunset that turns around it."""
    rgb("relight", "demo/avatar", "--envmap", "sunset", "--count", "40", "--size", "256", "-o", "relit")
    pictures = [
        Image.open(name).convert("RGB").resize((SIDE, SIDE)) for name in sorted(Path("relit/frames").glob("*.png"))
    ]
    first, *rest = [picture.quantize(COLOURS, dither=Image.Dither.NONE) for picture in pictures]
    first.save(path, save_all=True, append_images=rest, duration=MILLISECONDS, loop=0)


def strip(pictures: list[Image.Image]) -> Image.Image:
    """Pictures side by side on black."""
    side = pictures[0].height
    sheet = Image.new("RGB", (side * len(pictures), side))
    for index, picture in enumerate(pictures):
        sheet.paste(picture.convert("RGB"), (side * index, 0), picture if picture.mode == "RGBA" else None)
    return sheet


def page(path: Path) -> None:
    """What a browser shows of the exported page."""
    rgb("export", "demo/avatar", "-o", "head.html")
    with sync_playwright() as control:
        browser = control.chromium.launch(executable_path=shutil.which("chromium"), args=list(SOFTWARE))
        shown = browser.new_page(viewport={"width": WIDTH, "height": HEIGHT}, bypass_csp=True)
        shown.goto(Path("head.html").resolve().as_uri())
        shown.wait_for_function("document.body.classList.contains('ready')", timeout=120_000)
        shown.wait_for_timeout(4000)
        shown.screenshot(path=str(path), type="jpeg", quality=80)
        browser.close()


if __name__ == "__main__":
    main()
