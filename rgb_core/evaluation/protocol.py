"""What evaluation asks of whatever draws the pictures, so that any renderer can be scored."""

from collections.abc import Sequence
from typing import Protocol

from torch import Tensor

from ..heads import Pose
from ..rendering import RenderedFrame
from ..scene import Camera, Light


class Scored(Protocol):
    """An avatar that can be posed, lit and drawn."""

    @property
    def name(self) -> str:
        """The avatar's name."""

    @property
    def gaussian_count(self) -> int:
        """How many Gaussians are drawn."""

    @property
    def light(self) -> Light:
        """The light that the avatar was fitted under."""

    @property
    def light_rows(self) -> int:
        """Rows of the maps that it draws other lights with."""

    @property
    def region(self) -> Tensor:
        """[V] head region of every vertex, in the codes of docs/formats.md."""

    def render(
        self, pose: Pose, camera: Camera, light: Light | None = None, layers: Sequence[str] = ()
    ) -> RenderedFrame:
        """A picture under `light` or the avatar's own; `layers` are `albedo` and `normal`, where asked for."""

    def posed_mesh(self, pose: Pose) -> tuple[Tensor, Tensor]:
        """Vertices [V, 3] in world metres and faces [F, 3] in a pose."""
