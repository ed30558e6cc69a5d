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


def test_the_builder_of_trees_is_compiled_once_by_another_process(tmp_path: Path):
    tmp_path.chmod(0o700)
    environment = {**os.environ, "RGB_CACHE_DIR": str(tmp_path), "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run([sys.executable, "-c", PROGRAM], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
