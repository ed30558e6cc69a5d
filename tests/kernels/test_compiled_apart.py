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
(child,) = jit._children.values()
assert child.poll() is None  # it has hardly begun when the call returns
assert child.wait() == 0
assert cpu_bvh.build._cache.holds_anything()
cpu_bvh.compile_build()
assert len(jit._children) == 1  # nothing is left to do
links, order, depth = cpu_bvh.build(np.eye(3, dtype=np.float32), np.array([[0, 1, 2]], np.int32))
assert cpu_bvh.build._cache_hits, "what the other process compiled was not taken"
assert links.tolist() == [[0, 1]]
"""

DECLARED = """
import sys
from pathlib import Path
from kernel_runtime.ahead import all_parallel_kernels
from kernel_runtime.jit import parallel_kernels
from numba.core.sigutils import normalize_signature
from rgb_core.pipeline import show, synthesize_and_fit
from rgb_core.presets import load_preset
from rgb_core.progress import Silent

small = ["synthetic.size=48", "synthetic.frames=4", "synthetic.test_frames=2", "geometry.steps=2", "gaussians.steps=12"]
preset = load_preset("demo", [*small, "gaussians.gaussians=500"])
kernels = all_parallel_kernels()
out = Path(sys.argv[1])
show(synthesize_and_fit(out, preset, Silent(), 0), out, Silent())
saying = {kernel for kernel, usual in parallel_kernels.items() if usual}
assert set(kernels) == saying, "some module with kernels is not found ahead"
declared = {kernel: {normalize_signature(each)[0] for each in parallel_kernels[kernel]} for kernel in kernels}
strange = {kernel.__name__: set(kernel.signatures) - declared[kernel] for kernel in kernels}
assert not any(strange.values()), {name: found for name, found in strange.items() if found}
idle = [kernel.__name__ for kernel in kernels if not kernel.signatures]
assert not idle, f"a demo does not call {idle}"
"""


def test_what_a_demo_calls_is_declared_so_that_it_can_be_compiled_ahead(tmp_path: Path):
    """Run with the cache of all tests."""
    done = subprocess.run(
        [sys.executable, "-c", DECLARED, str(tmp_path / "demo")],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr


AHEAD = """
import sys
import time
import torch
from kernel_runtime.jit import compile_on_host
from torchoptixext_visibility import MeshBvh, cpu_closest, cpu_wide

jit = sys.modules["kernel_runtime.jit"]
compile_on_host((cpu_wide.any_hits, cpu_closest.closest_points))
while len(jit._children) < 2:
    time.sleep(0.01)
started = dict(jit._children)
bvh = MeshBvh(torch.eye(3), torch.tensor([[0, 1, 2]], dtype=torch.int32))
assert bvh.occluded(torch.zeros(1, 3), torch.ones(1, 3)).all()
assert abs(float(bvh.closest_point(torch.zeros(1, 3)).squared_distance) - 1 / 3) < 1e-6
assert jit._children == started, "a call did not wait for the process that compiles its kernel"
assert [child.wait() for child in started.values()] == [0, 0]
for thread in compile_on_host((cpu_wide.any_hits, cpu_closest.closest_points)):
    thread.join()
assert jit._children == started, "nothing was left to do"
"""


def test_a_call_takes_what_is_compiled_ahead(tmp_path: Path):
    run(AHEAD, tmp_path)


def test_the_builder_of_trees_is_compiled_once_by_another_process(tmp_path: Path):
    run(PROGRAM, tmp_path)


def run(program: str, cache: Path) -> None:
    """Run a program in a process of its own that starts with an empty cache."""
    cache.chmod(0o700)
    environment = {**os.environ, "RGB_CACHE_DIR": str(cache), "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
