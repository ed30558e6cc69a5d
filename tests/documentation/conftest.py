"""What the pages call `demo`: an avatar that no fit has touched and a clip that it was drawn into, made in a second."""

from pathlib import Path

import pytest

from rgb_core import DatasetWriter, Light, Renderer, save_avatar
from rgb_core.benchmarking.scenes import bench_avatar

GAUSSIANS, SIDE, FRAMES = 800, 48, 4


@pytest.fixture(scope="session")
def demo_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`demo/avatar` and `demo/dataset` below a folder."""
    folder = tmp_path_factory.mktemp("documentation")
    avatar = bench_avatar(GAUSSIANS)
    save_avatar(avatar, folder / "demo/avatar", {"made": "by the tests"})
    camera = avatar.portrait.camera.resized(SIDE, SIDE)
    renderer = Renderer(avatar)
    writer = DatasetWriter(folder / "demo/dataset", "demo", (SIDE, SIDE), 25.0, avatar.head)
    for index in range(FRAMES):
        pose = avatar.portrait_pose(jawOpen=index / FRAMES)
        picture = renderer.render(pose, camera, Light.load("studio")).to_rgba()
        writer.add_frame(f"{index:05d}", "test" if index == FRAMES - 1 else "train", camera, pose, picture)
    writer.finish()
    return folder


@pytest.fixture
def beside_demo(demo_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder but for `demo`, and the current one."""
    (tmp_path / "demo").symlink_to(demo_folder / "demo")
    monkeypatch.chdir(tmp_path)
    return tmp_path
