"""Times packages by the calls that upstream defines: `python upstream.py SCENE.safetensors`, prints JSON.

The packages that Python finds under the names of upstream are timed, ours or theirs; nothing else of this project may
be imported here, since theirs would shadow ours.
"""

import json
import statistics
import sys
import time
from collections.abc import Callable
from importlib import import_module

import torch
from safetensors.torch import load_file

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


def _shading(scene: dict[str, torch.Tensor]) -> dict[str, float]:
    module = import_module("_diff_envshade")
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


def _rasterising(scene: dict[str, torch.Tensor]) -> dict[str, float]:
    module = import_module("diff_gaussian_rasterization")
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

    def both() -> None:
        torch.autograd.grad(forward().sum(), [*inputs, screen])

    with torch.no_grad():
        alone = _median_ms(forward)
    return {"rasterise forward": alone, "rasterise forward + backward": _median_ms(both)}


def _visibility(scene: dict[str, torch.Tensor]) -> dict[str, float]:
    module = import_module("torchoptixext_visibility")
    module.optixEnvmapVisibility_init(_DEVICE, 3, 1_000_000)
    vertices, faces, normals, turn = scene["vertices"], scene["faces"], scene["vertex_normals"], torch.eye(3)

    def pose() -> None:
        module.optixEnvmapVisibility_load_mesh([vertices], [faces])
        module.optixEnvmapVisibility_trace(vertices, normals, turn, 32, 16)

    result = {"visibility": _median_ms(pose)}
    module.optixEnvmapVisibility_destroy(_DEVICE)
    return result


def main() -> None:
    """Time every package that is there; one that is missing or fails is reported by name."""
    scene = {name: tensor.to(_DEVICE) for name, tensor in load_file(sys.argv[1]).items()}
    times: dict[str, float] = {}
    problems: dict[str, str] = {}
    for measure in (_shading, _rasterising, _visibility):
        try:
            times |= measure(scene)
        except Exception as error:  # foreign packages fail in their own ways
            problems[measure.__name__.strip("_")] = f"{type(error).__name__}: {error}"
    json.dump({"times": times, "problems": problems}, sys.stdout)


if __name__ == "__main__":
    main()
