"""Relightable Gaussian blendshapes: everything but the command line."""

from importlib import metadata

try:
    __version__ = metadata.version("rgb-avatar")
except metadata.PackageNotFoundError:  # run from a checkout that nobody installed
    __version__ = "0+unknown"
