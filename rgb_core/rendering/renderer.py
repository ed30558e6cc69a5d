"""One avatar, one frame, one light: the picture and the channels it is made of."""

from dataclasses import dataclass, replace
from typing import Protocol

import torch
from diff_gaussian_rasterization import Rasterization, rasterize

from ..avatar import Avatar, PosedGaussians
from ..heads import PosedHead
from ..scene import Camera, Lens
from ..scene import light as environment
from ..shading import Lit, Surface, SurfaceTracer, light_gaussians


class Pose(Protocol):
    """Coefficients of the avatar's head model: a frame of a dataset, or a `Shot`."""

    @property
    def expression(self) -> torch.Tensor:
        """[E]."""

    @property
    def joints(self) -> torch.Tensor:
        """[J, 3] axis-angle."""

    @property
    def translation(self) -> torch.Tensor:
        """[3] metres."""


def composite_gaussians(
    gaussians: PosedGaussians,
    features: torch.Tensor,  # [P, C]
    world_to_camera: torch.Tensor,  # [3, 4]
    lens: Lens,
    antialias: bool,
    screen_points: torch.Tensor | None = None,
    capacity: int | None = None,
) -> Rasterization:
    """Splat any per-Gaussian features.

    Args:
        lens: intrinsics in pixels, width and height of the picture.
        antialias: as the avatar was fitted.
        screen_points: [P, 2] zeros that collect the gradient that density control reads.
        capacity: room for pairs of a Gaussian and a tile, for CUDA graphs; see `diff_gaussian_rasterization.rasterize`.
    """
    return rasterize(
        gaussians.means,
        gaussians.rotations,
        gaussians.scales,
        gaussians.opacities,
        features,
        world_to_camera,
        *lens,
        screen_points=screen_points,
        capacity=capacity,
        antialias=antialias,
    )


@dataclass(frozen=True)
class RenderedFrame:
    """Channels of one frame, all premultiplied by alpha, over nothing."""

    color: torch.Tensor  # [H, W, 3] linear radiance
    alpha: torch.Tensor  # [H, W]
    albedo: torch.Tensor  # [H, W, 3] linear
    normal: torch.Tensor  # [H, W, 3] world space
    roughness: torch.Tensor  # [H, W]
    specular_albedo: torch.Tensor  # [H, W]


def attached_vertices(avatar: Avatar) -> torch.Tensor:
    """[V] bool: the vertices of the mesh that Gaussians are attached to."""
    attached = torch.zeros_like(avatar.head.region, dtype=torch.bool)
    attached[avatar.head.faces[avatar.attachment.face_id]] = True
    return attached


class AvatarRenderer:
    """Renders an avatar under its own light or any other, on the avatar's device; poses, cameras and lights may be
    anywhere.

    Args:
        visibility: False leaves shadows out; defaults to what the avatar was fitted with.
    """

    def __init__(self, avatar: Avatar, visibility: bool | None = None):
        self.avatar = avatar
        self.visibility = avatar.visibility if visibility is None else visibility
        self._tracer = SurfaceTracer(avatar.head.faces, attached_vertices(avatar), self.light_size)
        self._last: tuple[Pose, bool, PosedHead, Surface] | None = None

    @property
    def name(self) -> str:
        """The avatar's name."""
        return self.avatar.name

    @property
    def gaussian_count(self) -> int:
        """How many Gaussians are drawn."""
        return self.avatar.count

    @property
    def region(self) -> torch.Tensor:
        """Head region code [V] of every mesh vertex."""
        return self.avatar.head.region

    @property
    def light(self) -> torch.Tensor:
        """The light [3, H, W] that the avatar was fitted under."""
        return self.avatar.light

    @property
    def device(self) -> torch.device:
        """Where the avatar is and pictures are made."""
        return self.avatar.light.device

    @property
    def light_size(self) -> tuple[int, int]:
        """Height and width of the map that every light is reduced to."""
        return self.avatar.light.shape[1], self.avatar.light.shape[2]

    def pose(self, frame: Pose) -> PosedHead:
        """The avatar's mesh posed by the frame's coefficients, a batch of one."""
        coefficients = (frame.expression, frame.joints, frame.translation)
        return self.avatar.head.pose(*(values[None].to(self.device) for values in coefficients))

    def posed_mesh(self, frame: Pose) -> tuple[torch.Tensor, torch.Tensor]:
        """Vertices [V, 3] in world space and faces [F, 3] of the frame."""
        return self.pose(frame).vertices[0], self.avatar.head.faces

    @torch.no_grad()
    def light_frame(
        self, frame: Pose, camera: Camera, envmap: torch.Tensor | None = None
    ) -> tuple[PosedGaussians, Lit]:
        """The posed Gaussians of a frame and their radiance towards the camera.

        Args:
            envmap: [3, h, w] linear radiance of any size, standing still in the world; None for the avatar's own light,
                which a camera that carried its light carries along.
        """
        carried = envmap is None and self.avatar.light_frame == "camera"
        camera = camera.to(self.device)
        light_to_world = camera.world_to_camera[:, :3].T.contiguous() if carried else None
        posed, surface = self._trace(frame, light_to_world)
        gaussians = self.avatar.pose(
            frame.expression.to(self.device), frame.joints.to(self.device), posed.transforms[0]
        )
        lit = light_gaussians(
            gaussians,
            self.avatar.attachment,
            self.avatar.head.faces,
            surface,
            camera.center,
            self.light if envmap is None else environment.resample(envmap, *self.light_size).to(self.device),
            light_to_world,
            self.avatar.one_bounce,
        )
        return gaussians, lit

    def _trace(self, frame: Pose, light_to_world: torch.Tensor | None) -> tuple[PosedHead, Surface]:
        """Mesh and surface of a frame; the last ones are kept, since lights often change while poses do not."""
        carried = light_to_world is not None
        if self._last is None or self._last[0] is not frame or self._last[1] or carried:
            posed = self.pose(frame)
            self._last = frame, carried, posed, self._tracer.trace(posed.vertices[0], self.visibility, light_to_world)
        return self._last[2], self._last[3]

    @torch.no_grad()
    def render(self, frame: Pose, camera: Camera, envmap: torch.Tensor | None = None) -> RenderedFrame:
        """Draw one frame under `envmap` (see `light_frame`).

        Args:
            camera: as the avatar's dataset has it; the focal length that the fit found is applied here.
        """
        fx, fy, cx, cy = camera.intrinsics
        camera = replace(camera, intrinsics=(fx * self.avatar.focal_scale, fy * self.avatar.focal_scale, cx, cy))
        gaussians, lit = self.light_frame(frame, camera, envmap)
        materials = [gaussians.albedo, lit.normals, gaussians.roughness, gaussians.specular_albedo[:, :1]]
        features = torch.cat([lit.radiance, *materials], dim=1)
        splatted = composite_gaussians(gaussians, features, camera.world_to_camera, camera.lens, self.avatar.antialias)
        color, albedo, normal, roughness, specular = splatted.image.split([3, 3, 3, 1, 1], dim=2)
        return RenderedFrame(color, splatted.alpha, albedo, normal, roughness[..., 0], specular[..., 0])
