"""What a preset reaches on real clips, tracked again with the avatar, and how much it loses on what it did not see.

Usage: python benchmarks/real_video.py OUT DATASET ... [--preset NAME] [--rules last every] [--stride N]
       [--seconds S] [--set KEY=VALUE ...]

Prints how far the test frames' poses and expressions lie from those of training. Then every clip and split is fitted
as `rgb fit` does it, in a process of its own, spread over the GPUs. Rows: the first
avatar on poses as tracked, the avatar on poses that the first one tracked again, refined on each test picture, and,
for what no test frame can surpass, every few of the frames that the avatar was fitted to.
"""

import argparse
import os
import queue
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from multiprocessing import get_context
from multiprocessing.queues import Queue
from pathlib import Path
from typing import Any, NamedTuple

import torch

from rgb_core import pipeline
from rgb_core.data import Dataset, load_dataset
from rgb_core.devices import resolve_device
from rgb_core.evaluation import EvaluationOptions, evaluate
from rgb_core.evaluation.relit_sheet import write_relit_sheet
from rgb_core.geometry import fit_geometry
from rgb_core.heads import Pose
from rgb_core.presets import load_preset
from rgb_core.progress import Silent
from rgb_core.rendering import Renderer
from rgb_core.retracking.protocol import on_test_pictures

PARTS = ("face", "neck", "hair", "eyes", "mouth")
COLUMNS = ("psnr", "head", "ssim", *PARTS)
LAST, EVERY = "last fifth", "every fifth"
"""Test frames: the end of a clip, whose poses and expressions training may lack, or frames between its own."""

RULES = {"last": LAST, "every": EVERY}
_LIGHTS = ("studio", "sunset", "sun")
_TRAINED = 40  # training frames that are scored
_LEAST_SPREAD = 1e-3  # of a joint angle or a coefficient: less is standing still


def clip(folder: Path, rule: str, stride: int) -> Dataset:
    """Every `stride`th frame of a dataset, with a fifth of them for the test."""
    dataset = load_dataset(folder)
    ids = [frame.id for frame in dataset.all_frames][::stride]
    first = len(ids) - len(ids) // 5
    tested = {name for place, name in enumerate(ids) if (place >= first if rule == LAST else place % 5 == 4)}
    splits = {
        "train": tuple(name for name in ids if name not in tested),
        "test": tuple(name for name in ids if name in tested),
    }
    return replace(dataset, splits=splits)


def novelty(dataset: Dataset) -> tuple[float, float]:
    """Mean distance of test frames to the nearest training frame, and of training frames to the nearest other one.

    In standard deviations of the training frames' joint angles and expressions, those that vary.
    """
    train, test = (
        torch.stack(
            [torch.cat([frame.pose.joints.flatten(), frame.pose.expression]) for frame in dataset.frames(split)]
        )
        for split in ("train", "test")
    )
    spread = train.std(0)
    moving = spread > _LEAST_SPREAD
    train, test = (values[:, moving] / spread[moving] for values in (train, test))
    between = torch.cdist(train, train).fill_diagonal_(torch.inf)
    return float(torch.cdist(test, train).amin(1).mean()), float(between.amin(1).mean())


def scores(
    dataset: Dataset, renderer: Renderer, out: Path, tracking: Mapping[str, Pose] | None = None
) -> dict[str, float]:
    """The columns for the test frames, drawn with the poses `tracking` where it has them."""
    options = EvaluationOptions(tracking=tracking or {}, force=True)
    return columns(evaluate(dataset, renderer, out, options=options))


def columns(metrics: dict[str, Any]) -> dict[str, float]:
    """The columns of a record of metrics.json."""
    found, parts = metrics["reenactment"], metrics["parts"]["reenactment"]
    values = {"psnr": found["psnr"], "head": found["psnr_head"], "ssim": found["ssim"], **parts}
    return {name: values[name] for name in COLUMNS if values.get(name) is not None}


def line(seconds: float, clip_name: str, name: str, row: Mapping[str, float]) -> str:
    """A row of it."""
    cells = "".join("       -" if row.get(column) is None else f"{row[column]:8.3f}" for column in COLUMNS)
    return f"{seconds:5.0f} {clip_name:12s} {name:34s}{cells}"


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
    """Fit and score one clip and split; puts rows (clip, name, columns or a message) into the queue."""
    name = job.dataset.name
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
    told.put((name, f"{job.rule}: tracked again", scores(dataset, renderer, out / "report", poses)))
    write_relit_sheet(out / "relit.png", dataset, renderer, _LIGHTS, progress)
    again = [replace(frame, pose=poses[frame.id]) for frame in dataset.frames("test")]
    refined = on_test_pictures(avatar, dataset, progress, device)(again)
    told.put((name, f"{job.rule}: refined", scores(dataset, renderer, out / "report_refined", refined)))
    train = dataset.splits["train"]
    trained = replace(dataset, splits={"train": (), "test": train[:: max(1, len(train) // _TRAINED)]})
    told.put((name, f"{job.rule}: training frames", scores(trained, renderer, out / "report_trained", poses)))


def run_all(jobs: Sequence[Job], seconds: float) -> list[tuple[str, str, dict[str, float]]]:
    """Do every job in a process of its own, spread over the GPUs, and print its rows; those that last too long end."""
    context, begin = get_context("spawn"), time.perf_counter()
    told: Queue[Any] = context.Queue()
    processes = []
    named = os.environ.get("CUDA_VISIBLE_DEVICES")
    cards = named.split(",") if named else [str(card) for card in range(torch.cuda.device_count())]
    for number, job in enumerate(jobs):
        if cards:
            os.environ["CUDA_VISIBLE_DEVICES"] = cards[number % len(cards)]
        processes.append(context.Process(target=work, args=(job, told)))
        processes[-1].start()
    print(f"{'s':>5s} {'clip':12s} {'test frames: poses':34s}" + "".join(f"{name:>8s}" for name in COLUMNS), flush=True)
    rows: list[tuple[str, str, dict[str, float]]] = []
    alive = True
    while alive and time.perf_counter() - begin < seconds:
        alive = any(process.is_alive() for process in processes)
        try:
            clip_name, name, row = told.get(timeout=1.0)
        except queue.Empty:
            continue
        if isinstance(row, str):
            print(f"{time.perf_counter() - begin:5.0f} {clip_name:12s} {name}: {row}", flush=True)
            continue
        rows.append((clip_name, name, row))
        print(line(time.perf_counter() - begin, clip_name, name, row), flush=True)
    for process in processes:
        process.terminate()
        process.join()
    return rows


def main() -> None:
    """Fit, score and compare what the command line names."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--preset", default="default")
    parser.add_argument("--rules", nargs="+", choices=list(RULES), default=list(RULES))
    parser.add_argument("out", type=Path)
    parser.add_argument("datasets", type=Path, nargs="+")
    parser.add_argument("--stride", type=int, default=1, help="use every so many frames")
    parser.add_argument("--seconds", type=float, default=540.0, help="time limit of all fits together")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="setting of the preset")
    arguments = parser.parse_args()
    jobs = [
        Job(each, RULES[rule], arguments.out / f"{each.name}_{rule}", arguments.preset, arguments.stride, arguments.set)
        for each in arguments.datasets
        for rule in arguments.rules
    ]
    for job in jobs:
        new, usual = novelty(clip(job.dataset, job.rule, job.stride))
        print(f"{job.dataset.name}, {job.rule}: test frames {new:.2f} from training, which lies {usual:.2f} apart")
    rows = run_all(jobs, arguments.seconds)
    found = {(clip_name, name): row for clip_name, name, row in rows}
    for clip_name, name in [key for key in found if key[1].startswith(EVERY)]:
        last = found.get((clip_name, name.replace(EVERY, LAST)))
        if last:
            gap = found[clip_name, name]["head"] - last["head"]
            print(f"{clip_name}, {name.removeprefix(EVERY + ': ')}: every fifth is {gap:+.2f} dB better on the head")


if __name__ == "__main__":
    main()
