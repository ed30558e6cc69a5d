"""Times the mesh BVH: build, refit, visibility bitfields, rays and nearest points on a head of about 40,000 faces.

Usage: python benchmarks/visibility.py [HEAD.npz]   (a file with `vertices` and `faces`; else the tests' synthetic head)

Prints medians over several runs, in milliseconds of wall time and of processor time, which other load disturbs less.
"""

import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numba
import numpy as np
import torch
from torchoptixext_visibility import MeshBvh

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "kernels"))
from visibility_meshes import head, vertex_normals

POINTS, RAYS, QUERIES, RUNS = 20_000, 200_000, 70_000, 5


def report(name: str, work: Callable[[], object]) -> None:
    """Print the median time of `work` after one run that compiles and warms caches."""
    work()
    wall, processor = [], []
    for _ in range(RUNS):
        start, start_processor = time.perf_counter(), time.process_time()
        work()
        wall.append(time.perf_counter() - start)
        processor.append(time.process_time() - start_processor)
    print(f"{name:45} {1e3 * statistics.median(wall):9.1f} {1e3 * statistics.median(processor):9.1f}")


def main() -> None:
    if len(sys.argv) > 1:
        with np.load(sys.argv[1], allow_pickle=False) as archive:
            vertices, faces = torch.from_numpy(archive["vertices"]), torch.from_numpy(archive["faces"])
    else:
        vertices, faces = head(141, 144)
    normals, bvh = vertex_normals(vertices, faces), MeshBvh(vertices, faces)
    generator = torch.Generator().manual_seed(0)
    targets = vertices[torch.randint(len(vertices), (RAYS,), generator=generator)]
    origins = 0.5 * torch.nn.functional.normalize(torch.randn(RAYS, 3, generator=generator), dim=-1)
    near = targets[:QUERIES] + 0.002 * torch.randn(QUERIES, 3, generator=generator)
    points, point_normals = vertices[:POINTS], normals[:POINTS]
    print(f"{len(vertices)} vertices, {len(faces)} faces, {numba.get_num_threads()} threads{'':11} wall ms    CPU ms")
    report("build", lambda: MeshBvh(vertices, faces))
    report("refit", lambda: bvh.refit(vertices))
    report(f"visibility, {len(points)} points x 512", lambda: bvh.visibility(points, point_normals, 16, 32))
    report(f"visibility, {len(points)} points x 2048", lambda: bvh.visibility(points, point_normals, 32, 64))
    report(f"trace, {RAYS} rays", lambda: bvh.trace(origins, targets - origins))
    report(f"occluded, {RAYS} rays", lambda: bvh.occluded(targets, origins - targets, t_min=1e-3))
    report(f"closest_point, {QUERIES} points", lambda: bvh.closest_point(near))


if __name__ == "__main__":
    main()
