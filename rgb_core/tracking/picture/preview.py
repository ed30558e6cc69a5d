"""A video that shows what tracking found: landmarks, the mesh over the frame, the matte and the labels."""

from collections.abc import Iterator
from pathlib import Path

import mesh_rasterizer
import torch
from torch import Tensor

from ...data import Dataset
from ...heads import vertex_normals
from ...images.video import write_video
from ...progress import Progress
from ..detect.video_stream import Video
from .views import Views

_OBSERVED, _FITTED = (60, 230, 90), (255, 70, 50)
_BEHIND = (40, 170, 70)  # colour behind the matte
_MESH_SHARE = 0.6
_LABEL_COLOURS = torch.tensor(
    [[(37 * code + 90) % 256, (83 * code + 40) % 256, (151 * code + 170) % 256] for code in range(19)]
)


def write_preview(
    path: Path, video: Video, dataset: Dataset, views: Views, observed: Tensor, progress: Progress
) -> None:
    """Frames side by side: detected (green) and fitted (red) landmarks, shaded mesh, head on green, labels.

    Args:
        observed: [N, 478, 3] detected landmarks of the dataset's frames in order, pixels of the video.
    """
    progress.start("preview", len(dataset.all_frames))
    write_video(path, _panels(video, dataset, views, observed, progress), dataset.fps)


def _panels(video: Video, dataset: Dataset, views: Views, observed: Tensor, progress: Progress) -> Iterator[Tensor]:
    rows = {int(frame.id): row for row, frame in enumerate(dataset.all_frames)}
    for number, whole in video.frames(min(rows), max(rows) + 1):
        if number not in rows:
            continue
        row = rows[number]
        frame = dataset.all_frames[row]
        picture = views.crop.picture(whole)
        marked = _dots(picture, views.crop.points(views.clip.projected[row]), _FITTED)
        marked = _dots(marked, views.crop.points(observed[row, :, :2].double()), _OBSERVED)
        rgba = dataset.load_rgba(frame).float()
        alpha = rgba[..., 3:] / 255
        matted = alpha * rgba[..., :3] + (1 - alpha) * torch.tensor(_BEHIND)
        labels = dataset.semantic(frame)
        tinted = picture if labels is None else (picture.float() + _LABEL_COLOURS[labels.long()]) / 2
        panels = [marked, _with_mesh(picture, views, row), matted, tinted]
        progress.advance()
        yield torch.cat([panel.round().clamp(0, 255).byte() for panel in panels], 1)


def _dots(picture: Tensor, points: Tensor, colour: tuple[int, int, int]) -> Tensor:
    """The picture with a pixel at every point inside it."""
    marked = picture.clone()
    height, width, _ = picture.shape
    places = points.nan_to_num(-1).floor().long()
    inside = ((places >= 0) & (places < torch.tensor([width, height]))).all(1)
    marked[places[inside, 1], places[inside, 0]] = torch.tensor(colour, dtype=torch.uint8)
    return marked


def _with_mesh(picture: Tensor, views: Views, row: int) -> Tensor:
    """The picture under the half-transparent shaded mesh."""
    view = views.view(row)
    normals = vertex_normals(view.camera_vertices, views.head.faces)
    facing = -(normals * torch.nn.functional.normalize(view.camera_vertices, dim=-1)).sum(-1, keepdim=True)
    shade = mesh_rasterizer.interpolate(view.fragments, views.head.faces, facing.contiguous())[0]
    covered = (view.face_id >= 0)[..., None]
    mixed = (1 - _MESH_SHARE) * picture.float() + _MESH_SHARE * (40 + 200 * shade.clamp(0, 1))
    return torch.where(covered, mixed, picture.float())
