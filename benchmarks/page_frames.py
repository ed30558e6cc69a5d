"""What a picture of the exported page costs: `python benchmarks/page_frames.py [AVATAR] [--gaussians N] [--size W H]`.

Bytes that its shaders and the worker that sorts read and write, arithmetic by the terms that each pass sums, and the
time of each pass in this machine's Chromium (software WebGL where there is no GPU), each waited for, median of a few.
"""

import argparse
import shutil
import statistics
import tempfile
from pathlib import Path
from typing import Any

from playwright.sync_api import sync_playwright

from rgb_core.avatar import Avatar, load_avatar
from rgb_core.benchmarking.scenes import bench_avatar
from rgb_core.exporting.web import write_page
from rgb_core.exporting.web.tables import avatar_tables

_FLAGS = ("--no-sandbox", "--ignore-gpu-blocklist", "--enable-unsafe-swiftshader")
_READY_MS = 300_000
_DIRECTIONS = 512
# Bytes of a texel list's row: what a pass fetches for one vertex, Gaussian or pair, and what it writes.
_NEUTRAL, _ATTACHED, _PAIR, _POSED, _RADIANCE, _VERTEX, _VERTEX_PAIR, _POSED_VERTEX = 80, 16, 24, 64, 8, 48, 8, 48
_BITS, _ARRIVING = 128, 24
_TIMES = """
const { stage, view } = page, { gl } = stage.gpu, { head } = stage, took = { pose: [], shade: [], splat: [], show: [] };
page.frozen = true;
await page.settle();
const pixel = new Uint8Array(4);
const waited = (name, work) => {
  const start = performance.now();
  work();
  gl.finish();
  gl.bindFramebuffer(gl.FRAMEBUFFER, null);
  gl.readPixels(0, 0, 1, 1, gl.RGBA, gl.UNSIGNED_BYTE, pixel);
  took[name].push(performance.now() - start);
};
for (let round = 0; round < rounds; round++) {
  waited("pose", () => head.pose(stage.pose));
  waited("shade", () => stage.shade(view));
  waited("splat", () => stage.splats.draw(stage.picture, stage.radiance.textures[0], view));
  waited("show", () => stage.show(view));
}
return took;
"""


def traffic(avatar: Avatar) -> dict[str, float]:
    """Megabytes that each pass of a picture reads and writes once."""
    facts, arrays = avatar_tables(avatar)
    gaussians, vertices = facts["gaussians"], len(arrays["vertex.rest"])
    pairs, corners = len(arrays["pair.weight"]), len(arrays["vertex.weight"])
    mesh = vertices * (_VERTEX + _POSED_VERTEX) + corners * _VERTEX_PAIR
    pose = gaussians * (_NEUTRAL + _ATTACHED + _POSED) + pairs * _PAIR + mesh
    shade = vertices * (_BITS + _ARRIVING) + gaussians * (_POSED + _ATTACHED + _RADIANCE)
    splat = gaussians * (_POSED + _RADIANCE + 4)
    return {"pose": pose / 1e6, "shade": shade / 1e6, "splat": splat / 1e6}


def terms(avatar: Avatar) -> dict[str, float]:
    """Millions of terms that each pass sums: changes by expressions, and directions that every vertex looks at."""
    facts, arrays = avatar_tables(avatar)
    joints = (arrays["vertex.skin"] > 0.02 * 65535).sum()
    return {
        "pose": (len(arrays["pair.weight"]) + len(arrays["vertex.weight"])) / 1e6,
        "shade": joints * _DIRECTIONS / 1e6,
        "splat": facts["gaussians"] / 1e6,
    }


def timed(page_file: Path, width: int, height: int, rounds: int) -> dict[str, float]:
    """Median milliseconds of each pass in a browser window of that size."""
    with sync_playwright() as control:
        browser = control.chromium.launch(executable_path=shutil.which("chromium"), args=list(_FLAGS))
        page = browser.new_page(viewport={"width": width, "height": height}, bypass_csp=True)
        page.goto(page_file.as_uri())
        page.wait_for_function("document.body.classList.contains('ready')", timeout=_READY_MS)
        took: dict[str, Any] = page.evaluate(f"async (rounds) => {{ {_TIMES} }}", rounds)
        browser.close()
    return {name: statistics.median(values) for name, values in took.items()}


def main() -> None:
    """Print one line for each pass."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("avatar", type=Path, nargs="?")
    parser.add_argument("--gaussians", type=int, default=70_000)
    parser.add_argument("--size", type=int, nargs=2, default=(1440, 900))
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    avatar = load_avatar(arguments.avatar) if arguments.avatar else bench_avatar(arguments.gaussians)
    with tempfile.TemporaryDirectory() as folder:
        page_file = Path(folder) / "head.html"
        write_page(avatar, page_file)
        print(f"{avatar.count} Gaussians, page of {page_file.stat().st_size / 1e6:.1f} MB")
        width, height = arguments.size
        took = timed(page_file, width, height, arguments.rounds)
    moved, summed = traffic(avatar), terms(avatar)
    for name, milliseconds in took.items():
        print(f"{name:6} {milliseconds:9.1f} ms {moved.get(name, 0):8.1f} MB {summed.get(name, 0):8.2f} M terms")


if __name__ == "__main__":
    main()
