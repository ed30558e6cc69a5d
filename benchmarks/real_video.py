"""What a preset reaches on real clips, tracked again with the avatar, and how much it loses on what it did not see.

Usage: python benchmarks/real_video.py OUT DATASET ... [--preset NAME] [--rules last every] [--stride N]
       [--seconds S] [--set KEY=VALUE ...]

Every clip and split is fitted as `rgb fit` does it, in a process of its own, spread over the GPUs. Rows: the first
avatar on poses as tracked, the avatar on poses that the first one tracked again, and refined on each test picture.
"""

import argparse
import time
import traceback
from dataclasses import replace
from multiprocessing.queues import Queue
from pathlib import Path
from typing import Any, NamedTuple

from clips import EVERY, LAST, arguments_of, clip, run_all, scores

from rgb_core import pipeline
from rgb_core.devices import resolve_device
from rgb_core.evaluation.relit_sheet import write_relit_sheet
from rgb_core.geometry import fit_geometry
from rgb_core.presets import load_preset
from rgb_core.progress import Silent
from rgb_core.rendering import Renderer
from rgb_core.retracking.protocol import on_test_pictures

RULES = {"last": LAST, "every": EVERY}
_LIGHTS = ("studio", "sunset", "sun")


class Job(NamedTuple):
    """One clip and split."""

    dataset: Path
    rule: str
    out: Path
    preset: str
    stride: int
    settings: list[str]


class Stages(Silent):
    """Tells when every stage begins."""

    def __init__(self, job: Job, told: "Queue[Any]"):
        self._job, self._told, self._begin = job, told, time.perf_counter()

    def start(self, stage: str, total: int, done: int = 0) -> None:
        """See `rgb_core.progress.Progress`."""
        seconds = time.perf_counter() - self._begin
        self._told.put((self._job.dataset.name, self._job.rule, f"{stage} after {seconds:.0f} s"))


def work(job: Job, told: "Queue[Any]") -> None:
    """Fit and score one clip and split."""
    name = job.dataset.name
    try:
        device, preset = resolve_device("auto"), load_preset(job.preset, job.settings)
        dataset, out, progress = clip(job.dataset, job.rule, job.stride), job.out, Stages(job, told)
        geometry = fit_geometry(dataset, preset.geometry, out / pipeline.GEOMETRY, progress, 0, device)
        alone = preset.model_copy(update={"retracking": preset.retracking.model_copy(update={"rounds": 0})})
        first = pipeline.fit_avatar(dataset, geometry, out / "alone", alone, progress, 0, device)
        told.put((name, f"{job.rule}: as tracked", scores(dataset, Renderer(first.to(device)), out / "report_first")))
        (out / "alone" / pipeline.AVATAR).rename(out / pipeline.FIRST_AVATAR)
        avatar = pipeline.fit_avatar(dataset, geometry, out, preset, progress, 0, device)
        poses = pipeline.tracked_again(dataset, out, preset)
        renderer = Renderer(avatar.to(device))
        told.put((name, f"{job.rule}: tracked again", scores(dataset, renderer, out / "report", None, poses)))
        write_relit_sheet(out / "relit.png", dataset, renderer, _LIGHTS, progress)
        again = [replace(frame, pose=poses[frame.id]) for frame in dataset.frames("test")]
        refined = on_test_pictures(avatar, dataset, progress, device)(again)
        told.put((name, f"{job.rule}: refined", scores(dataset, renderer, out / "report_refined", None, refined)))
    except Exception:
        told.put((name, job.rule, traceback.format_exc()))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--preset", default="default")
    parser.add_argument("--rules", nargs="+", choices=list(RULES), default=list(RULES))
    arguments = arguments_of(parser, 540)
    jobs = [
        Job(each, RULES[rule], arguments.out / f"{each.name}_{rule}", arguments.preset, arguments.stride, arguments.set)
        for each in arguments.datasets
        for rule in arguments.rules
    ]
    rows = run_all(work, jobs, arguments.seconds, "test frames: poses")
    found = {(clip_name, name): row for clip_name, name, row in rows}
    for clip_name, name in [key for key in found if key[1].startswith(EVERY)]:
        last = found.get((clip_name, name.replace(EVERY, LAST)))
        if last:
            gap = found[clip_name, name]["head"] - last["head"]
            print(f"{clip_name}, {name.removeprefix(EVERY + ': ')}: every fifth is {gap:+.2f} dB better on the head")


if __name__ == "__main__":
    main()
