"""What stage 2 reads of every training frame: its picture, its pose, and the lit surface of the mesh, traced once."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, fields
from typing import Any

import torch
from torch import Tensor

from ..data import Dataset, Frame, FrameMaps
from ..heads import HeadModel, PosedHead
from ..images.compositing import truth_on_black
from ..scene import Camera, Light
from ..scene.labels import Label, has_label
from ..shading import Surface, SurfaceTracer
from ..tensors import to_device
from .surface_cache import SurfaceCache

_READERS = 4  # threads; each holds a whole picture while it makes it smaller
_UNLEARNT = {Label.CLOTH, Label.NECKLACE}  # what else is worn moves with the head


@dataclass(frozen=True)
class FrameInputs:
    """One training frame on the device of the fit."""

    rgba: Tensor
    """[H, W, 4] uint8, sRGB, straight alpha."""
    weight: Tensor
    """[H, W] 0 where the avatar is not responsible (cloth)."""
    albedo: Tensor | None
    """[H, W, 4] uint8 pseudo-albedo, sRGB, straight alpha."""
    index: Tensor
    """[1] int64, its place among the training frames."""
    expression: Tensor
    """[E]."""
    joints: Tensor
    """[J, 3]."""
    transforms: Tensor
    """[J, 4, 4]."""
    world_to_camera: Tensor
    """[3, 4]."""
    normals: Tensor
    """[V, 3] of the posed mesh."""
    visibility: Tensor | None
    """[V, S] int32."""
    occlusion: Tensor | None
    """[V, 1]."""
    light_to_world: Tensor | None
    """[3, 3] rotation of a light that the camera carries; None where it stands still."""

    @property
    def image(self) -> Tensor:
        """[H, W, 3] sRGB on black."""
        return truth_on_black(self.rgba)

    @property
    def alpha(self) -> Tensor:
        """[H, W]."""
        return self.rgba[..., 3].float() / 255

    @property
    def surface(self) -> Surface:
        """The posed mesh, ready to shade."""
        return Surface(self.normals, self.visibility, self.occlusion)

    @property
    def eye(self) -> Tensor:
        """[3] the camera's centre."""
        return -self.world_to_camera[:, :3].T @ self.world_to_camera[:, 3]

    def empty_like(self) -> "FrameInputs":
        """Room for another frame of the same clip."""
        places: dict[str, Any] = {name: None if t is None else torch.empty_like(t) for name, t in _items(self)}
        return FrameInputs(**places)

    def copy_(self, other: "FrameInputs") -> None:
        """Take over the values of `other`, without waiting for a device."""
        for name, value in _items(other):
            if value is not None:
                getattr(self, name).copy_(value, non_blocking=True)


def _items(inputs: FrameInputs) -> list[tuple[str, Tensor | None]]:
    return [(field.name, getattr(inputs, field.name)) for field in fields(inputs)]


class TrainingFrames:
    """The training split with the tracking that stage 1 refined; pictures stay on the device as bytes."""

    def __init__(
        self,
        dataset: Dataset,
        frames: list[Frame],
        head: HeadModel,
        tracer: SurfaceTracer,
        light: Light,
        visibility: bool,
        longer_side: int,
        cache_mb: int,
        albedo: FrameMaps | None = None,
    ):
        self.frames = frames
        self._albedo = albedo
        self._dataset = dataset
        self._head = head
        self._tracer = tracer
        self._light = light
        self._visibility = visibility
        scale = min(1.0, longer_side / max(dataset.width, dataset.height))
        self.size = round(dataset.width * scale), round(dataset.height * scale)
        with ThreadPoolExecutor(_READERS) as threads:
            self._pictures = [to_device(read, self.device) for read in threads.map(self._read, frames)]
        self._fixed: dict[int, dict[str, Any]] = {}
        self._surfaces = SurfaceCache(cache_mb, self.device)

    def __len__(self) -> int:
        return len(self.frames)

    @property
    def device(self) -> torch.device:
        """Where everything is."""
        return self._head.vertices.device

    def camera(self, index: int) -> Camera:
        """The camera of a frame at training resolution."""
        return self.frames[index].camera.resized(*self.size)

    def inputs(self, index: int) -> FrameInputs:
        """A frame, its surface from memory where the budget allows."""
        if index not in self._fixed:
            self._fixed[index] = self._load(index)
        fixed = self._fixed[index]
        light_to_world = self._light.to_world(self.frames[index].camera.world_to_camera)
        if light_to_world is not None:
            light_to_world = light_to_world.to(self.device)
        surface = self._surfaces.get(
            index, lambda: self._tracer.trace(self._posed(index).vertices, self._visibility, light_to_world)
        )
        return FrameInputs(**fixed, **vars(surface), light_to_world=light_to_world)

    def _read(self, frame: Frame) -> dict[str, Tensor | None]:
        """The pictures of a frame, on the CPU: what a thread puts on a GPU would be on another stream than ours."""
        rgba = self._dataset.load_rgba(frame, self.size)
        semantic = self._dataset.semantic(frame, self.size)
        weight = torch.ones(rgba.shape[:2])
        if semantic is not None:
            foreign = has_label(semantic, _UNLEARNT & set(self._dataset.foreign))
            weight[foreign & (rgba[..., 3] > 0)] = 0.0  # where the matte has cut it out, the head ends
        albedo = None if self._albedo is None else self._albedo.load(frame, self.size)
        return {"rgba": rgba, "weight": weight, "albedo": albedo}

    def _load(self, index: int) -> dict[str, Any]:
        """What never changes about a frame, on the device."""
        frame = self.frames[index]
        fixed = {
            "index": torch.tensor([index]),
            "expression": frame.pose.expression,
            "joints": frame.pose.joints,
            "transforms": self._posed(index).transforms,
            "world_to_camera": frame.camera.world_to_camera,
        }
        return self._pictures[index] | to_device(fixed, self.device)

    def _posed(self, index: int) -> PosedHead:
        """The mesh of a frame."""
        return self._head.pose(self.frames[index].pose.to(self.device))
