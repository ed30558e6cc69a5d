"""Malformed pictures, environment maps and meshes."""

import functools
import io
import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import torch
from PIL import Image

from rgb_core.data import read_ply
from rgb_core.images import read_png, write_exr
from rgb_core.scene import Light

from .cases import Case, written

PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
GREY, PALETTE, RGBA = 0, 3, 6


def _chunk(tag: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + tag + data + struct.pack(">I", zlib.crc32(tag + data))


def _png(
    width: int = 8, height: int = 8, depth: int = 8, kind: int = GREY, pixels: bytes = b"", extra: bytes = b""
) -> bytes:
    header = _chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, kind, 0, 0, 0))
    return PNG_SIGNATURE + header + extra + _chunk(b"IDAT", pixels) + _chunk(b"IEND", b"")


def _jpeg() -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (8, 8)).save(buffer, "JPEG")
    return buffer.getvalue()


def _png_case(problem: str, data: bytes, says: str) -> Case:
    return Case("PNG", problem, written("picture.png", data), read_png, says)


def _hdr(header: bytes, pixels: bytes = b"") -> bytes:
    return b"#?RADIANCE\n" + header + pixels


def _hdr_case(problem: str, data: bytes, says: str) -> Case:
    return Case("environment map", problem, written("light.hdr", data), Light.load, says)


def _exr(change: Callable[[bytes], bytes], value: float = 1.0) -> Callable[[Path], Path]:
    def make(folder: Path) -> Path:
        write_exr(folder / "light.exr", torch.full((4, 8, 3), value))
        (folder / "light.exr").write_bytes(change((folder / "light.exr").read_bytes()))
        return folder / "light.exr"

    return make


_exr_case = functools.partial(Case, "environment map", read=Light.load)
_DAMAGED_EXR = "is truncated, corrupt or not an OpenEXR file"

PNG_CASES = [
    _png_case("empty file", b"", "is not a PNG file"),
    _png_case("JPEG named .png", _jpeg(), "is not a PNG file"),
    _png_case("header alone", _png()[:20], "is a truncated or corrupt PNG"),
    _png_case("pixels cut short", _png(kind=RGBA, pixels=zlib.compress(bytes(9))), "is a truncated or corrupt PNG"),
    _png_case("pixels that are noise", _png(pixels=b"noise"), "is a truncated or corrupt PNG"),
    _png_case("wrong checksum", _png().replace(b"IHDR", b"IHDR", 1)[:29] + bytes(4) + _png()[33:], "corrupt PNG"),
    _png_case("16 bits a channel", _png(depth=16), "is a 16-bit PNG; save it as 8-bit"),
    _png_case("palette", _png(kind=PALETTE), "is a palette PNG; save it as 8-bit"),
    _png_case("a trillion pixels", _png(1 << 20, 1 << 20), "claims an impossible size"),
    _png_case("no pixels", _png(0, 5), "claims an impossible size"),
    _png_case(
        "text that unpacks to 64 MiB",
        _png(pixels=zlib.compress(bytes(72)), extra=_chunk(b"zTXt", b"a\0\0" + zlib.compress(bytes(1 << 26)))),
        "is a truncated or corrupt PNG",
    ),
    Case("PNG", "folder", lambda folder: folder, read_png, "Is a directory"),
]

LIGHT_CASES = [
    Case("environment map", "name of no light", lambda _: "moonlight", Light.load, "no light is called"),
    Case("environment map", "file that is not there", lambda folder: folder / "a.hdr", Light.load, "cannot read"),
    _hdr_case("text named .hdr", b"hello", "not a Radiance .hdr file"),
    _hdr_case("no resolution", _hdr(b"\n"), "truncated in the header"),
    _hdr_case("XYZ pixels", _hdr(b"FORMAT=32-bit_rle_xyze\n\n-Y 1 +X 2\n"), "is not 32-bit_rle_rgbe"),
    _hdr_case("ten trillion pixels", _hdr(b"\n-Y 9999999 +X 9999999\n"), "claims an impossible size"),
    _hdr_case("exposure of NaN", _hdr(b"EXPOSURE=nan\n\n-Y 1 +X 2\n", bytes(8)), "is not 1 positive number"),
    _hdr_case("pixels cut short", _hdr(b"\n-Y 4 +X 8\n", b"ab"), "truncated"),
    _hdr_case("run before any pixel", _hdr(b"\n-Y 1 +X 2\n", b"\1\1\1\1" * 2), "a run reaches beyond its scanline"),
    _hdr_case("square map", _hdr(b"\n-Y 2 +X 2\n", bytes(16)), "twice as wide as high"),
    _exr_case("empty .exr", make=_exr(lambda _: b""), says=_DAMAGED_EXR),
    _exr_case(".exr cut short", make=_exr(lambda data: data[:-20]), says=_DAMAGED_EXR),
    _exr_case(
        ".exr with a broken table", make=_exr(lambda data: data[:200] + b"\xff" * 20 + data[220:]), says=_DAMAGED_EXR
    ),
    _exr_case("NaN texels", make=_exr(lambda data: data, float("nan")), says="texels that are NaN or infinite"),
]


def _ply(kind: bytes, vertices: bytes, faces: bytes, body: bytes = b"") -> bytes:
    coordinates = b"property float x\nproperty float y\nproperty float z\n"
    header = b"ply\nformat " + kind + b" 1.0\nelement vertex " + vertices + b"\n" + coordinates
    return header + b"element face " + faces + b"\nproperty list uchar int vertex_indices\nend_header\n" + body


def _ply_case(problem: str, data: bytes, says: str) -> Case:
    return Case("PLY mesh", problem, written("mesh.ply", data), read_ply, says)


_BINARY = b"binary_little_endian"
MESH_CASES = [
    _ply_case("text named .ply", b"hello", "not a PLY file"),
    _ply_case("header without end", b"ply\nformat ascii 1.0\n", "truncated in its header"),
    _ply_case("header that is no text", b"ply\n\xff\xfe\nend_header\n", "is not understood"),
    _ply_case("big-endian", _ply(b"binary_big_endian", b"1", b"1"), "neither ascii nor binary_little_endian"),
    _ply_case("a trillion vertices", _ply(_BINARY, b"9" * 12, b"1"), "truncated in element vertex"),
    _ply_case("count of 5,000 digits", _ply(_BINARY, b"9" * 5000, b"1"), "is not understood"),
    _ply_case("vertex beyond single precision", _ply(b"ascii", b"1", b"0", b"0 0 1e300\n"), "is not finite"),
    _ply_case("NaN in a face", _ply(b"ascii", b"1", b"1", b"0 0 0\n3 0 0 nan\n"), "has a face with vertex"),
    _ply_case(
        "list for a coordinate",
        _ply(b"ascii", b"1", b"0", b"3 1 2 3 0 0\n").replace(b"float x", b"list uchar float x"),
        "no x, y, z as single numbers",
    ),
    _ply_case("NaN vertex", _ply(_BINARY, b"1", b"0", struct.pack("<3f", 0, float("nan"), 0)), "is not finite"),
    _ply_case("quads", _ply(_BINARY, b"1", b"1", bytes(12) + b"\4" + bytes(16)), "faces that are not triangles"),
    _ply_case("face beyond the vertices", _ply(b"ascii", b"1", b"1", b"0 0 0\n3 0 0 7\n"), "but only 1 vertices"),
    _ply_case("words for numbers", _ply(b"ascii", b"1", b"0", b"a b c\n"), "has a line without 3 numbers"),
]

CASES = [*PNG_CASES, *LIGHT_CASES, *MESH_CASES]
