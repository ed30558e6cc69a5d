"""Our packages against upstream's, by upstream's own calls, each in a process of its own."""

import json
import math
import os
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from gaussian_blendshapes import FaceRings, vertex_normals
from safetensors.torch import save_file

from ..errors import InputError
from .scenes import ellipsoid, ellipsoid_view, head_mesh, shading_scene
from .workloads import GAUSSIANS, SIZE

_SECONDS = 900  # gsplat compiles itself at first use
_RESULT = "RESULT "


@dataclass(frozen=True)
class Comparison:
    """One workload by the calls of another package; medians in milliseconds of a call followed by a wait."""

    name: str
    package: str
    """Name and version."""
    file: str
    """The file of the package that was loaded."""
    ours: float
    theirs: float


def compare(folder: Path | None, gaussians: int = GAUSSIANS, size: int = SIZE) -> list[Comparison]:
    """Our packages beside those that `folder` holds, and beside gsplat where it is installed, here or there.

    What Python finds outside of the folder under upstream's names is ours and counts for nothing here.

    Args:
        folder: where upstream's packages are installed, as by `pip install --target`; None: only gsplat is looked for.
        gaussians, size: how many points and Gaussians, and pixels of a side.

    Raises:
        InputError: when the folder holds none of upstream's packages, or none that runs.
    """
    if folder is not None and not folder.is_dir():
        raise InputError(f"--upstream {folder} is not a folder; install upstream's packages there with pip --target")
    with tempfile.TemporaryDirectory() as temporary:
        scene = Path(temporary) / "scene.safetensors"
        save_file(_scene(gaussians, size), scene)
        ours = _measure(scene, None)
        theirs = _theirs(_measure(scene, folder), folder) if folder else {}
        if torch.cuda.is_available():
            theirs |= {name: found for name, found in _measure(scene, folder, "gsplat").items() if "times" in found}
    own = {workload: ms for found in ours.values() for workload, ms in found.get("times", {}).items()}
    return [
        Comparison(workload, f"{name} {found['version']}".strip(), found["file"], own[workload], ms)
        for name, found in theirs.items()
        for workload, ms in found["times"].items()
        if workload in own
    ]


def _theirs(found: dict[str, Any], folder: Path) -> dict[str, Any]:
    """Those packages that came from the folder and ran."""
    there = {
        name: package
        for name, package in found.items()
        if "file" in package and Path(package["file"]).resolve().is_relative_to(folder.resolve())
    }
    run = {name: package for name, package in there.items() if "times" in package}
    if not run:
        problems = "; ".join(f"{name}: {package['problem']}" for name, package in there.items())
        raise InputError(f"none of upstream's packages in {folder} runs: {problems or 'none is there'}")
    return run


def _measure(scene: Path, folder: Path | None, *arguments: str) -> dict[str, Any]:
    """Run upstream.py with `folder` before all other places of packages; what it found, by the package's name."""
    paths = [str(folder.resolve())] if folder else []
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([*paths, *(path for path in sys.path if path)])}
    command = [sys.executable, "-P", str(Path(__file__).with_name("upstream.py")), str(scene), *arguments]
    done = subprocess.run(  # noqa: S603, this interpreter with a program of this package
        command, env=environment, capture_output=True, encoding="utf-8", errors="replace", timeout=_SECONDS, check=False
    )
    lines = [line for line in done.stdout.splitlines() if line.startswith(_RESULT)]
    if done.returncode or not lines:
        raise InputError(f"timing the packages in {folder or 'this environment'} failed: {done.stderr.strip()[-500:]}")
    return json.loads(lines[-1].removeprefix(_RESULT))


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
