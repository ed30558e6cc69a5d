"""Relightable Gaussian blendshapes: everything but the command line.

What scripts need most is here: `from rgb_core import load_avatar, Renderer, Light`. A name is looked up in its own
package when it is first used, so that `import rgb_core` itself takes no time.
"""

from importlib import import_module, metadata
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .avatar import Avatar, load_avatar, save_avatar
    from .data import Dataset, DatasetWriter, Frame, load_dataset
    from .driving import DriveOptions, load_motion, shots_of
    from .errors import InputError, RgbError
    from .evaluation import evaluate
    from .geometry import Geometry, GeometryConfig, fit_geometry, load_geometry
    from .heads import HeadModel, Motion, Pose, builtin_head, load_head
    from .images import linear_to_srgb, read_png, srgb_to_linear, to_bytes, write_png
    from .images.video import write_video
    from .rendering import RenderedFrame, Renderer, Shot, clip_shots, turntable
    from .scene import Camera, Light
    from .synthetic import SyntheticConfig, synthesize
    from .tracking import track
    from .training import GaussianConfig, fit_gaussians

__all__ = [
    "Avatar",
    "Camera",
    "Dataset",
    "DatasetWriter",
    "DriveOptions",
    "Frame",
    "GaussianConfig",
    "Geometry",
    "GeometryConfig",
    "HeadModel",
    "InputError",
    "Light",
    "Motion",
    "Pose",
    "RenderedFrame",
    "Renderer",
    "RgbError",
    "Shot",
    "SyntheticConfig",
    "__version__",
    "builtin_head",
    "clip_shots",
    "evaluate",
    "fit_gaussians",
    "fit_geometry",
    "linear_to_srgb",
    "load_avatar",
    "load_dataset",
    "load_geometry",
    "load_head",
    "load_motion",
    "read_png",
    "save_avatar",
    "shots_of",
    "srgb_to_linear",
    "synthesize",
    "to_bytes",
    "track",
    "turntable",
    "write_png",
    "write_video",
]

try:
    __version__ = metadata.version("rgb-avatar")
except metadata.PackageNotFoundError:  # run from a checkout that nobody installed
    __version__ = "0+unknown"

_HOMES = {
    "avatar": ("Avatar", "load_avatar", "save_avatar"),
    "data": ("Dataset", "DatasetWriter", "Frame", "load_dataset"),
    "driving": ("DriveOptions", "load_motion", "shots_of"),
    "errors": ("InputError", "RgbError"),
    "evaluation": ("evaluate",),
    "images.video": ("write_video",),
    "geometry": ("Geometry", "GeometryConfig", "fit_geometry", "load_geometry"),
    "heads": ("HeadModel", "Motion", "Pose", "builtin_head", "load_head"),
    "images": ("linear_to_srgb", "read_png", "srgb_to_linear", "to_bytes", "write_png"),
    "rendering": ("RenderedFrame", "Renderer", "Shot", "clip_shots", "turntable"),
    "scene": ("Camera", "Light"),
    "synthetic": ("SyntheticConfig", "synthesize"),
    "tracking": ("track",),
    "training": ("GaussianConfig", "fit_gaussians"),
}
"""The package that each name of `__all__` is imported from."""


def __getattr__(name: str) -> Any:
    for home, names in _HOMES.items():
        if name in names:
            return getattr(import_module(f"{__name__}.{home}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
