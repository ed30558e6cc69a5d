"""Every option of `relight` and `animate` on the demo's avatar, through the program itself."""

from collections.abc import Iterator
from pathlib import Path

import imageio_ffmpeg
import pytest
import torch
import typer.main

from rgb_cli import console
from rgb_cli.app import app
from rgb_core.avatar import load_avatar
from rgb_core.errors import InputError
from rgb_core.images import read_png, write_hdr, write_png
from rgb_core.scene import Light

SIZE = 48


@pytest.fixture(autouse=True)
def _speaking() -> Iterator[None]:
    """Undo what a quiet command leaves in a process that goes on."""
    yield
    console._silent = False


def run(command: str, demo: tuple[Path, dict], out: Path, *options: str) -> Path:
    """Two small frames by a command, in this process."""
    given = {
        "relight": ["relight", demo[0] / "avatar", "--count", "2"],
        "animate": ["animate", demo[0] / "avatar", "--drive", demo[0] / "dataset", "--frames", "0:2"],
    }[command]
    small = [] if "--size" in options else ["--size", str(SIZE)]
    arguments = [*given, "-o", out, "--quiet", *small, *options]
    app([str(argument) for argument in arguments], prog_name="rgb", standalone_mode=False)
    return out


def frame(folder: Path, index: int = 1, channels: int = 3, layer: str = "frames") -> torch.Tensor:
    return read_png(folder / layer / f"{index:05d}.png", channels)


COMMANDS = ("relight", "animate")
CHANGES = {
    "--envmap": ["--envmap", "sun"],
    "--lamp": ["--lamp", "60,30,20,#ffc080,0.5"],
    "--yaw": ["-e", "sun", "--yaw", "120"],
    "--pitch": ["-e", "sun", "--pitch", "50"],
    "--turns": ["-e", "sun", "--turns", "3"],
    "--exposure": ["--exposure", "1"],
    "--background": ["--background", "#336699"],
    "--orbit": ["--orbit", "90"],
    "--zoom": ["--zoom", "1.5"],
    "--set": ["--set", "all.roughness=0.2", "--set", "all.tint=#3060ff"],
    "--no-visibility": ["--no-visibility"],
}


@pytest.fixture(scope="module")
def plain(demo: tuple[Path, dict], tmp_path_factory: pytest.TempPathFactory) -> dict[str, torch.Tensor]:
    """The second frame of both commands without options."""
    return {command: frame(run(command, demo, tmp_path_factory.mktemp("plain") / command)) for command in COMMANDS}


@pytest.mark.parametrize(
    ("command", "options"),
    [
        *((pytest.param("relight", options, id=f"relight {name}")) for name, options in CHANGES.items()),
        # The same code reads the options of both commands.
        pytest.param("animate", [*CHANGES["--lamp"], *CHANGES["--pitch"], *CHANGES["--set"]], id="animate, light"),
        pytest.param("animate", [*CHANGES["--orbit"], *CHANGES["--zoom"]], id="animate, camera"),
    ],
)
def test_options_change_the_picture(
    demo: tuple[Path, dict], plain: dict[str, torch.Tensor], tmp_path: Path, command: str, options: list[str]
):
    changed = frame(run(command, demo, tmp_path / "out", *options))
    assert changed.shape == (SIZE, SIZE, 3)
    assert float((changed - plain[command]).abs().mean()) > (3e-4 if options == ["--no-visibility"] else 3e-3)


@pytest.mark.parametrize("command", COMMANDS)
def test_the_light_is_the_avatars_own_by_default(
    demo: tuple[Path, dict], plain: dict[str, torch.Tensor], tmp_path: Path, command: str
):
    own = run(command, demo, tmp_path / "own", "-e", "own", "--background", "black")
    assert torch.equal(frame(own), plain[command])
    light = load_avatar(demo[0] / "avatar").light
    write_hdr(tmp_path / "own.hdr", light.radiance.permute(1, 2, 0))
    file = run(command, demo, tmp_path / "file", "-e", str(tmp_path / "own.hdr"), "--background", "black")
    if not light.carried:
        assert float((frame(file) - plain[command]).abs().max()) < 3 / 255  # the 8-bit mantissas of .hdr


def test_a_light_of_more_rows_gives_another_picture(demo: tuple[Path, dict], tmp_path: Path):
    coarse, usual, told = (
        frame(run("relight", demo, tmp_path / name, "-e", "sun", *options))
        for name, options in (
            ("coarse", ["--light-rows", "8"]),
            ("usual", []),
            ("told", ["--light-rows", "32"]),
        )
    )
    assert torch.equal(usual, told)
    assert float((coarse - usual).abs().mean()) > 3e-4


def test_a_list_and_a_folder_of_maps_are_blended_over_the_film(demo: tuple[Path, dict], tmp_path: Path):
    (tmp_path / "maps").mkdir()
    for name, light in (("a", "sun"), ("b", "ring")):
        write_hdr(tmp_path / "maps" / f"{name}.hdr", Light.load(light).radiance.permute(1, 2, 0))
    still = ["--turns", "0"]
    listed = run("relight", demo, tmp_path / "list", "-e", "sun", "-e", "ring", *still)
    folder = run("relight", demo, tmp_path / "folder", "-e", str(tmp_path / "maps"), *still)
    ring = run("relight", demo, tmp_path / "ring", "-e", "ring", *still)
    for index in range(2):
        assert float((frame(listed, index) - frame(folder, index)).abs().max()) < 4 / 255
    assert torch.equal(frame(listed, 1), frame(ring, 1))
    assert not torch.equal(frame(listed, 0), frame(ring, 0))


def test_a_camera_file_moves_the_camera(demo: tuple[Path, dict], plain: dict[str, torch.Tensor], tmp_path: Path):
    (tmp_path / "move.yaml").write_text("format: rgb-camera\nversion: 1\nkeys: [{at: 0}, {at: 1, azimuth: 40}]\n")
    out = run("animate", demo, tmp_path / "out", "--camera", str(tmp_path / "move.yaml"))
    assert float((frame(out) - plain["animate"]).abs().mean()) > 3e-3


def test_files_are_those_that_were_asked_for(demo: tuple[Path, dict], tmp_path: Path):
    options = ["--background", "none", "--format", "png,webm,prores", "--channels", "albedo", "--sheet", "--fps", "10"]
    out = run("animate", demo, tmp_path, *options)
    for name in ("frames", "albedo"):
        assert sorted(path.name for path in (out / name).iterdir()) == ["00000.png", "00001.png"]
        assert frame(out, channels=4, layer=name)[0, 0, 3] == 0
    for name in ("video.webm", "video.mov", "albedo.webm", "albedo.mov", "sheet.png"):
        assert (out / name).stat().st_size > 500
    assert next(imageio_ffmpeg.read_frames(str(out / "video.mov")))["fps"] == 10
    again = ["relight", demo[0] / "avatar", "-o", out]
    with pytest.raises(InputError, match="--force"):
        app([*map(str, again)], standalone_mode=False)


def test_without_a_rate_a_film_has_that_of_its_clip(demo: tuple[Path, dict], tmp_path: Path):
    from rgb_core.data import load_dataset

    out = run("animate", demo, tmp_path)
    assert next(imageio_ffmpeg.read_frames(str(out / "video.mp4")))["fps"] == load_dataset(demo[0] / "dataset").fps


def test_force_and_size_and_json(demo: tuple[Path, dict], tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    run("relight", demo, tmp_path)
    run("relight", demo, tmp_path, "--size", "32", "--force", "--json", "--device", "cpu")
    assert frame(tmp_path).shape == (32, 32, 3)
    assert '"frames": 2' in capsys.readouterr().out


def test_a_photograph_is_a_light_and_says_what_it_lost(demo: tuple[Path, dict], tmp_path: Path):
    sky = torch.full((32, 64, 3), 90, dtype=torch.uint8)
    sky[:4] = 255
    write_png(tmp_path / "sky.png", sky)
    with pytest.warns(UserWarning, match=r"12\.5% of its texels are at 255"):
        run("relight", demo, tmp_path / "out", "-e", str(tmp_path / "sky.png"))


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--background", "none", "--format", "mp4"], "mp4 holds no transparent pictures"),
        (["--background", "map", "--lamp", "0,0"], "lamps alone have none"),
        (["--camera", "move.yaml", "--orbit", "90"], "--orbit and --zoom cannot say it too"),
        (["--format", "png,png16"], "choose one of the two"),
        (["--format", "gif"], "there is no format 'gif'"),
        (["--channels", "normals"], "did you mean normal"),
        (["--lamp", "40"], "write azimuth,elevation"),
        (["--set", "lip.tint=red"], "did you mean lips"),
        (["--background", "sky"], "neither map, blur, none"),
        (["--envmap", "moon"], "no light is called 'moon'"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
@pytest.mark.parametrize("command", COMMANDS)
def test_what_means_nothing_or_excludes_each_other_is_refused_before_anything_is_drawn(
    demo: tuple[Path, dict],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    command: str,
    options: list[str],
    said: str,
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "move.yaml").write_text("format: rgb-camera\nversion: 1\nkeys: [{at: 0}]\n")
    with pytest.raises(InputError, match=said):
        run(command, demo, tmp_path / "out", *options)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("command", COMMANDS)
def test_every_option_has_an_example(command: str):
    """In its own help, or in an example of the command."""
    shown = typer.main.get_command(app).commands[command]
    examples = [line for line in shown.help.splitlines() if line.strip().startswith("Example: ")]
    for parameter in shown.params:
        if parameter.param_type_name == "option" and "--help" not in parameter.opts:
            words = [*examples, *(text for text in [parameter.help or ""] if "as in " in text)]
            assert any(name in text.split() for text in words for name in parameter.opts), parameter.opts
