"""Where a step of stage 2 goes on a GPU: `python -P benchmarks/training_profile.py DATASET GEOMETRY`.

One step of `default` without density control, recorded and replayed: its time, and the kernels in it by what they
belong to; what their sum lacks lies between them. With `--parameters FILE`, what twelve steps from one start have made
of the avatar is written to FILE, or compared with what FILE holds: two versions of the code must agree to rounding,
and two runs of one to the bit.
"""

import argparse
from collections import Counter, defaultdict
from pathlib import Path

import torch
from torch.profiler import ProfilerActivity, profile

from rgb_core.data import load_dataset
from rgb_core.devices import device_name, resolve_device
from rgb_core.geometry import load_geometry
from rgb_core.presets import load_preset
from rgb_core.progress import Silent
from rgb_core.training.fit import GaussianFit

_SAMPLED = 76_000  # Poisson sampling keeps about 70,000 of them
_COMPARED_TENSORS = "neutral.position", "neutral.albedo", "deltas", "light_raw", "tracking_raw"
_FIRST, _COMPARED, _WARM_UP, _PROFILED, _TIMED = 5000, 12, 150, 20, 600
# Parts by what the names of their kernels hold, the first that fits; our own kernels before torch's.
_PARTS = {
    "shading": ("integrate", "shade", "envshade", "occlusion"),
    "splatting": ("project", "sort_", "tile", "blend_", "render", "count_", "rank", "instance", "order"),
    "skinning and sums over expressions": ("skin_", "segment_sum"),
    "attaching": ("attach",),
    "corrections of tracking": ("move_",),
    "priors of Gaussians": ("priors_", "unevenness"),
    "structural similarity": ("similarity", "window_mean"),
    "Adam": ("adam",),
    "torch: sums and means": ("reduce",),
    "torch: sorting and gathering": ("sort", "index", "gather", "scatter", "Radix", "scan"),
    "torch: matrix products": ("gemm", "gemv", "cutlass", "dot_kernel", "splitK"),
    "torch: copies": ("Memcpy", "Memset", "copy", "Copy", "CatArray", "fill", "Fill"),
    "torch: by element": ("elementwise",),
}


def part_of(kernel: str) -> str:
    """The part that a kernel's name belongs to."""
    for part, marks in _PARTS.items():
        if any(mark in kernel for mark in marks) and (part.startswith("torch") or "at::" not in kernel):
            return part
    return "other"


def compare(fit: GaussianFit, path: Path) -> None:
    """Write what the fit has made of the avatar, or print how far it is from what was written."""
    tensors, _ = fit.state()
    mine = {name: tensors[name].detach().float().cpu() for name in _COMPARED_TENSORS}
    if not path.exists():
        torch.save(mine, path)
        return
    for name, other in torch.load(path, weights_only=True).items():
        distance = float((mine[name] - other).norm() / other.norm().clamp_min(1e-12))
        print(f"{name:16} after {_COMPARED} steps: relative distance {distance:.2e}")


def count_kernels(fit: GaussianFit, step: int) -> None:
    """Print the kernels of a replayed step."""
    with profile(activities=[ProfilerActivity.CUDA]) as profiled:
        for i in range(_PROFILED):
            fit.step(step + i)
        torch.cuda.synchronize()
    events = [event for event in profiled.events() if event.device_type == torch.autograd.DeviceType.CUDA]
    microseconds: dict[str, float] = defaultdict(float)
    launches: Counter[str] = Counter()
    single: Counter[str] = Counter()
    for event in events:
        part = part_of(event.name)
        microseconds[part] += event.device_time / _PROFILED
        launches[part] += 1
        single[event.name[:90]] += event.device_time / _PROFILED
    print(f"{'part':40}{'kernels':>9}{'us':>9}")
    for part, time in sorted(microseconds.items(), key=lambda item: -item[1]):
        print(f"{part:40}{launches[part] / _PROFILED:9.1f}{time:9.1f}")
    print(f"{'all':40}{len(events) / _PROFILED:9.1f}{sum(microseconds.values()):9.1f}")
    for name, time in single.most_common(14):
        print(f"{time:9.1f} us  {name}")


def time_steps(fit: GaussianFit, first: int) -> float:
    """Milliseconds of a step."""
    start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
    start.record()
    for step in range(first, first + _TIMED):
        fit.step(step)
    end.record()
    end.synchronize()
    return start.elapsed_time(end) / _TIMED


def main() -> None:
    """Profile on the GPU that there is."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("dataset", type=Path)
    parser.add_argument("geometry", type=Path)
    parser.add_argument("--preset", default="default")
    parser.add_argument("--parameters", type=Path)
    arguments = parser.parse_args()
    device = resolve_device("cuda")
    never = ["gaussians.density.start=1", f"gaussians.gaussians={_SAMPLED}", "gaussians.warmup=0"]
    config = load_preset(arguments.preset, never).gaussians
    dataset, geometry = load_dataset(arguments.dataset), load_geometry(arguments.geometry)
    fit = GaussianFit(dataset, geometry, config, Silent(), 0, True, device)
    with fit.active():
        fit.start()
        for step in range(_FIRST, _FIRST + _COMPARED):
            fit.step(step)
        if arguments.parameters is not None:
            compare(fit, arguments.parameters)
        step = _FIRST + _COMPARED
        for i in range(max(_WARM_UP, len(fit.frames))):  # every frame is traced once
            fit.step(step + i)
        step += max(_WARM_UP, len(fit.frames))
        milliseconds = time_steps(fit, step)
        pairs, size = len(fit.avatar.deltas), fit.frames.size
        print(f"{device_name(device)}: {fit.avatar.count} Gaussians, {pairs} deltas, {size[0]} x {size[1]} pixels")
        print(f"{milliseconds:.3f} ms a step, {1e3 / milliseconds:.0f} steps a second")
        count_kernels(fit, step + _TIMED)


if __name__ == "__main__":
    main()
