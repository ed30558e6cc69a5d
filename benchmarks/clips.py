"""What benchmarks of real clips share: splits into training and test frames, fits in processes of their own within a
time limit, and scores in one line."""

import argparse
import os
import queue
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from multiprocessing import get_context
from multiprocessing.queues import Queue
from pathlib import Path
from typing import Any

import torch

from rgb_core.data import Dataset, load_dataset
from rgb_core.evaluation import EvaluationOptions, evaluate
from rgb_core.heads import Pose
from rgb_core.rendering import Renderer

PARTS = ("face", "neck", "hair", "eyes", "mouth")
COLUMNS = ("psnr", "head", "ssim", *PARTS)
LAST, EVERY = "last fifth", "every fifth"
"""Test frames: the end of a clip, whose poses and expressions training may lack, or frames between its own."""

Say = Callable[..., None]
"""Takes a row's clip, its name and its columns."""


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


def scores(
    dataset: Dataset, renderer: Renderer, out: Path, size: int | None = None, tracking: Mapping[str, Pose] | None = None
) -> dict[str, float]:
    """The columns for the test frames, drawn with the poses `tracking` where it has them."""
    options = EvaluationOptions(size, tracking=tracking or {}, force=True)
    return columns(evaluate(dataset, renderer, out, options=options))


def columns(metrics: dict[str, Any]) -> dict[str, float]:
    """The columns of a record of metrics.json."""
    found, parts = metrics["reenactment"], metrics["parts"]["reenactment"]
    values = {"psnr": found["psnr"], "head": found["psnr_head"], "ssim": found["ssim"], **parts}
    return {name: values[name] for name in COLUMNS if values.get(name) is not None}


def title(first: str) -> str:
    """The heading of a table."""
    return f"{'s':>5s} {'clip':12s} {first:34s}" + "".join(f"{column:>8s}" for column in COLUMNS)


def line(seconds: float, clip_name: str, name: str, row: Mapping[str, float]) -> str:
    """A row of it."""
    cells = "".join("       -" if row.get(column) is None else f"{row[column]:8.3f}" for column in COLUMNS)
    return f"{seconds:5.0f} {clip_name:12s} {name:34s}{cells}"


def run_all(
    work: Callable[[Any, "Queue[Any]"], None], jobs: Sequence[Any], seconds: float, first: str
) -> list[tuple[str, str, dict[str, float]]]:
    """Do every job in a process of its own, spread over the GPUs, and print its rows; those that last too long end.

    Args:
        work: puts rows (clip, name, columns or a message) into the queue.
    """
    context, begin = get_context("spawn"), time.perf_counter()
    told: Queue[Any] = context.Queue()
    processes = []
    for number, job in enumerate(jobs):
        if torch.cuda.is_available():
            os.environ["CUDA_VISIBLE_DEVICES"] = str(number % torch.cuda.device_count())
        processes.append(context.Process(target=work, args=(job, told)))
        processes[-1].start()
    print(title(first), flush=True)
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


def arguments_of(parser: argparse.ArgumentParser, seconds: float) -> argparse.Namespace:
    """Those that all such benchmarks have."""
    parser.add_argument("out", type=Path)
    parser.add_argument("datasets", type=Path, nargs="+")
    parser.add_argument("--stride", type=int, default=1, help="use every so many frames")
    parser.add_argument("--seconds", type=float, default=seconds, help="time limit of all fits together")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="setting of the preset")
    return parser.parse_args()
