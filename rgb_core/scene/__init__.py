"""What stands around a head: the camera, the light, and the labels of what a picture shows."""

from .camera import Camera, Lens

__all__ = ["Camera", "Lens"]
