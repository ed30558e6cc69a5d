"""What evaluation asks of whatever draws the pictures, so that any renderer can be scored."""

from typing import Protocol

from torch import Tensor

from ..data import Frame
from ..scene import Camera


class Channels(Protocol):
    """One rendered frame; colour-like channels are premultiplied by alpha, over nothing."""

    @property
    def color(self) -> Tensor:
        """[H, W, 3] linear radiance."""

    @property
    def alpha(self) -> Tensor:
        """[H, W] coverage in 0 to 1."""

    @property
    def albedo(self) -> Tensor:
        """[H, W, 3] linear diffuse albedo."""

    @property
    def normal(self) -> Tensor:
        """[H, W, 3] world-space normal."""


class Renderer(Protocol):
    """An avatar that can be posed, lit and drawn."""

    @property
    def name(self) -> str:
        """The avatar's name."""

    @property
    def gaussian_count(self) -> int:
        """How many Gaussians are drawn."""

    @property
    def light(self) -> Tensor:
        """[3, h, w] linear radiance that the avatar was fitted under."""

    @property
    def region(self) -> Tensor:
        """[V] head region of every vertex, in the codes of docs/formats.md."""

    def render(self, frame: Frame, camera: Camera, envmap: Tensor | None = None) -> Channels:
        """The frame under `envmap` [3, h, w], or under the avatar's own light."""

    def posed_mesh(self, frame: Frame) -> tuple[Tensor, Tensor]:
        """Vertices [V, 3] in world metres and faces [F, 3] of the frame."""
