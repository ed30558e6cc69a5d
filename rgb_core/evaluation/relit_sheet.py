"""One picture of what an avatar can do: test frames as filmed, as rendered, and under other lights."""

from collections.abc import Sequence
from pathlib import Path

import torch

from ..data import Dataset
from ..filming import BLACK, Staging, draw_bytes
from ..images import to_bytes, write_png
from ..images.compositing import truth_on_black
from ..images.contact_sheet import Tile, contact_sheet
from ..progress import Progress
from ..rendering import Renderer, clip_shots
from ..scene import Light
from .choice import distinct_frames

_FRAMES = 4


@torch.no_grad()
def write_relit_sheet(
    path: Path, dataset: Dataset, renderer: Renderer, lights: Sequence[str], progress: Progress
) -> None:
    """Write a PNG with a row for each of a few test frames: as filmed, the avatar in its own light, then in `lights`.

    Raises:
        InputError: for an unknown light, a damaged file, or a path that cannot be written.
    """
    chosen = distinct_frames(dataset.frames("test") or dataset.frames("train"), dataset.head, _FRAMES)
    shots = clip_shots(renderer.avatar, dataset, chosen)
    progress.start("relighting", len(lights) + 1)
    columns = []
    for name in (None, *lights):
        staging = Staging(background=BLACK) if name is None else Staging((Light.load(name),))
        columns.append([Tile(image, name or "avatar") for image in draw_bytes(renderer, shots, staging)])
        progress.advance()
    filmed = [Tile(to_bytes(truth_on_black(dataset.load_rgba(frame))), f"frame {frame.id}") for frame in chosen]
    write_png(path, contact_sheet([list(row) for row in zip(filmed, *columns, strict=True)]))
