"""Settings of every test run, a small head and a small demo that many tests use."""

import json
import os
from pathlib import Path

# As the `rgb` command does, and for the same reason; before anything imports torch or numba.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")

import pytest
import torch

from rgb_core.heads import HeadModel
from rgb_core.heads.regions import Region
from tests.commands import TINY, run_rgb

PROCESSES = 2
"""That share the tests where all run: what two cores keep busy, in the memory of a laptop."""


def pytest_xdist_auto_num_workers(config: pytest.Config) -> int:
    """One process where tests are named, which start at once then, or where they share a GPU."""
    everything = config.args_source is pytest.Config.ArgsSource.TESTPATHS
    return min(PROCESSES, os.cpu_count() or 1) if everything and not torch.cuda.is_available() else 0


@pytest.fixture
def patch() -> HeadModel:
    """A gently curved 9 x 9 grid, 8 cm wide, facing +z; `lift` raises its middle, `shear` moves its right half."""
    axis = torch.linspace(-0.04, 0.04, 9)
    y, x = torch.meshgrid(axis, axis, indexing="ij")
    vertices = torch.stack([x, y, 0.1 - 2 * (x**2 + y**2)], dim=-1).reshape(-1, 3)
    index = torch.arange(81).reshape(9, 9)
    a, b, c, d = index[:-1, :-1], index[:-1, 1:], index[1:, 1:], index[1:, :-1]
    faces = torch.cat([torch.stack([a, b, c], -1).reshape(-1, 3), torch.stack([a, c, d], -1).reshape(-1, 3)])
    lift = torch.zeros(81, 3)
    lift[:, 2] = 0.01 * torch.exp(-(vertices[:, :2] / 0.012).square().sum(1))
    lift[lift.norm(dim=1) < 1e-5] = 0
    shear = torch.zeros(81, 3)
    right = (vertices[:, 0] > 0) & (vertices[:, 1] < 0.025)
    shear[right, 1] = 0.2 * vertices[right, 0]
    region = torch.zeros(81, dtype=torch.uint8)
    region[vertices[:, 1] > 0.035] = Region.SCALP
    return HeadModel(
        name="patch",
        vertices=vertices,
        faces=faces,
        shape_basis=torch.zeros(0, 81, 3),
        expression_basis=torch.stack([lift, shear]),
        expression_names=("lift", "shear"),
        pose_basis=torch.zeros(0, 81, 3),
        joint_positions=torch.zeros(1, 3),
        joint_parents=torch.tensor([-1]),
        joint_names=("root",),
        skin_weights=torch.ones(81, 1),
        region=region,
    )


@pytest.fixture(scope="session")
def demo(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict]:
    """The folder of a tiny `rgb demo` and what it printed as JSON."""
    out = tmp_path_factory.mktemp("demo") / "out"
    result = run_rgb("demo", "-o", out, "--quiet", "--json", *TINY)
    assert result.returncode == 0, result.stderr
    return out, json.loads(result.stdout)
