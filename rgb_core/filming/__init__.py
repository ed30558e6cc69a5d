"""Films of an avatar: lights and lamps, camera, materials, backgrounds, layers, and the files that keep them."""

from .backgrounds import BLACK, BLUR, Background
from .film import Delivery, Film, FilmFiles, write_film
from .lamps import Lamp
from .lights import load_lights
from .plan import Plan
from .staging import Picture, Staging, draw, draw_bytes
from .writers import WRITERS

__all__ = [
    "BLACK",
    "BLUR",
    "WRITERS",
    "Background",
    "Delivery",
    "Film",
    "FilmFiles",
    "Lamp",
    "Picture",
    "Plan",
    "Staging",
    "draw",
    "draw_bytes",
    "load_lights",
    "write_film",
]
