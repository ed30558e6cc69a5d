"""What runs on the host is compiled by another process while this one goes on."""

import os
import subprocess
import sys
from pathlib import Path

PROGRAM = """
import sys
import numpy as np
from torchoptixext_visibility import cpu_bvh

jit = sys.modules["kernel_runtime.jit"]
assert not cpu_bvh.build._cache.holds_anything()
cpu_bvh.compile_build()
(child,) = jit._children
assert child.poll() is None  # it has hardly begun when the call returns
assert child.wait() == 0
assert cpu_bvh.build._cache.holds_anything()
cpu_bvh.compile_build()
assert len(jit._children) == 1  # nothing is left to do
links, order, depth = cpu_bvh.build(np.eye(3, dtype=np.float32), np.array([[0, 1, 2]], np.int32))
assert cpu_bvh.build._cache_hits, "what the other process compiled was not taken"
assert links.tolist() == [[0, 1]]
"""

MEASURING = """
import sys
import torch
from mesh_rasterizer import cpu_raster
from mesh_rasterizer.cpu import compile_drawing
from rgb_core.scene import Camera
from torchoptixext_visibility import MeshBvh, cpu_bvh, cpu_closest, cpu_wide
from torchoptixext_visibility.cpu import compile_queries
import mesh_rasterizer

jit = sys.modules["kernel_runtime.jit"]
cpu_bvh.compile_build()
compile_queries()
compile_drawing()
assert [child.wait() for child in jit._children] == [0] * len(jit._children)
vertices, faces = torch.eye(3), torch.tensor([[0, 1, 2]], dtype=torch.int32)
bvh = MeshBvh(vertices, faces)
assert bvh.occluded(torch.zeros(1, 3), torch.ones(1, 3)).all()
assert abs(float(bvh.closest_point(torch.zeros(1, 3)).squared_distance) - 1 / 3) < 1e-6
camera = Camera((8.0, 8.0, 4.0, 4.0), torch.eye(3, 4), 8, 8)
seen = camera.see_mesh(vertices + torch.tensor([0.0, 0.0, 2.0]), faces)
mesh_rasterizer.interpolate(seen.fragments, faces, vertices)
used = cpu_bvh.build, cpu_bvh.refit, cpu_wide._collapse, cpu_wide._boxes, cpu_wide.any_hits, cpu_closest.closest_points
used += cpu_raster.rasterize, cpu_raster.interpolate
for kernel in used:
    assert kernel._cache_hits and not kernel._cache_misses, f"{kernel} was compiled for other arguments"
"""


def test_what_measuring_a_mesh_needs_is_compiled_by_other_processes_for_the_right_arguments(tmp_path: Path):
    run(MEASURING, tmp_path)


def test_the_builder_of_trees_is_compiled_once_by_another_process(tmp_path: Path):
    run(PROGRAM, tmp_path)


def run(program: str, cache: Path) -> None:
    """Run a program in a process of its own that starts with an empty cache."""
    cache.chmod(0o700)
    environment = {**os.environ, "RGB_CACHE_DIR": str(cache), "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
