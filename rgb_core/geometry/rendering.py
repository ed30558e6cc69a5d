"""The posed mesh as a training camera sees it: fragments, antialiased mask, shaded colours."""

from dataclasses import dataclass

import mesh_rasterizer
import torch
from mesh_rasterizer import Fragments
from torch import Tensor

from ..heads import Pose, vertex_normals
from .evidence import Evidence
from .result import Geometry
from .shading import encoded, shaded

FRAMES_AT_ONCE = 8  # drawn at a time where a whole clip is
_TINY = 1e-12
_GRAZING = 0.25  # cosine to the view below which a pixel mixes too much surface to compare colours


@dataclass(frozen=True)
class MeshView:
    """A batch of posed heads in front of their cameras."""

    world: Tensor
    """[B,V,3] posed vertices."""
    camera: Tensor
    """[B,V,3] the same in camera space, x and y scaled by the focal factor."""
    faces: Tensor
    """[F,3]."""
    intrinsics: Tensor
    """[B,4]."""
    world_to_camera: Tensor
    """[B,3,4]."""
    fragments: Fragments
    """Which face each pixel sees."""

    def mask(self) -> Tensor:
        """[B,H,W] antialiased coverage."""
        covered = (self.fragments.face_id >= 0).float()[..., None]
        smooth = mesh_rasterizer.antialias(covered, self.fragments, self.camera, self.faces, self.intrinsics)
        return smooth[..., 0]

    def normals(self, light_frame: str) -> Tensor:
        """[B,V,3] unit normals in the frame in which the light stands still."""
        normals = vertex_normals(self.world, self.faces)
        if light_frame == "camera":
            normals = normals @ self.world_to_camera[:, :, :3].transpose(1, 2)
        return normals

    def normal_picture(self) -> Tensor:
        """[B,H,W,3] unit world-space normals; 0 outside."""
        drawn = mesh_rasterizer.interpolate(self.fragments, self.faces, vertex_normals(self.world, self.faces))
        return torch.nn.functional.normalize(drawn, dim=-1, eps=_TINY)

    def colour(self, normals: Tensor, log_albedo: Tensor, light: Tensor) -> Tensor:
        """[B,H,W,3] sRGB of the shaded mesh; 0 outside."""
        return encoded(mesh_rasterizer.interpolate(self.fragments, self.faces, shaded(normals, log_albedo, light)))

    def facing(self) -> Tensor:
        """[B,H,W] 1 where the surface faces the camera well enough for its colour to count, without gradient."""
        with torch.no_grad():
            normals = vertex_normals(self.camera, self.faces)
            towards = -(normals * torch.nn.functional.normalize(self.camera, dim=-1)).sum(-1, keepdim=True)
            cosine = mesh_rasterizer.interpolate(self.fragments, self.faces, towards)[..., 0]
        return (cosine > _GRAZING).float()


def view_mesh(
    world: Tensor,
    faces: Tensor,
    intrinsics: Tensor,
    world_to_camera: Tensor,
    focal_scale: Tensor,
    size: tuple[int, int],
) -> MeshView:
    """Draw posed vertices [B,V,3] with cameras [B,4], [B,3,4] whose focal lengths are scaled by `focal_scale` [1]."""
    camera = world @ world_to_camera[:, :, :3].transpose(1, 2) + world_to_camera[:, None, :, 3]
    camera = camera * torch.cat([focal_scale, focal_scale, torch.ones_like(focal_scale)])
    fragments = mesh_rasterizer.rasterize(camera, faces, intrinsics, *size)
    return MeshView(world, camera, faces, intrinsics, world_to_camera, fragments)


def draw_frames(geometry: Geometry, evidence: Evidence, rows: Tensor) -> MeshView:
    """The mesh of `geometry`, on the evidence's device, in the training frames `rows` [B], without gradients."""
    frames = [evidence.frames[row] for row in rows.tolist()]
    poses = Pose.stack([geometry.tracking.get(frame.id, frame.pose) for frame in frames])
    with torch.no_grad():
        posed = geometry.head.pose(poses.to(evidence.device))
        return view_mesh(
            posed.vertices,
            geometry.head.faces,
            evidence.intrinsics[rows],
            evidence.world_to_camera[rows],
            torch.tensor([geometry.focal_scale], device=evidence.device),
            evidence.size,
        )
