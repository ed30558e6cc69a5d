"""Our packages against upstream's, by upstream's own calls, each in a process of its own."""

import json
import math
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import torch
from gaussian_blendshapes import FaceRings, vertex_normals
from safetensors.torch import save_file

from ..errors import InputError
from .scenes import ellipsoid, ellipsoid_view, head_mesh, shading_scene
from .workloads import GAUSSIANS, SIZE

_SECONDS = 600


def compare(folder: Path, gaussians: int = GAUSSIANS, size: int = SIZE) -> dict[str, tuple[float, float]]:
    """Median milliseconds (ours, theirs) by workload, of every package that `folder` holds.

    Args:
        folder: where upstream's packages are installed, as by `pip install --target`.
        gaussians, size: how many points and Gaussians, and pixels of a side.

    Raises:
        InputError: when none of the packages is there or runs.
    """
    if not folder.is_dir():
        raise InputError(f"--upstream {folder} is not a folder; install upstream's packages there with pip --target")
    with tempfile.TemporaryDirectory() as temporary:
        scene = Path(temporary) / "scene.safetensors"
        save_file(_scene(gaussians, size), scene)
        theirs, ours = _measure(scene, folder), _measure(scene, None)
    if not theirs["times"]:
        problems = "; ".join(f"{name}: {problem}" for name, problem in theirs["problems"].items())
        raise InputError(f"none of upstream's packages in {folder} runs: {problems}")
    return {name: (ours["times"][name], time) for name, time in theirs["times"].items()}


def _measure(scene: Path, folder: Path | None) -> dict[str, Any]:
    """Run upstream.py with `folder` before all other places of packages."""
    paths = [str(folder.resolve())] if folder else []
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([*paths, *(path for path in sys.path if path)])}
    command = [sys.executable, "-P", str(Path(__file__).with_name("upstream.py")), str(scene)]
    done = subprocess.run(  # noqa: S603, this interpreter with a program of this package
        command, env=environment, capture_output=True, text=True, timeout=_SECONDS, check=False
    )
    if done.returncode:
        raise InputError(f"timing the packages in {folder or 'this environment'} failed: {done.stderr.strip()[-500:]}")
    return json.loads(done.stdout)


def _scene(gaussians: int, size: int) -> dict[str, torch.Tensor]:
    """Everything that upstream.py reads."""
    (normal, view, roughness, envmap), seen = shading_scene(gaussians, 16)
    means, rotations, scales, opacities, colors = ellipsoid(gaussians)
    world_to_camera, (intrinsics, _, _) = ellipsoid_view(size)
    square = torch.cat([world_to_camera, torch.tensor([[0.0, 0, 0, 1]])])
    tangent = size / (2 * intrinsics[0])
    near, far = 0.01, 100.0
    lens = torch.zeros(4, 4)
    lens[0, 0] = lens[1, 1] = 1 / tangent
    lens[2, 2], lens[2, 3], lens[3, 2] = far / (far - near), -far * near / (far - near), 1
    vertices, faces = head_mesh()
    normals = vertex_normals(vertices, FaceRings.of(faces, len(vertices)))
    scene = {
        "normal": normal, "view": view, "roughness": roughness, "envmap": envmap,
        "corners": seen.faces.T, "face_id": seen.face_id, "barycentric": seen.barycentric.T, "words": seen.words.T,
        "means": means, "rotations": rotations, "scales": scales, "opacities": opacities, "colors": colors,
        "view_matrix": square.T, "projection": (lens @ square).T, "eye": torch.linalg.inv(square)[:3, 3],
        "size": torch.tensor(size), "tangent": torch.tensor(math.fabs(tangent)),
        "vertices": vertices, "faces": faces, "vertex_normals": normals,
    }  # fmt: skip
    return {name: tensor.contiguous() for name, tensor in scene.items()}
