"""The pinhole camera: OpenCV axes (x right, y down, z forward), pixel centres at integer + 0.5."""

import dataclasses
from dataclasses import dataclass

import torch
from mesh_rasterizer import Fragments, rasterize
from torch import Tensor

from ..tensors import to_device

Lens = tuple[tuple[float, float, float, float], int, int]
"""What a camera has besides its place: intrinsics fx, fy, cx, cy in pixels, width and height."""


@dataclass(frozen=True, eq=False)
class Camera:
    """Intrinsics in pixels and the rigid motion from world to camera: x_camera = R x + t, in metres."""

    intrinsics: tuple[float, float, float, float]
    """fx, fy, cx, cy."""
    world_to_camera: Tensor
    """[3, 4] float32, R and t."""
    width: int
    height: int

    @property
    def facing(self) -> Tensor:
        """Rotation [3, 3] of a head (y up, face along +z) that looks straight into the camera, upright."""
        return self.world_to_camera[:, :3].T @ torch.diag(self.world_to_camera.new_tensor([1.0, -1.0, -1.0]))

    @property
    def center(self) -> Tensor:
        """[3] position of the pinhole in the world."""
        rotation, translation = self.world_to_camera[:, :3], self.world_to_camera[:, 3]
        return -rotation.T @ translation

    @property
    def lens(self) -> Lens:
        """Intrinsics, width and height."""
        return self.intrinsics, self.width, self.height

    def resized(self, width: int, height: int) -> "Camera":
        """The same view in another number of pixels."""
        across, down = width / self.width, height / self.height
        fx, fy, cx, cy = self.intrinsics
        scaled = (fx * across, fy * down, cx * across, cy * down)
        return dataclasses.replace(self, intrinsics=scaled, width=width, height=height)

    def to(self, device: torch.device | str) -> "Camera":
        """The same camera with its matrix on `device`."""
        return to_device(self, device)

    def with_scaled_focal(self, factor: float) -> "Camera":
        """The same camera with `factor` times the focal lengths."""
        fx, fy, cx, cy = self.intrinsics
        return dataclasses.replace(self, intrinsics=(factor * fx, factor * fy, cx, cy))

    def to_camera(self, points: Tensor) -> Tensor:
        """World points [..., 3] in camera axes."""
        matrix = self.world_to_camera.to(points)
        return points @ matrix[:, :3].T + matrix[:, 3]

    def project(self, points: Tensor) -> tuple[Tensor, Tensor]:
        """Pixels [..., 2] (x, y) and depths [...] of world points [..., 3]; behind the camera depths are negative."""
        x, y, depth = self.to_camera(points).unbind(-1)
        fx, fy, cx, cy = self.intrinsics
        return torch.stack([fx * x / depth + cx, fy * y / depth + cy], -1), depth

    def see_mesh(self, vertices: Tensor, faces: Tensor) -> "SeenMesh":
        """What the camera sees of a mesh: world vertices [V, 3] and faces [F, 3]."""
        in_camera = self.to_camera(vertices)[None]
        intrinsics = torch.tensor([self.intrinsics], dtype=vertices.dtype, device=vertices.device)
        return SeenMesh(in_camera, rasterize(in_camera, faces, intrinsics, self.width, self.height))

    def ray_directions(self) -> Tensor:
        """[height, width, 3] unit world directions from the pinhole through the pixel centres."""
        matrix = self.world_to_camera
        fx, fy, cx, cy = self.intrinsics
        x = (torch.arange(self.width, dtype=matrix.dtype, device=matrix.device) + 0.5 - cx) / fx
        y = (torch.arange(self.height, dtype=matrix.dtype, device=matrix.device) + 0.5 - cy) / fy
        rows, columns = torch.meshgrid(y, x, indexing="ij")
        in_camera = torch.stack([columns, rows, torch.ones_like(rows)], -1)
        return torch.nn.functional.normalize(in_camera @ matrix[:, :3], dim=-1)


@dataclass(frozen=True, eq=False)
class SeenMesh:
    """A mesh before a camera."""

    vertices: Tensor
    """[1, V, 3] in camera axes, metres."""
    fragments: Fragments
    """What each pixel shows, a batch of one picture."""

    @property
    def mask(self) -> Tensor:
        """bool [H, W], where there is mesh."""
        return self.fragments.face_id[0] >= 0
