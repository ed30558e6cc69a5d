"""Images as tensors: colour and files. sRGB and straight alpha exist only at this border."""

from .alpha import linear_to_rgba, premultiply, rgba_to_linear, unpremultiply
from .color import linear_to_srgb, srgb_bytes_to_linear, srgb_to_linear, to_bytes
from .exr import read_exr, write_exr
from .hdr import read_hdr, write_hdr
from .png import PngHeader, check_png, read_png, read_png_header, write_png
from .resize import downsample, downsample_labels

__all__ = [
    "PngHeader",
    "check_png",
    "downsample",
    "downsample_labels",
    "linear_to_rgba",
    "linear_to_srgb",
    "premultiply",
    "read_exr",
    "read_hdr",
    "read_png",
    "read_png_header",
    "rgba_to_linear",
    "srgb_bytes_to_linear",
    "srgb_to_linear",
    "to_bytes",
    "unpremultiply",
    "write_exr",
    "write_hdr",
    "write_png",
]
