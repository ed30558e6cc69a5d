"""Gaussians as a .ply in the layout of 3D Gaussian splatting (Kerbl et al. 2023), which splat viewers open."""

from pathlib import Path

import numpy as np
import torch

from ..files import atomic_path
from ..images import linear_to_srgb
from .scene import ExportScene

SH_C0 = 0.5 / np.sqrt(np.pi)  # the constant spherical harmonic, Y_00
_OPACITY_MARGIN = 1e-6  # keeps the logit of 0 and 1 finite

PROPERTIES = (
    *("x", "y", "z"),
    *("nx", "ny", "nz"),
    *("f_dc_0", "f_dc_1", "f_dc_2"),
    "opacity",
    *("scale_0", "scale_1", "scale_2"),
    *("rot_0", "rot_1", "rot_2", "rot_3"),
)


def write_gaussian_ply(scene: ExportScene, path: Path) -> None:
    """Write the scene's Gaussians atomically, binary little endian, float32, in the order of PROPERTIES.

    Viewers blend sRGB values, so the radiance is encoded: colour = 0.5 + SH_C0 f_dc. Opacity is stored as a logit,
    scale as a natural logarithm of metres, rotation as (w, x, y, z); normals are zero, as in the original's files.

    Raises:
        InputError: when the file cannot be written.
    """
    cloud = scene.gaussians
    opacity = cloud.opacities.clamp(_OPACITY_MARGIN, 1 - _OPACITY_MARGIN)
    columns = [
        cloud.means,
        torch.zeros_like(cloud.means),
        (linear_to_srgb(cloud.radiance).clamp(0, 1) - 0.5) / SH_C0,
        torch.logit(opacity),
        cloud.scales.log(),
        torch.nn.functional.normalize(cloud.rotations, dim=1),
    ]
    rows = torch.cat(columns, dim=1).detach().cpu().numpy().astype("<f4")
    header = ["ply", "format binary_little_endian 1.0", f"element vertex {len(rows)}"]
    header += [f"property float {name}" for name in PROPERTIES]
    with atomic_path(path) as temporary:
        temporary.write_bytes("\n".join([*header, "end_header", ""]).encode("ascii") + rows.tobytes())
