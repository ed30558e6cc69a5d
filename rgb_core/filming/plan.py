"""What somebody asks for of a film, before any avatar is known: refused early where it contradicts itself."""

from dataclasses import dataclass, field

from ..avatar import Avatar
from ..errors import InputError
from ..rendering import Shot, at_size
from .backgrounds import BLACK, BLUR, Background, Behind
from .camera_moves import CameraPath, moved, orbit_and_zoom
from .edits import Edit, edited
from .film import Delivery, Film
from .lamps import Lamp
from .lights import load_lights
from .staging import Staging


@dataclass(frozen=True)
class Plan:
    """A film to be: everything but the avatar and its motion. Angles are radians.

    Raises:
        InputError: when its parts exclude each other.
    """

    maps: tuple[str, ...] = ()
    lamps: tuple[Lamp, ...] = ()
    yaw: float = 0.0
    pitch: float = 0.0
    turns: float = 0.0
    exposure: float = 0.0
    background: Background | None = None
    """None for black, or the light blurred where there are `maps`."""
    orbit: float = 0.0
    zoom: float = 1.0
    camera: CameraPath | None = None
    edits: tuple[Edit, ...] = ()
    delivery: Delivery = field(default_factory=Delivery)
    size: int | None = None
    fps: float | None = None

    def __post_init__(self) -> None:
        self.delivery.check(self.behind.transparent)
        if self.camera is not None and (self.orbit or self.zoom != 1):
            raise InputError("--camera says where the camera goes: --orbit and --zoom cannot say it too")
        if self.behind.kind in (Behind.MAP, Behind.BLUR) and self.lamps and not self.maps:
            raise InputError(
                f"--background {self.behind.kind.value} shows a map, and lamps alone have none: add one with --envmap"
            )

    @property
    def behind(self) -> Background:
        """What stands behind the head."""
        return self.background or (BLUR if self.maps else BLACK)

    def avatar(self, avatar: Avatar) -> Avatar:
        """The avatar with the changes of its materials."""
        return edited(avatar, self.edits)

    def film(self, avatar: Avatar, shots: list[Shot], rate: float) -> Film:
        """The film of `avatar` in `shots`, `rate` of them a second unless the plan says otherwise.

        Raises:
            InputError: for a light that cannot be read or mixed.
        """
        lights = load_lights(self.maps, self.lamps, avatar.light)
        staging = Staging(lights, self.yaw, self.pitch, self.turns, self.exposure, self.behind)
        if self.camera is not None:
            shots = moved(shots, self.camera.through(len(shots)))
        elif self.orbit or self.zoom != 1:
            shots = moved(shots, orbit_and_zoom(len(shots), self.orbit, self.zoom))
        return Film(at_size(shots, self.size), self.fps or rate, staging, self.delivery)
