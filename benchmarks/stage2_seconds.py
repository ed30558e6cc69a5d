"""Where the seconds of a whole fit of stage 2 go: `python -P benchmarks/stage2_seconds.py DATASET GEOMETRY OUT`.

Fits as `rgb fit-gaussians` does and prints the wall seconds of every part, without those of parts inside it, and how
often each ran. A part that hands work to a GPU shows what that costs the host; the device's own time is where the host
waits for it: in "wait for steps", every fifty steps.
"""

import argparse
import time
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

_BEGIN = time.perf_counter()

from rgb_core import pipeline  # noqa: E402 - what importing takes is a part too
from rgb_core.data import load_dataset  # noqa: E402
from rgb_core.devices import device_name, resolve_device  # noqa: E402
from rgb_core.fitting.log import StepLog  # noqa: E402
from rgb_core.geometry import load_geometry  # noqa: E402
from rgb_core.presets import load_preset  # noqa: E402
from rgb_core.progress import Silent  # noqa: E402
from rgb_core.rendering import graphs  # noqa: E402
from rgb_core.shading import SurfaceTracer  # noqa: E402
from rgb_core.training import density, fit  # noqa: E402

_PARTS: list[tuple[Any, str, str]] = [
    (fit, "fingerprint", "fingerprint of the inputs"),
    (fit, "start_kernels", "start of the kernels"),
    (fit.GaussianFit, "__init__", "preparation, rest"),
    (fit, "initial_avatar", "births"),
    (fit, "skin_beside_whites", "skin beside the whites"),
    (fit, "colour_from_frames", "first colours"),
    (fit.TrainingFrames, "_load", "reading of frames"),
    (SurfaceTracer, "trace", "visibility of frames"),
    (fit.GaussianFit, "_optimise", "steps by themselves and while recorded"),
    (graphs._Recorded, "__init__", "recording, rest"),
    (graphs._Recorded, "replay", "replays"),
    (StepLog, "flush", "wait for steps"),
    (fit.GaussianFit, "_rearrange", "rearrangement, rest"),
    (fit, "rearrange", "rearrangement: which Gaussians"),
    (density, "walk", "rearrangement: walk of attachments"),
    (density, "bind_expressions", "rearrangement: pairs of expressions"),
    (fit.AvatarPriors, "of", "priors anew, neighbours"),
    (fit, "save_avatar", "avatar written"),
    (fit, "load_avatar", "avatar read"),
    (fit.GaussianFit, "step", "steps, rest"),
]


class Watch:
    """Wall seconds by part, each without those of the parts inside it."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = defaultdict(float)
        self.calls: dict[str, int] = defaultdict(int)
        self._inner: list[float] = [0.0]

    def timed(self, part: str, work: Callable[..., Any]) -> Callable[..., Any]:
        """`work`, which adds what it takes to `part`."""

        def call(*args: Any, **options: Any) -> Any:
            self._inner.append(0.0)
            begin = time.perf_counter()
            try:
                return work(*args, **options)
            finally:
                whole = time.perf_counter() - begin
                self.seconds[part] += whole - self._inner.pop()
                self.calls[part] += 1
                self._inner[-1] += whole

        return call

    def watch(self, owner: Any, name: str, part: str) -> None:
        """Time what `owner` calls `name`."""
        found = vars(owner)[name]
        timed = self.timed(part, found.__func__ if isinstance(found, classmethod) else found)
        setattr(owner, name, classmethod(timed) if isinstance(found, classmethod) else timed)


def main() -> None:
    """Fit and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("dataset", type=Path)
    parser.add_argument("geometry", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--preset", default="default")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE")
    arguments = parser.parse_args()
    imported = time.perf_counter() - _BEGIN
    watch = Watch()
    for owner, name, part in _PARTS:
        watch.watch(owner, name, part)
    device, preset = resolve_device(arguments.device), load_preset(arguments.preset, arguments.set)
    dataset, geometry = load_dataset(arguments.dataset), load_geometry(arguments.geometry)
    watch.timed("the fit, rest", pipeline.fit_avatar)(dataset, geometry, arguments.out, preset, Silent(), 0, device)
    print(f"{device_name(device)}: {time.perf_counter() - _BEGIN:.1f} s, of which")
    print(f"{imported:8.2f} s         imports")
    for part, seconds in sorted(watch.seconds.items(), key=lambda item: -item[1]):
        print(f"{seconds:8.2f} s {watch.calls[part]:6d}  {part}")


if __name__ == "__main__":
    main()
