"""A small face in a large picture against the same pixels alone: `python benchmarks/small_face.py VIDEO OUT`.

The video is scaled down (OUT/alone.mp4) and padded with black to its old size (OUT/padded.mp4). Both are tracked,
fitted and scored on their last fifth; a tracker that looks closely enough loses nothing by the padding.
"""

import argparse
import subprocess
from pathlib import Path

import imageio_ffmpeg
from real_video import COLUMNS, LAST, clip, line, scores

from rgb_core import pipeline
from rgb_core.devices import resolve_device
from rgb_core.heads import builtin_head
from rgb_core.presets import load_preset
from rgb_core.progress import Silent
from rgb_core.rendering import Renderer
from rgb_core.tracking import TrackingOptions, track


def make(video: Path, out: Path, scale: int) -> dict[str, Path]:
    """The two clips."""
    small = f"scale=trunc(iw/{scale}/2)*2:-2"
    filters = {"alone": small, "padded": f"{small},pad=iw*{scale}:ih*{scale}:(ow-iw)/2:(oh-ih)/2"}
    clips = {name: out / f"{name}.mp4" for name in filters}
    for name, wanted in filters.items():
        command = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-y", "-i", str(video), "-an", "-vf", wanted]
        subprocess.run([*command, "-crf", "8", "-pix_fmt", "yuv420p", str(clips[name])], check=True)
    return clips


def main() -> None:
    """Make, track, fit and score."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("video", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--scale", type=int, default=3, help="by which the video is made smaller")
    parser.add_argument("--stride", type=int, default=1, help="track every so many frames")
    parser.add_argument("--preset", default="demo")
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    preset, device = load_preset(arguments.preset, []), resolve_device("auto")
    print(" " * 53 + "".join(f"{name:>8s}" for name in COLUMNS))
    for name, video in make(arguments.video, arguments.out, arguments.scale).items():
        folder = arguments.out / name
        tracked = track(video, folder / "dataset", builtin_head(), Silent(), TrackingOptions(stride=arguments.stride))
        kept = f"{len(tracked.dataset.all_frames)} frames, dropped: {tracked.quality['dropped'] or 'none'}"
        dataset = clip(folder / "dataset", LAST, 1)
        avatar = pipeline.fit(dataset, folder, preset, Silent(), 0, device).avatar
        row = scores(dataset, Renderer(avatar.to(device)), folder / "report")
        print(line(0, name, f"{dataset.width} x {dataset.height}, last fifth", row), kept, flush=True)


if __name__ == "__main__":
    main()
