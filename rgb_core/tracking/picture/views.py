"""The fitted mesh in the pictures of the dataset: what each pixel shows, and how far it lies below the chin."""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from mesh_rasterizer import Fragments
from torch import Tensor

from ...heads import HeadModel
from ...heads.pose import NECK, skull_rotation
from ...scene import Camera
from .. import landmarks
from ..solve.clip import TrackedClip
from .crop import Crop

CHIN = 152
_CHUNK = 64  # frames posed at a time
_BROWS = list(landmarks.LEFT_BROW + landmarks.RIGHT_BROW)


class MeshView(NamedTuple):
    """One frame's mesh."""

    camera_vertices: Tensor
    """[V, 3] in camera space."""
    fragments: Fragments
    """Of one picture."""
    below: Tensor
    """[H, W] pixels below the chin along the head's vertical."""
    height: float
    """From the chin to the brows, pixels."""

    @property
    def face_id(self) -> Tensor:
        """[H, W] int64, -1 where there is no mesh."""
        return self.fragments.face_id[0]


class Views:
    """Draws the frames of a tracked clip as the dataset's pictures show them."""

    def __init__(self, head: HeadModel, clip: TrackedClip, crop: Crop, camera: Camera):
        self.head, self.clip, self.crop, self.camera = head, clip, crop, camera
        self._person = head.with_identity(clip.shape.float())

    def vertices(self, rows: Sequence[int]) -> Tensor:
        """[B, V, 3] world metres."""
        return self._person.pose(self.clip.pose.rows(list(rows)).to(torch.float32)).vertices

    def skull(self) -> tuple[Tensor, Tensor]:
        """Rotation [N, 3, 3] and place [N, 3] in world metres of the skull in every frame."""
        head, names = self.head, self.head.joint_names
        joint = names.index(NECK) if NECK in names else 0
        middle = head.vertices.mean(0)
        places = []
        for rows in torch.arange(len(self.clip.pose.joints)).split(_CHUNK):
            carried = self._person.pose(self.clip.pose.rows(rows).to(torch.float32)).transforms[:, joint]
            places.append(carried[:, :3, :3] @ middle + carried[:, :3, 3])
        return skull_rotation(self.clip.pose.joints, names), torch.cat(places).double()

    def view(self, row: int) -> MeshView:
        """The mesh in one frame."""
        camera = self.camera
        seen = camera.see_mesh(self.vertices([row])[0], self.head.faces)
        marks = self.crop.points(self.clip.projected[row]).float()
        up = marks[_BROWS].mean(0) - marks[CHIN]
        height = float(up.norm())
        rows, columns = torch.meshgrid(
            torch.arange(camera.height) + 0.5, torch.arange(camera.width) + 0.5, indexing="ij"
        )
        away = torch.stack([columns, rows], -1) - marks[CHIN]
        return MeshView(seen.vertices[0], seen.fragments, -(away @ (up / height)), height)


def outline(
    head: HeadModel, clip: TrackedClip, video: tuple[int, int], rows: Sequence[int], whole_bust: bool
) -> Tensor:
    """[B, V', 2] the head's outer surface down to the chin, or the whole bust, in pixels of the video, for a crop."""
    whole = Crop((0, 0, *video), video)
    views = Views(head, clip, whole, whole.camera(clip.focal, video, clip.world_to_camera))
    chosen = head.vertices[:, 1] > (-torch.inf if whole_bust else _lowest(head))
    return views.camera.project(views.vertices(rows)[:, chosen])[0]


def _lowest(head: HeadModel) -> float:
    """Height in metres on the neutral head at which the crop ends: as far below the chin as the chin below the eyes."""
    face = head.vertices[head.landmarks68] if head.landmarks68 is not None else head.vertices
    chin, eyes = float(face[:, 1].amin()), float(face[36:48, 1].mean()) if head.landmarks68 is not None else 0.0
    return chin - 0.6 * (eyes - chin)
