"""One avatar drawn: pose, camera and light to a picture and the layers it is made of, as fast as the device allows."""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import NamedTuple

import torch
from gaussian_blendshapes import PosedMesh, pose_head
from torch import Tensor

from ..avatar import Avatar, PosedGaussians
from ..avatar.packing import pack_avatar
from ..errors import InputError, did_you_mean
from ..heads import Pose, PosedHead
from ..images import linear_to_rgba
from ..scene import Camera, Lens, Light
from ..scene.lamps import Turned, resample_at_lamp
from ..shading import AttachedSurface, Bounce, Lit, Surface, SurfaceTracer, light_gaussians
from .graphs import GraphRunner, Room
from .stages import LAYERS, attach_packed, layers_of, light_from_head, pose_packed, splat, visible_to

_SPARE_ROOM = 2.0  # for pairs of Gaussians and tiles, in units of what the first picture needed
_MOST_GRAPHS = 8  # kinds of pictures (lens, layers and size of the light) that are kept recorded
LIGHT_ROWS = 32
"""Rows of a light that an avatar was not fitted under: texels of 5.6 degrees, which have shadows half as soft."""


@dataclass(frozen=True)
class RenderedFrame:
    """One picture, premultiplied by alpha, over nothing."""

    color: Tensor
    """[H, W, 3] linear radiance."""
    alpha: Tensor
    """[H, W] coverage in 0 to 1."""
    layers: dict[str, Tensor]
    """The layers that were asked for, [H, W, 3] or [H, W]; see `stages.LAYERS`."""

    def to_rgba(self) -> Tensor:
        """The picture as a PNG file holds it: uint8 [H, W, 4], sRGB and straight alpha, for `write_png`."""
        return linear_to_rgba(torch.cat([self.color, self.alpha[..., None]], -1))


@dataclass(frozen=True)
class PictureInputs:
    """All that changes from picture to picture, on the device."""

    expression: Tensor
    """[E]."""
    joints: Tensor
    """[J, 3]."""
    translation: Tensor
    """[3]."""
    world_to_camera: Tensor
    """[3, 4]."""
    envmap: Tensor
    """[3, H, W]."""
    light_to_world: Tensor
    """[3, 3]."""

    @property
    def light_size(self) -> tuple[int, int]:
        """Height and width of the map."""
        return self.envmap.shape[1], self.envmap.shape[2]

    def empty_like(self) -> "PictureInputs":
        """Places of the same shapes."""
        return PictureInputs(*(torch.empty_like(getattr(self, field.name)) for field in fields(self)))

    def copy_(self, other: "PictureInputs") -> None:
        """Take over the values of `other`, without waiting for a device."""
        for field in fields(self):
            getattr(self, field.name).copy_(getattr(other, field.name), non_blocking=True)


@dataclass(frozen=True)
class LitGaussians:
    """The Gaussians of one frame, posed, attached to the mesh and lit."""

    gaussians: PosedGaussians
    surface: AttachedSurface
    lit: Lit


class _Traced(NamedTuple):
    """What was last traced, and for what."""

    light_size: tuple[int, int]
    key: tuple[Tensor, ...]  # the pose, and how the light stands
    mesh: PosedMesh
    visibility: tuple[Tensor | None, Tensor | None]


class Renderer:
    """Draws an avatar on the avatar's device under its own light or any other, with shadows.

    Poses, cameras and lights may be anywhere. On a GPU a picture is one CUDA graph; what changes is copied to fixed
    places and the graph is replayed. On a CPU the same stages run one after the other, and a mesh that stays is not
    traced again. Pictures equal those of the learned tables but for the half precision of the expressions' deltas.

    Args:
        visibility: False leaves shadows out; defaults to what the avatar was fitted with.
        light_rows: that other lights than the avatar's own are reduced to; twice as many take four times as long to
            trace and have shadows half as soft. None for `LIGHT_ROWS`, or as many as its own has where those are more.
    """

    def __init__(self, avatar: Avatar, visibility: bool | None = None, light_rows: int | None = None):
        self.avatar = avatar
        self.visibility = avatar.visibility if visibility is None else visibility
        self._head, self._table = pack_avatar(avatar)
        self._faces = avatar.head.faces.to(torch.int32)
        self._bounce = Bounce.of(avatar) if self.visibility else None
        self.light_rows = max(LIGHT_ROWS, avatar.light.size[0]) if light_rows is None else light_rows
        self._tracers: dict[tuple[int, int], SurfaceTracer] = {}
        self._runner: GraphRunner[PictureInputs] = GraphRunner(self.device, _MOST_GRAPHS)
        self._room = Room(self.device, _SPARE_ROOM)
        self._beside = torch.cuda.Stream(self.device) if self.device.type == "cuda" else None
        self._identity = torch.eye(3, device=self.device)
        self._map: tuple[Tensor, Turned] | None = None
        self._traced: _Traced | None = None

    @property
    def name(self) -> str:
        """The avatar's name."""
        return self.avatar.name

    @property
    def gaussian_count(self) -> int:
        """How many Gaussians are drawn."""
        return self.avatar.count

    @property
    def region(self) -> Tensor:
        """[V] the `Region` of every mesh vertex."""
        return self.avatar.head.region

    @property
    def light(self) -> Light:
        """The light that the avatar was fitted under."""
        return self.avatar.light

    @property
    def device(self) -> torch.device:
        """Where the avatar is and pictures are made."""
        return self.avatar.light.radiance.device

    @torch.no_grad()
    def render(
        self, pose: Pose, camera: Camera, light: Light | None = None, layers: Sequence[str] = ()
    ) -> RenderedFrame:
        """Draw one frame.

        Args:
            camera: as the avatar's dataset has it; the focal length that the fit found is applied here.
            light: with a map of any size; None for the light that the avatar was fitted under.
            layers: names of `stages.LAYERS` to draw beside the colour.

        Raises:
            InputError: for a layer that does not exist.
        """
        unknown = [name for name in layers if name not in LAYERS]
        if unknown:
            nearest = did_you_mean(unknown[0], LAYERS)
            raise InputError(f"there is no layer called '{unknown[0]}'{nearest}: choose from {', '.join(LAYERS)}")
        lens, names = camera.with_scaled_focal(self.avatar.focal_scale).lens, tuple(layers)
        inputs = self.inputs(pose, camera, light)

        def draw(given: PictureInputs) -> Tensor:
            return self.draw(given, lens, names)

        with self._runner.active():
            kind = lens, names, inputs.light_size
            drawn = self._runner.run(kind, draw, inputs)
            while self._room.outgrown():  # a picture that lacks some of its Gaussians is drawn again
                self._runner.forget()
                self._room.measure_again()
                drawn = self._runner.run(kind, draw, inputs)
        color, alpha, *rest = drawn.split([3, 1, *(LAYERS[name].shows.channels for name in names)], dim=2)
        channels = {
            name: values if values.shape[2] == 3 else values[..., 0] for name, values in zip(names, rest, strict=True)
        }
        return RenderedFrame(color, alpha[..., 0], channels)

    @torch.no_grad()
    def lit_gaussians(self, pose: Pose, camera: Camera, light: Light | None = None) -> LitGaussians:
        """The Gaussians of a frame and their radiance towards the camera."""
        return self._light(self.inputs(pose, camera, light))

    @torch.no_grad()
    def posed_head(self, pose: Pose) -> PosedHead:
        """The avatar's mesh in a pose."""
        return self.avatar.head.pose(pose.to(self.device))

    def posed_mesh(self, pose: Pose) -> tuple[Tensor, Tensor]:
        """Vertices [V, 3] in world space and faces [F, 3] in a pose."""
        return self.posed_head(pose).vertices, self.avatar.head.faces

    def inputs(self, pose: Pose, camera: Camera, light: Light | None = None) -> PictureInputs:
        """What `draw` takes for a frame, on the device; see `render`."""
        shining = self.avatar.light if light is None else light
        to_world = shining.to_world(camera.world_to_camera)
        envmap, turn = self._reduced(shining.radiance)
        light_to_world = self._identity if to_world is None else to_world.to(self.device)
        expression, joints, translation = pose.to(torch.float32).to(self.device).tensors
        return PictureInputs(
            expression,
            joints,
            translation,
            world_to_camera=camera.world_to_camera.to(self.device),
            envmap=envmap,
            light_to_world=light_to_world if turn is None else light_to_world @ turn,
        )

    def light_size(self, radiance: Tensor) -> tuple[int, int]:
        """Height and width that a map [3, H, W] is drawn with: those of the avatar's own light where it has no more,
        else at most `light_rows` rows."""
        own = self.avatar.light.size
        if radiance.shape[1] <= own[0]:
            return own
        rows = min(self.light_rows, radiance.shape[1])
        return rows, 2 * rows

    def _reduced(self, radiance: Tensor) -> Turned:
        """A map at its `light_size`, on the device; the last one is kept."""
        if self._map is None or self._map[0] is not radiance:
            reduced = resample_at_lamp(radiance.to(self.device), *self.light_size(radiance))
            self._map = radiance, Turned(reduced.radiance.contiguous(), reduced.turn)
        return self._map[1]

    def draw(self, inputs: PictureInputs, lens: Lens, layers: Sequence[str] = ()) -> Tensor:
        """Colour, alpha and layers of one frame side by side, [H, W, 4 + C]: what `render` records and replays."""
        frame = self._light(inputs)
        drawn = splat(
            frame.gaussians,
            layers_of(layers, frame.gaussians, frame.surface, frame.lit),
            inputs.world_to_camera,
            lens,
            self.avatar.antialias,
            capacity=self._room.capacity,
        )
        self._room.note(drawn.instances)
        return torch.cat([drawn.image[..., :3], drawn.alpha[..., None], drawn.image[..., 3:]], dim=2)

    def _light(self, inputs: PictureInputs) -> LitGaussians:
        avatar = self.avatar
        if self._beside is None:
            mesh, (words, occlusion) = self._known_surface(inputs)
            gaussians = pose_packed(self._table, mesh)
        else:  # blending runs beside the tracing of shadows
            mesh = self._pose_mesh(inputs)
            current = torch.cuda.current_stream(self.device)
            self._beside.wait_stream(current)
            with torch.cuda.stream(self._beside):
                gaussians = pose_packed(self._table, mesh)
            words, occlusion = self._trace(mesh, inputs)
            current.wait_stream(self._beside)
        surface = attach_packed(self._table, gaussians, mesh, occlusion, inputs.world_to_camera)
        seen = visible_to(avatar.attachment, self._faces, words)
        posed = Surface(mesh.normals, words, occlusion)
        from_head = light_from_head(self._bounce, avatar, gaussians, posed, inputs.envmap, inputs.light_to_world)
        lit = light_gaussians(
            gaussians, surface, seen, inputs.envmap, inputs.light_to_world, avatar.one_bounce, from_head
        )
        return LitGaussians(gaussians, surface, lit)

    def _pose_mesh(self, inputs: PictureInputs) -> PosedMesh:
        return pose_head(self._head, inputs.expression, inputs.joints, inputs.translation)

    def _trace(self, mesh: PosedMesh, inputs: PictureInputs) -> tuple[Tensor | None, Tensor | None]:
        """Visibility words [V, S] and occlusion [V, 1] of the mesh; None without shadows."""
        if not self.visibility:
            return None, None
        size = inputs.light_size
        if size not in self._tracers:
            head = self.avatar.head
            self._tracers[size] = SurfaceTracer(head.faces, lit_vertices(self.avatar, self._bounce), size)
        return self._tracers[size].visibility(mesh.vertices, mesh.normals, inputs.light_to_world)

    def _known_surface(self, inputs: PictureInputs) -> tuple[PosedMesh, tuple[Tensor | None, Tensor | None]]:
        """Mesh and visibility; those of the last frame where neither pose nor light have turned since."""
        key = (inputs.expression, inputs.joints, inputs.translation, inputs.light_to_world)
        last = self._traced
        if last is None or last.light_size != inputs.light_size or not all(map(torch.equal, last.key, key)):
            mesh = self._pose_mesh(inputs)
            kept = tuple(tensor.clone() for tensor in key)
            last = self._traced = _Traced(inputs.light_size, kept, mesh, self._trace(mesh, inputs))
        return last.mesh, last.visibility


def lit_vertices(avatar: Avatar, bounce: Bounce | None) -> Tensor:
    """[V] bool: the vertices that Gaussians are attached to, and those whose light reaches others by `bounce`."""
    lit = torch.zeros_like(avatar.head.region, dtype=torch.bool)
    lit[avatar.head.faces[avatar.attachment.face_id]] = True
    return lit if bounce is None else lit | bounce.seen
