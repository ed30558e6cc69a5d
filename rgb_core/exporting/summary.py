"""What an avatar is, in a few words and numbers."""

from pathlib import Path
from typing import Any

import torch

from ..avatar import load_avatar
from ..avatar.storage import DESCRIPTION
from ..files import read_text
from ..heads.regions import Region
from ..yaml_text import parse_yaml


def summary(folder: Path) -> dict[str, Any]:
    """Facts about an avatar folder by what people call them.

    Raises:
        InputError: when the folder holds no whole avatar.
    """
    avatar = load_avatar(folder)
    head, neutral = avatar.head, avatar.neutral
    region = avatar.region()
    counts = {part.title: int((region == part).sum()) for part in Region if bool((region == part).any())}
    scale = neutral["log_scale"].exp().amax(1) * 1e3
    provenance = parse_yaml(read_text(folder / DESCRIPTION), DESCRIPTION).get("provenance") or {}
    made = {name: value for name, value in provenance.items() if not isinstance(value, dict | list)}
    preset = provenance.get("preset")
    if isinstance(preset, dict):
        made |= {
            "steps": preset.get("gaussians", {}).get("steps"),
            "picture size": preset.get("gaussians", {}).get("image_size"),
        }
    return {
        "name": avatar.name,
        "Gaussians": {"all": avatar.count, **counts},
        "median size (mm)": round(float(scale.median()), 2),
        "expressions": len(head.expression_names),
        "pairs of Gaussian and expression": len(avatar.deltas),
        "head model": head.name,
        "mesh": f"{head.vertex_count} vertices, {len(head.faces)} triangles"
        + (", UV layout" if head.uv is not None else ""),
        "joints": ", ".join(head.joint_names),
        "mean albedo": [round(x, 3) for x in torch.sigmoid(neutral["albedo"]).mean(0).tolist()],
        "fitted light": " x ".join(map(str, avatar.light.size))
        + (", carried by the camera" if avatar.light.carried else ""),
        "shadows": avatar.visibility,
        "one bounce": avatar.one_bounce,
        "antialiasing": avatar.antialias,
        "made from": made,
        "size on disk (MB)": round(sum(path.stat().st_size for path in folder.iterdir() if path.is_file()) / 1e6, 2),
    }
