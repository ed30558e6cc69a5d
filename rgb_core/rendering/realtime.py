"""The real-time path: pose, light and camera to a finished picture without a word from the host in between.

On a GPU a frame is one CUDA graph: the inputs are written to fixed places, the graph is replayed, and the picture lies
at a fixed place. Blending runs beside the tracing of shadows. On a CPU the same stages run one after the other.
"""

from collections.abc import Callable

import torch
from diff_envshade import PointVisibility, integrate
from gaussian_blendshapes import attach, pose_gaussians, pose_head
from torch import Tensor

from ..avatar import Avatar
from ..avatar.packing import pack_avatar
from ..images import linear_to_srgb
from ..scene import Lens
from ..scene import light as environment
from ..shading import SurfaceTracer, one_bounce_gain
from .renderer import Pose, attached_vertices, composite_gaussians

_SPARE_CAPACITY = 2.0  # room for pairs of Gaussians and tiles in units of what the first frame needed


class RealTimeRenderer:
    """Draws frames of one avatar at one size, as fast as its device allows.

    Pictures equal those of `AvatarRenderer` but for the half precision of the expressions' deltas.

    Args:
        lens: intrinsics in pixels as the avatar's dataset has them, width and height.
        visibility: False leaves shadows out; defaults to what the avatar was fitted with.
    """

    def __init__(self, avatar: Avatar, lens: Lens, visibility: bool | None = None):
        (fx, fy, cx, cy), width, height = lens
        scale = avatar.focal_scale
        self.lens: Lens = (fx * scale, fy * scale, cx, cy), width, height
        self.visibility = avatar.visibility if visibility is None else visibility
        self.one_bounce, self.antialias = avatar.one_bounce, avatar.antialias
        self._light_size = avatar.light.shape[1], avatar.light.shape[2]
        self._head, self._table = pack_avatar(avatar)
        self._tracer = SurfaceTracer(avatar.head.faces, attached_vertices(avatar), self._light_size)
        self._face_id, self._faces = avatar.attachment.face_id, avatar.head.faces.to(torch.int32)
        device = avatar.light.device
        joints = avatar.head.joint_count
        self.inputs = {
            "expression": torch.zeros(len(avatar.head.expression_names), device=device),
            "joints": torch.zeros(joints, 3, device=device),
            "translation": torch.zeros(3, device=device),
            "world_to_camera": avatar.portrait.camera.world_to_camera.to(device, copy=True),
            "envmap": avatar.light.clone(),
            "light_to_world": torch.eye(3, device=device),
        }
        self._capacity: int | None = None
        self._graph: torch.cuda.CUDAGraph | None = None
        self._beside = torch.cuda.Stream(device) if device.type == "cuda" else None

    @property
    def stages(self) -> dict[str, Callable[[], None]]:
        """The stages of a frame in order, by name; each works on what the ones before left."""
        traced = {"visibility": self._trace} if self.visibility else {}
        return {
            "pose mesh": self._pose_mesh,
            **traced,
            "blend and skin": self._pose_gaussians,
            "shade": self._shade,
            "splat": self._splat,
            "encode": self._encode,
        }

    @torch.no_grad()
    def render(
        self,
        pose: Pose,
        world_to_camera: Tensor | None = None,
        envmap: Tensor | None = None,
        light_to_world: Tensor | None = None,
    ) -> Tensor:
        """The sRGB picture uint8 [H, W, 4] of one frame: on black, with its alpha, on the avatar's device.

        The next call writes to the same memory. What is left out stays as it was in the last call. On a GPU nothing
        waits, unless Gaussians came to cover far more tiles than before: then the frame after is the first whole one.

        Args:
            world_to_camera: [3, 4]; at first that of the avatar's portrait.
            envmap: [3, h, w] linear radiance of any size; at first the light the avatar was fitted under.
            light_to_world: [3, 3] rotation of the light; at first none.
        """
        self._write(expression=pose.expression, joints=pose.joints, translation=pose.translation)
        if envmap is not None:
            envmap = environment.resample(envmap, *self._light_size)
        self._write(world_to_camera=world_to_camera, envmap=envmap, light_to_world=light_to_world)
        if self._beside is None:
            self.frame()
            return self.picture
        if self._capacity is None or int(self._needed) > self._capacity:
            self._record()
        assert self._graph is not None
        self._graph.replay()
        return self.picture

    def _write(self, **values: Tensor | None) -> None:
        for name, value in values.items():
            if value is not None:
                self.inputs[name].copy_(value, non_blocking=True)

    def _record(self) -> None:
        """Measure how much room a frame needs, then record one."""
        self._capacity = None
        self.frame()
        self._capacity = int(_SPARE_CAPACITY * int(self._instances)) + 1
        self._needed = torch.zeros((), dtype=torch.int64, pin_memory=True)
        stream = torch.cuda.Stream(self.picture.device)
        stream.wait_stream(torch.cuda.current_stream(self.picture.device))
        with torch.cuda.stream(stream):
            self.frame()
        self._graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(self._graph, stream=stream):
            self.frame()
            self._needed.copy_(self._instances, non_blocking=True)
        torch.cuda.current_stream(self.picture.device).wait_stream(stream)

    def frame(self) -> None:
        """All stages on what `inputs` holds, launched one by one."""
        self._pose_mesh()
        if self._beside is None:
            self._pose_gaussians()
            self._trace()
        else:
            current = torch.cuda.current_stream(self._beside.device)
            self._beside.wait_stream(current)
            with torch.cuda.stream(self._beside):
                self._pose_gaussians()
            self._trace()
            current.wait_stream(self._beside)
        self._shade()
        self._splat()
        self._encode()

    def _pose_mesh(self) -> None:
        inputs = self.inputs
        self._mesh = pose_head(self._head, inputs["expression"], inputs["joints"], inputs["translation"])

    def _trace(self) -> None:
        self._words, self._occlusion = None, None
        if self.visibility:
            self._words, self._occlusion = self._tracer.visibility(
                self._mesh.vertices, self._mesh.normals, self.inputs["light_to_world"]
            )

    def _pose_gaussians(self) -> None:
        self._gaussians = pose_gaussians(self._table, self._mesh.weights, self._mesh.transforms)

    def _shade(self) -> None:
        gaussians = self._gaussians
        occlusion = None if self._occlusion is None else self._occlusion[:, 0]
        attached = attach(self._table, self._mesh, occlusion, gaussians, self.inputs["world_to_camera"])
        seen = None
        if self._words is not None:
            seen = PointVisibility(self._words, self._faces, self._face_id, self._table.barycentric)
        irradiance, reflection = integrate(
            attached.normals,
            attached.views,
            gaussians.roughness,
            self.inputs["envmap"],
            seen,
            self.inputs["light_to_world"],
        )
        diffuse = gaussians.albedo * irradiance
        if self.one_bounce and occlusion is not None:
            diffuse = one_bounce_gain(diffuse, gaussians.albedo, attached.occlusion)
        self._radiance = torch.addcmul(diffuse, gaussians.specular, reflection)

    def _splat(self) -> None:
        gaussians = self._gaussians
        drawn = composite_gaussians(
            gaussians,
            self._radiance,
            self.inputs["world_to_camera"],
            self.lens,
            self.antialias,
            capacity=self._capacity,
        )
        self._image, self._alpha, self._instances = drawn.image, drawn.alpha, drawn.instances

    def _encode(self) -> None:
        encoded = torch.cat([linear_to_srgb(self._image), self._alpha[..., None]], dim=2)
        self.picture = (encoded.clamp(0, 1) * 255 + 0.5).to(torch.uint8)
