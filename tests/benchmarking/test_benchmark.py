"""The comparison with upstream's packages: theirs are timed where they are, and what is missing is said."""

from pathlib import Path

import pytest
import torch

from rgb_core.avatar import PosedGaussians
from rgb_core.benchmarking.comparison import compare
from rgb_core.benchmarking.scenes import bench_avatar, ellipsoid, ellipsoid_view
from rgb_core.errors import InputError
from rgb_core.rendering.stages import splat

THEIRS = """
import time
__version__ = "7.1"
print("compiling")
calls = []
def bruteforce_specularvisibility_shader_forward2(*arguments):
    assert len(arguments) == 12 and arguments[0].shape[1] == 3 and arguments[7].shape[0] == 3
    time.sleep(0.05)
def bruteforce_specularvisibility_shader_backward2(*arguments):
    assert len(arguments) == 14
    time.sleep(0.05)
"""


def test_packages_in_the_folder_are_timed_against_ours(tmp_path: Path):
    """A stand-in for upstream's shader shadows ours; what the folder lacks is ours twice and no row."""
    (tmp_path / "_diff_envshade.py").write_text(THEIRS)
    rows = compare(tmp_path, gaussians=50, size=32)
    assert {row.name for row in rows} == {"shading forward", "shading backward"}
    for row in rows:
        assert row.package == "_diff_envshade 7.1"
        assert row.file == str(tmp_path / "_diff_envshade.py")
        assert row.theirs > 50
        assert row.ours < row.theirs


def test_packages_that_do_not_run_are_named(tmp_path: Path):
    (tmp_path / "_diff_envshade.py").write_text("raise ImportError('built for another torch')")
    with pytest.raises(InputError, match=r"none of upstream's packages in .* runs"):
        compare(tmp_path, gaussians=50, size=32)


def test_a_folder_that_is_not_there(tmp_path: Path):
    with pytest.raises(InputError, match="is not a folder"):
        compare(tmp_path / "none")


def test_the_workload_is_that_of_the_table():
    """The picture is covered by about 36 percent, and a head of about 70,000 Gaussians fits into it."""
    world_to_camera, lens = ellipsoid_view(128)
    means, rotations, scales, opacities, colors = ellipsoid(20_000)
    still = torch.zeros(len(means), 3)
    cloud = PosedGaussians(means, rotations, scales, opacities, still, still[:, :1], still)
    drawn = splat(cloud, colors, world_to_camera, lens, antialias=False)
    assert 0.3 < float((drawn.alpha > 0.5).float().mean()) < 0.4
    avatar = bench_avatar(2000)
    pixels, depth = avatar.portrait.camera.project(avatar.neutral["position"])
    assert bool((depth > 0).all())
    assert float(((pixels > 0) & (pixels < 512)).all(1).float().mean()) > 0.9
    assert torch.isfinite(avatar.light.radiance).all()
