"""Times the mesh tree, frnn and simple_knn on a GPU: `python benchmarks/visibility_cuda.py [HEAD.npz]`.

HEAD.npz holds `vertices` and `faces`; without it the tests' synthetic head of 40,000 faces is used. Medians of CUDA
events in milliseconds: "eager" has the host's launches in it, "graph" the kernels alone.
"""

import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from frnn import frnn_grid_points
from kernel_runtime.timing import eager_ms, graph_ms
from simple_knn import mean_squared_distance
from torchoptixext_visibility import MeshBvh

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "kernels"))
from visibility_meshes import head, vertex_normals

POINTS, RAYS, QUERIES, NEIGHBOURS, RADIUS = 20_000, 1_000_000, 70_000, 16, 0.01


def report(name: str, work: Callable[[], object], in_graph: bool = True) -> None:
    """Print both times of `work`; work that waits for the device has no graph."""
    in_a_graph = f"{graph_ms(work):10.3f}" if in_graph else f"{'-':>10}"
    print(f"{name:55}{eager_ms(work):10.3f}{in_a_graph}")


def main() -> None:
    if len(sys.argv) > 1:
        with np.load(sys.argv[1], allow_pickle=False) as archive:
            mesh = torch.from_numpy(archive["vertices"]), torch.from_numpy(archive["faces"])
    else:
        mesh = head(141, 144)
    vertices, faces = (tensor.cuda() for tensor in mesh)
    normals = vertex_normals(vertices, faces)
    start = time.perf_counter()
    bvh = MeshBvh(vertices, faces)
    torch.cuda.synchronize()
    print(f"{torch.cuda.get_device_name()}: {len(vertices)} vertices, {len(faces)} faces")
    print(f"first build, with compilation: {time.perf_counter() - start:.2f} s")
    points, upward, light = vertices[:POINTS].contiguous(), normals[:POINTS].contiguous(), torch.eye(3).cuda()
    generator = torch.Generator("cuda").manual_seed(0)
    targets = vertices[torch.randint(len(vertices), (RAYS,), generator=generator, device="cuda")]
    origins = torch.randn(RAYS, 3, generator=generator, device="cuda")
    origins = 0.5 * torch.nn.functional.normalize(origins, dim=-1)
    directions = targets - origins
    near = targets[:QUERIES] + 0.002 * torch.randn(QUERIES, 3, generator=generator, device="cuda")
    clouds = near[None], vertices[None].contiguous()
    _, _, _, grid = frnn_grid_points(*clouds, K=NEIGHBOURS, r=RADIUS)

    def pose() -> None:
        bvh.refit(vertices)
        bvh.visibility(points, upward, 16, 32, light)

    print(f"{'milliseconds':55}{'eager':>10}{'graph':>10}")
    report("build", lambda: MeshBvh(vertices, faces), in_graph=False)
    report("refit", lambda: bvh.refit(vertices))
    report(f"visibility, {len(points)} points x 512", lambda: bvh.visibility(points, upward, 16, 32, light))
    report(f"refit + visibility, {len(points)} points x 512", pose)
    report(f"visibility, {len(points)} points x 2048", lambda: bvh.visibility(points, upward, 32, 64, light))
    report(f"visibility, {len(points)} free points x 512", lambda: bvh.visibility(1.5 * points, None, 16, 32, light))
    report(f"trace, {RAYS} rays", lambda: bvh.trace(origins, directions))
    report(f"occluded, {RAYS} rays", lambda: bvh.occluded(origins, directions))
    report(f"closest_point, {QUERIES} points", lambda: bvh.closest_point(near))
    options = {"K": NEIGHBOURS, "r": RADIUS}
    report(f"frnn, {QUERIES} points, K = {NEIGHBOURS}", lambda: frnn_grid_points(*clouds, **options))
    report("frnn, grid reused", lambda: frnn_grid_points(*clouds, **options, grid=grid))
    report(f"mean_squared_distance, {QUERIES} points", lambda: mean_squared_distance(near), in_graph=False)


if __name__ == "__main__":
    main()
