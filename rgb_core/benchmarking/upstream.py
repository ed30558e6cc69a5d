"""Times packages by the calls that upstream defines: `python upstream.py SCENE.safetensors [gsplat]`, prints JSON.

The packages that Python finds under the names of upstream are timed, ours or theirs, and the files that they came from
are named; with `gsplat` that package alone, by its own call. Nothing else of this project may be imported here, since
theirs would shadow ours.
"""

import json
import statistics
import sys
import time
from collections.abc import Callable
from importlib import import_module
from typing import Any

import torch
from safetensors.torch import load_file

_RESULT = "RESULT "  # before the line that counts: packages print what they like
_DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
_WARM_UP, _REPEATS = (5, 50) if _DEVICE == "cuda" else (1, 3)


def _median_ms(work: Callable[[], object]) -> float:
    for _ in range(_WARM_UP):
        work()
    times = []
    for _ in range(_REPEATS):
        _finish()
        start = time.perf_counter()
        work()
        _finish()  # of all streams: packages may use their own
        times.append(1e3 * (time.perf_counter() - start))
    return statistics.median(times)


def _finish() -> None:
    if _DEVICE == "cuda":
        torch.cuda.synchronize()


def _shading(scene: dict[str, torch.Tensor], module: Any) -> dict[str, float]:
    points = len(scene["normal"])
    colours = torch.full((points, 3), 0.5, device=_DEVICE)
    ones = torch.ones(points, 3, device=_DEVICE)
    shared = (
        scene["normal"], scene["view"], colours, colours, scene["roughness"], scene["envmap"],
        torch.eye(3, device=_DEVICE), scene["corners"], scene["face_id"], scene["barycentric"], scene["words"], True,
    )  # fmt: skip
    return {
        "shading forward": _median_ms(lambda: module.bruteforce_specularvisibility_shader_forward2(*shared)),
        "shading backward": _median_ms(
            lambda: module.bruteforce_specularvisibility_shader_backward2(ones, ones, *shared)
        ),
    }


def _rasterising(scene: dict[str, torch.Tensor], module: Any) -> dict[str, float]:
    size, tangent = int(scene["size"]), float(scene["tangent"])
    settings = module.GaussianRasterizationSettings(
        size, size, tangent, tangent, torch.zeros(3, device=_DEVICE), 1.0, scene["view_matrix"], scene["projection"], 0,
        scene["eye"], False, False,
    )  # fmt: skip
    rasterizer = module.GaussianRasterizer(settings)
    names = ("means", "opacities", "colors", "scales", "rotations")
    means, opacities, colors, scales, rotations = inputs = [scene[name].clone().requires_grad_() for name in names]
    screen = torch.zeros_like(means, requires_grad=True)

    def forward() -> torch.Tensor:
        return rasterizer(means, screen, opacities, colors_precomp=colors, scales=scales, rotations=rotations)[0]

    return _both_passes(forward, [*inputs, screen])


def _gsplat(scene: dict[str, torch.Tensor], module: Any) -> dict[str, float]:
    size = int(scene["size"])
    names = ("means", "rotations", "scales", "opacities", "colors")
    means, rotations, scales, opacities, colors = inputs = [scene[name].clone().requires_grad_() for name in names]
    lens = torch.zeros(1, 3, 3, device=_DEVICE)
    lens[0, 0, 0] = lens[0, 1, 1] = size / (2 * float(scene["tangent"]))
    lens[0, :2, 2], lens[0, 2, 2] = size / 2, 1
    camera = scene["view_matrix"].T[None].contiguous(), lens, size, size

    def forward() -> torch.Tensor:
        return module.rasterization(means, rotations, scales, opacities[:, 0], colors, *camera)[0]

    return _both_passes(forward, inputs)


def _both_passes(forward: Callable[[], torch.Tensor], inputs: list[torch.Tensor]) -> dict[str, float]:
    def both() -> None:
        torch.autograd.grad(forward().sum(), inputs)

    with torch.no_grad():
        alone = _median_ms(forward)
    return {"rasterise forward": alone, "rasterise forward + backward": _median_ms(both)}


def _visibility(scene: dict[str, torch.Tensor], module: Any) -> dict[str, float]:
    module.optixEnvmapVisibility_init(_DEVICE, 3, 1_000_000)
    vertices, faces, normals, turn = scene["vertices"], scene["faces"], scene["vertex_normals"], torch.eye(3)

    def pose() -> None:
        module.optixEnvmapVisibility_load_mesh([vertices], [faces])
        module.optixEnvmapVisibility_trace(vertices, normals, turn, 32, 16)

    result = {"visibility": _median_ms(pose)}
    module.optixEnvmapVisibility_destroy(_DEVICE)
    return result


_UPSTREAM = {
    "_diff_envshade": _shading, "diff_gaussian_rasterization": _rasterising, "torchoptixext_visibility": _visibility,
}  # fmt: skip


def main() -> None:
    """Time every package that is there; one that is missing or fails is reported by name."""
    scene = {name: tensor.to(_DEVICE) for name, tensor in load_file(sys.argv[1]).items()}
    packages = {}
    for name, measure in ({"gsplat": _gsplat} if "gsplat" in sys.argv else _UPSTREAM).items():
        try:
            module = import_module(name)
            packages[name] = {"file": module.__file__, "version": getattr(module, "__version__", "")}
            packages[name]["times"] = measure(scene, module)
        except Exception as error:  # foreign packages fail in their own ways
            packages.setdefault(name, {})["problem"] = f"{type(error).__name__}: {error}"
    sys.stdout.write(f"{_RESULT}{json.dumps(packages)}\n")


if __name__ == "__main__":
    main()
