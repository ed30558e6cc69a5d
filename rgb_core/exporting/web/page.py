"""The page as one HTML file: markup, style, script, shaders and the avatar, with nothing to fetch from anywhere."""

import base64
import json
import re
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np

from ...avatar import Avatar
from ...files import write_text
from ...heads import Motion, motion_record
from ...scene.builtin_lights import BUILTIN_LIGHTS, builtin_light
from .blob import pack
from .tables import avatar_tables
from .transfer import transfer_tables

# In the order in which they must run: each uses only what stands before it.
SCRIPTS = ("maths", "gl", "unpack", "head", "exr", "panorama", "light", "shadow", "splats", "camera", "stage",
           "motion", "widgets",
    "controls", "record", "main")  # fmt: skip
SHADERS = ("common", "screen.vert", "mesh.frag", "normals.frag", "gaussians.frag", "prefilter.frag", "turned.frag",
           "vertices.frag", "radiance.frag", "depth.vert", "depth.frag", "splat.vert", "splat.frag",
           "show.frag")  # fmt: skip


def write_page(avatar: Avatar, path: Path, motion: Motion | None = None) -> None:
    """Write the page of an avatar atomically; a `motion` plays in it at the press of a button.

    Raises:
        InputError: when the page cannot pose the avatar's head model, or the file cannot be written.
    """
    write_text(path, page(avatar, motion))


def page(avatar: Avatar, motion: Motion | None = None) -> str:
    """The page as text."""
    facts, arrays = avatar_tables(avatar)
    more, shadows = transfer_tables(avatar.head)
    facts |= {**more, "motion": None if motion is None else motion_record(motion, avatar.head)}
    lights = {name: builtin_light(name).permute(1, 2, 0).numpy() for name in BUILTIN_LIGHTS}
    lights["as filmed"] = avatar.light.radiance.detach().cpu().permute(1, 2, 0).numpy()
    facts["lights"] = [{"name": name, "height": len(image)} for name, image in lights.items()]
    arrays |= shadows | {f"light.{name}": shared_exponent(image) for name, image in lights.items()}
    payload = base64.b64encode(pack(arrays)).decode()
    shaders = {name: _read(f"shader/{name}.glsl") for name in SHADERS}
    script = "\n".join(_read(f"script/{name}.js") for name in SCRIPTS)
    parts = {
        "title": _escape(avatar.name),
        "caption": f"{avatar.count:,} Gaussians · relit in your browser",
        "style": _read("widgets.css") + _read("page.css"),
        "facts": _inline(facts),
        "shaders": _inline(shaders),
        "payload": payload,
        "script": script,
    }
    return re.sub(r"\{\{(\w+)\}\}", lambda match: parts[match[1]], _read("page.html"))


def shared_exponent(image: np.ndarray) -> np.ndarray:
    """Linear colours [H, W, 3] as Radiance's RGBE bytes [H * W, 4]: colour = mantissa * 2^(exponent - 136)."""
    rows = image.reshape(-1, 3).astype(np.float64)
    largest = rows.max(axis=1)
    mantissa, exponent = np.frexp(largest)
    factor = np.where(largest > 1e-32, mantissa * 256 / np.where(largest > 0, largest, 1), 0)
    colour = np.rint(rows * factor[:, None]).clip(0, 255)
    return np.concatenate([colour, (exponent + 128)[:, None] * (factor[:, None] > 0)], axis=1).astype(np.uint8)


def _read(name: str) -> str:
    return files(__package__).joinpath(name).read_text(encoding="utf-8")


def _inline(value: Any) -> str:
    """JSON that can stand inside a script element."""
    return json.dumps(value, separators=(",", ":")).replace("<", "\\u003c")


def _escape(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
