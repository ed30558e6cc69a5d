"""Gaussians as glTF's KHR_gaussian_splatting, without compression."""

from pathlib import Path

import numpy as np
import torch

from ..images import linear_to_srgb
from .gltf import Buffer, write_container
from .ply3dgs import SH_C0
from .scene import ExportScene

_EXTENSION = "KHR_gaussian_splatting"
_POINTS = 0  # the specification's number of that kind of primitive


def write_splat_glb(scene: ExportScene, path: Path) -> None:
    """Write the scene's Gaussians atomically: y up, metres, colours as sRGB that viewers blend as they are.

    Raises:
        InputError: when the file cannot be written.
    """
    cloud, buffer = scene.gaussians, Buffer()
    turned = torch.nn.functional.normalize(cloud.rotations, dim=1).roll(-1, dims=1)  # glTF writes (x, y, z, w)
    colour = linear_to_srgb(cloud.radiance).clamp(0, 1)

    def add(values: torch.Tensor, bounds: bool = False) -> int:
        return buffer.add_vectors(values.detach().cpu().numpy(), bounds)

    attributes = {
        "POSITION": add(cloud.means, bounds=True),
        "COLOR_0": add(torch.cat([cloud.radiance.clamp(0, 1), cloud.opacities], dim=1)),  # for viewers of mere points
        f"{_EXTENSION}:ROTATION": add(turned),
        f"{_EXTENSION}:SCALE": add(cloud.scales),
        f"{_EXTENSION}:OPACITY": buffer.add(cloud.opacities[:, 0].detach().cpu().numpy().astype(np.float32)),
        f"{_EXTENSION}:SH_DEGREE_0_COEF_0": add((colour - 0.5) / SH_C0),
    }
    primitive = {
        "mode": _POINTS,
        "attributes": attributes,
        "extensions": {_EXTENSION: {"kernel": "ellipse", "colorSpace": "srgb_rec709_display"}},
    }
    document = {
        "extensionsUsed": [_EXTENSION],
        "scene": 0,
        "scenes": [{"nodes": [0]}],
        "nodes": [{"name": scene.name, "mesh": 0}],
        "meshes": [{"name": scene.name, "primitives": [primitive]}],
    }
    write_container(path, document, buffer)
