"""What stands around a head: the camera, the light, and the labels of what a picture shows."""

from .builtin_lights import BUILTIN_LIGHTS
from .camera import Camera, Lens
from .light import Light

__all__ = ["BUILTIN_LIGHTS", "Camera", "Lens", "Light"]
