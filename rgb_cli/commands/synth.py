"""`rgb synth`: render a synthetic subject with ground truth."""

from typing import Annotated

import typer

from ..console import Reporter
from ..options import LARGEST_SIDE, Force, Json, Out, Preset, Quiet, Seed, Set


def synth(
    out: Out,
    frames: Annotated[int | None, typer.Option("--frames", min=1, max=100_000, help="Training frames.")] = None,
    size: Annotated[int | None, typer.Option("--size", min=32, max=LARGEST_SIDE, help="Pixels on a side.")] = None,
    preset: Preset = "demo",
    overrides: Set = None,
    seed: Seed = 0,
    force: Force = False,
    quiet: Quiet = False,
    as_json: Json = False,
) -> None:
    """Render a synthetic head clip with ground truth for relighting, albedo, normals and mesh.

    Example: rgb synth -o subject --frames 60 --size 256
    """
    from rgb_core.presets import load_preset
    from rgb_core.synthetic import synthesize

    given = {"frames": frames, "size": size}
    chosen = [f"synthetic.{name}={value}" for name, value in given.items() if value is not None]
    config = load_preset(preset, [*chosen, *(overrides or [])]).synthetic
    reporter = Reporter(quiet, as_json)
    with reporter.live():
        synthesize(out, config, reporter, seed, force)
    reporter.result("dataset", {"folder": str(out), "train frames": config.frames, "test frames": config.test_frames})
