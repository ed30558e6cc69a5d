"""What stage 2 needs of every training frame: its target, and the lit surface of the mesh, traced once and kept."""

from dataclasses import dataclass

import torch

from ..data import Camera, Dataset, Frame
from ..heads import HeadModel, PosedHead
from ..images.compositing import truth_on_black
from ..shading import Surface, SurfaceTracer

CLOTH, NECKLACE = 16, 15


@dataclass(frozen=True)
class Target:
    """A training picture, ready to compare with."""

    image: torch.Tensor  # [H, W, 3] sRGB on black
    alpha: torch.Tensor  # [H, W]
    weight: torch.Tensor  # [H, W] 0 where the avatar is not responsible (cloth)


class TrainingFrames:
    """Targets and surfaces of the training split, with the tracking that stage 1 refined."""

    def __init__(
        self,
        dataset: Dataset,
        frames: list[Frame],
        head: HeadModel,
        tracer: SurfaceTracer,
        visibility: bool,
        longer_side: int,
        cache_mb: int,
    ):
        self.frames = frames
        self._dataset = dataset
        self._head = head
        self._tracer = tracer
        self._visibility = visibility
        scale = min(1.0, longer_side / max(dataset.width, dataset.height))
        self.size = round(dataset.width * scale), round(dataset.height * scale)
        self._targets: dict[int, tuple[torch.Tensor, torch.Tensor | None]] = {}
        self._surfaces: dict[int, Surface] = {}
        self._budget = cache_mb * 2**20

    def __len__(self) -> int:
        return len(self.frames)

    def camera(self, index: int) -> Camera:
        """The camera of a frame at training resolution."""
        return self.frames[index].camera.resized(*self.size)

    def posed(self, index: int) -> PosedHead:
        """The mesh of a frame, a batch of one."""
        frame = self.frames[index]
        return self._head.pose(frame.expression[None], frame.joints[None], frame.translation[None])

    def target(self, index: int) -> Target:
        """The picture of a frame; 8-bit pictures stay in memory."""
        if index not in self._targets:
            frame = self.frames[index]
            self._targets[index] = (
                self._dataset.load_rgba(frame, self.size),
                self._dataset.semantic(frame, self.size),
            )
        rgba, semantic = self._targets[index]
        weight = torch.ones(rgba.shape[:2])
        if semantic is not None:
            foreign = (semantic == CLOTH) | (semantic == NECKLACE)
            weight[foreign & (rgba[..., 3] > 0)] = 0.0  # where the matte has cut it out, the head ends
        return Target(truth_on_black(rgba), rgba[..., 3].float() / 255, weight)

    def light_to_world(self, index: int) -> torch.Tensor | None:
        """Rotation [3, 3] of a light that the camera carries; None where it stands still in the world."""
        if self._dataset.light_frame == "world":
            return None
        return self.frames[index].camera.world_to_camera[:, :3].T.contiguous()

    def surface(self, index: int, posed: PosedHead) -> Surface:
        """Normals and visibility of a frame, from memory where the budget allows."""
        if index in self._surfaces:
            return self._surfaces[index]
        surface = self._tracer.trace(posed.vertices[0], self._visibility, self.light_to_world(index))
        size = sum(t.nbytes for t in vars(surface).values() if t is not None)
        if size * (len(self._surfaces) + 1) <= self._budget:
            self._surfaces[index] = surface
        return surface
