"""One posed, lit frame of an avatar as the plain arrays that exporters write."""

import torch

from ..avatar import Avatar
from ..heads import Pose, vertex_normals
from ..rendering import Renderer, Shot
from ..scene import Camera, Light
from .scene import ExportScene, GaussianCloud, TriangleMesh


def upright_shot(avatar: Avatar) -> Shot:
    """The neutral head standing upright at the origin, its face along +z, seen from the front.

    The camera is that of the avatar's portrait, as far away as it was.
    """
    portrait = avatar.portrait
    camera = portrait.camera
    distance = float((camera.center - portrait.translation).norm())
    facing = torch.tensor([[1.0, 0, 0, 0], [0, -1.0, 0, 0], [0, 0, -1.0, distance]])
    pose = Pose.rest(len(avatar.head.expression_names), avatar.head.joint_count)
    return Shot(pose, Camera(camera.intrinsics, facing, camera.width, camera.height))


def export_scene(renderer: Renderer, shot: Shot, light: Light | None = None) -> ExportScene:
    """The scene of `shot` under `light`, or the avatar's own where None; the mesh stands posed."""
    avatar = renderer.avatar
    frame = renderer.lit_gaussians(shot.pose, shot.camera, light)
    posed_gaussians = frame.gaussians
    cloud = GaussianCloud(
        posed_gaussians.means,
        posed_gaussians.rotations,
        posed_gaussians.scales,
        posed_gaussians.opacities,
        frame.lit.radiance,
    )
    vertices = renderer.posed_head(shot.pose).vertices
    head = avatar.head
    mesh = TriangleMesh(
        vertices=vertices,
        normals=vertex_normals(vertices, head.faces),
        faces=head.faces,
        colors=_vertex_albedo(renderer),
        uv=head.uv,
        uv_faces=head.uv_faces,
    )
    return ExportScene(avatar.name, cloud, mesh)


def _vertex_albedo(renderer: Renderer) -> torch.Tensor:
    """Linear albedo [V, 3]: the mean of the Gaussians around a vertex, the overall mean where there are none."""
    avatar = renderer.avatar
    albedo = torch.sigmoid(avatar.neutral["albedo"])
    corners = avatar.head.faces[avatar.attachment.face_id]
    weight = avatar.attachment.barycentric * torch.sigmoid(avatar.neutral["opacity"])
    total = torch.zeros(avatar.head.vertex_count, 3)
    mass = torch.zeros(avatar.head.vertex_count, 1)
    for corner in range(3):
        total.index_add_(0, corners[:, corner], weight[:, corner, None] * albedo)
        mass.index_add_(0, corners[:, corner], weight[:, corner, None])
    return torch.where(mass > 0, total / mass.clamp_min(1e-8), albedo.mean(0))
