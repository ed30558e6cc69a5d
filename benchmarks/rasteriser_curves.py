"""How the rasteriser's time and memory grow: `python -P benchmarks/rasteriser_curves.py CURVES.svg` on a GPU.

Prints a Markdown table over numbers of Gaussians and sizes of picture, and draws it. gsplat is timed beside, on the
same tensors and by its own call, where it is installed. Times are medians in milliseconds by CUDA events with the
host's launches in them; memory is what a call allocates at the most beside its inputs.
"""

import sys
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import NamedTuple

import torch
from diff_gaussian_rasterization import rasterize
from kernel_runtime.timing import eager_ms, peak_mb

from rgb_core.benchmarking.scenes import ellipsoid, ellipsoid_view
from rgb_core.benchmarking.workloads import CURVE, CURVE_SIZES

REPEATS = 30
PANEL, MARGIN = 360, 60  # pixels of the drawing
COLOURS = ("#1b6ca8", "#d1495b", "#2e933c", "#8d6a9f", "#c77d0a")


class Point(NamedTuple):
    """What one scene costs."""

    package: str
    gaussians: int
    size: int
    forward_ms: float
    both_ms: float
    memory_mb: float  # forward and backward


def ours(inputs: list[torch.Tensor], size: int) -> Callable[[], torch.Tensor]:
    """Our call on means, rotations, scales, opacities and colours."""
    world_to_camera, (intrinsics, width, height) = ellipsoid_view(size)
    camera = world_to_camera.double().cuda(), intrinsics, width, height
    return lambda: rasterize(*inputs, *camera).image


def gsplat(inputs: list[torch.Tensor], size: int) -> Callable[[], torch.Tensor]:
    """gsplat's call on the same."""
    means, rotations, scales, opacities, colours = inputs
    world_to_camera, ((fx, fy, cx, cy), width, height) = ellipsoid_view(size)
    view = torch.cat([world_to_camera, torch.tensor([[0.0, 0, 0, 1]])])[None].cuda()
    lens = torch.tensor([[[fx, 0, cx], [0, fy, cy], [0, 0, 1]]]).cuda()
    draw = import_module("gsplat").rasterization
    return lambda: draw(means, rotations, scales, opacities[:, 0], colours, view, lens, width, height)[0]


def measure(package: str, call: Callable, gaussians: int, size: int) -> Point:
    """Time one scene."""
    inputs = [tensor.cuda().requires_grad_() for tensor in ellipsoid(gaussians)]
    draw = call(inputs, size)
    gradient = torch.ones_like(draw())

    def both() -> None:
        torch.autograd.grad(draw(), inputs, gradient)

    with torch.no_grad():
        forward = eager_ms(draw, REPEATS)
    return Point(package, gaussians, size, forward, eager_ms(both, REPEATS), peak_mb(both))


def packages() -> dict[str, Callable]:
    """Ours, and gsplat if it is there; the file that was loaded is printed."""
    found: dict[str, Callable] = {"ours": ours}
    try:
        module = import_module("gsplat")
    except ImportError:
        return found
    print(f"gsplat {module.__version__}, {module.__file__}")
    return {**found, "gsplat": gsplat}


def draw_curves(points: list[Point], path: Path) -> None:
    """One panel each for the two times and the memory, over the number of Gaussians, one line per size and package."""
    titles = "forward, ms", "forward + backward, ms", "memory, MB"
    panels = [_panel(points, column, title) for column, title in enumerate(titles)]
    width, height = len(titles) * (PANEL + MARGIN) + MARGIN, PANEL + 2 * MARGIN
    moved = "".join(
        f'<g transform="translate({MARGIN + i * (PANEL + MARGIN)} {MARGIN})">{panel}</g>'
        for i, panel in enumerate(panels)
    )
    head = f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" font-family="sans-serif" '
    path.write_text(f'{head}font-size="11"><rect width="100%" height="100%" fill="white"/>{moved}</svg>\n')


def _panel(points: list[Point], column: int, title: str) -> str:
    """Both axes logarithmic, from one power of ten to another."""
    across = torch.tensor([float(point.gaussians) for point in points]).log10()
    up = torch.tensor([point[3 + column] for point in points]).log10()
    left, right, low, high = across.min().floor(), across.max().ceil(), up.min().floor(), up.max().ceil()
    x = ((across - left) / (right - left) * PANEL).tolist()
    y = (PANEL - (up - low) / (high - low) * PANEL).tolist()
    parts = [f'<text x="{PANEL / 2}" y="-12" text-anchor="middle">{title}</text>']
    for power in range(int(low), int(high) + 1):
        at = PANEL - (power - float(low)) / float(high - low) * PANEL
        parts.append(f'<path d="M0 {at:.1f}H{PANEL}" stroke="#ddd"/><text x="-6" y="{at + 4:.1f}" ')
        parts.append(f'text-anchor="end">{10.0**power:g}</text>')
    for power in range(int(left), int(right) + 1):
        at = (power - float(left)) / float(right - left) * PANEL
        parts.append(f'<path d="M{at:.1f} 0V{PANEL}" stroke="#ddd"/><text x="{at:.1f}" y="{PANEL + 16}" ')
        parts.append(f'text-anchor="middle">{10**power:,}</text>')
    for package in dict.fromkeys(point.package for point in points):
        for size in CURVE_SIZES:
            line = [i for i, point in enumerate(points) if (point.package, point.size) == (package, size)]
            path = "L".join(f"{x[i]:.1f} {y[i]:.1f}" for i in line)
            colour, dashes = COLOURS[CURVE_SIZES.index(size)], "" if package == "ours" else ' stroke-dasharray="4 3"'
            parts.append(f'<path d="M{path}" fill="none" stroke="{colour}" stroke-width="1.5"{dashes}/>')
            label = f"{size}" if package == "ours" else f"{size} {package}"
            parts.append(f'<text x="{x[line[-1]] + 4:.1f}" y="{y[line[-1]] + 4:.1f}" fill="{colour}">{label}</text>')
    return "".join(parts)


def main() -> None:
    """Time all scenes and draw them."""
    print(torch.cuda.get_device_name())
    calls = packages()
    print("| package | Gaussians | pixels | forward, ms | forward + backward, ms | MB |\n|---|---|---|---|---|---|")
    points = []
    for package, call in calls.items():
        for gaussians in CURVE:
            for size in CURVE_SIZES:
                point = measure(package, call, gaussians, size)
                points.append(point)
                print(
                    f"| {package} | {gaussians:,} | {size} | {point.forward_ms:.3f} | {point.both_ms:.3f} "
                    f"| {point.memory_mb:.1f} |",
                    flush=True,
                )
    draw_curves(points, Path(sys.argv[1]))


if __name__ == "__main__":
    main()
