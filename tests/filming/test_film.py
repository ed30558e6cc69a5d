"""Films on disk: what the light does to linear pictures, formats read again, and runs that were interrupted."""

import math
import subprocess
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import imageio_ffmpeg
import numpy as np
import OpenEXR
import pytest
import torch

from rgb_core.avatar import Avatar
from rgb_core.benchmarking.scenes import bench_avatar
from rgb_core.errors import InputError
from rgb_core.filming import BLACK, BLUR, Background, Delivery, Film, Lamp, Plan, Staging, draw, write_film
from rgb_core.filming import film as film_module
from rgb_core.filming.backgrounds import Backdrop
from rgb_core.images import read_png
from rgb_core.output_folder import MARKER
from rgb_core.progress import Silent
from rgb_core.rendering import Renderer, Shot, at_size, turntable
from rgb_core.scene import Light

SIZE, COUNT, FPS = 48, 3, 12.0
NONE = Background.parse("none")


@pytest.fixture(scope="module")
def avatar() -> Avatar:
    return bench_avatar(1500)


@pytest.fixture(scope="module")
def renderer(avatar: Avatar) -> Renderer:
    return Renderer(avatar)


def shots(avatar: Avatar, count: int = COUNT) -> list[Shot]:
    return at_size(turntable(avatar, count), SIZE)


def linear(renderer: Renderer, staging: Staging, count: int = 1) -> list[torch.Tensor]:
    return [drawn["frames"].pixels for drawn in draw(renderer, shots(renderer.avatar, count), staging)]


def film(avatar: Avatar, formats: Sequence[str] = ("png", "mp4"), count: int = COUNT, **changes) -> Film:
    staging = Staging((Light.load("window"),), turns=1, **changes)
    return Film(shots(avatar, count), FPS, staging, Delivery(tuple(formats)))


def test_an_even_light_may_turn_as_it_likes(renderer: Renderer):
    """The sum over texels that stand elsewhere, and shadows found at them, differ by a few parts in a thousand."""
    even = (Light(torch.full((3, 16, 32), 0.7)),)
    (still,) = linear(renderer, Staging(even, background=BLACK))
    for yaw, pitch in ((0.6, 0.0), (2.5, 0.4)):
        (turned,) = linear(renderer, Staging(even, yaw=yaw, pitch=pitch, background=BLACK))
        assert float((turned - still).abs().max()) < 0.02 * float(still.max())
        assert float(turned.mean()) == pytest.approx(float(still.mean()), rel=5e-3)


def test_twice_the_light_is_twice_the_picture(renderer: Renderer, tmp_path: Path):
    """By a stop of exposure and by a map twice as bright, in the EXR files, far above white too."""
    light, delivery = Light.load("sun"), Delivery(("exr",))
    stagings = {
        "once": Staging((light,), background=BLACK, exposure=3),
        "stop": Staging((light,), background=BLACK, exposure=4),
        "map": Staging((Light(2 * light.radiance),), background=BLACK, exposure=3),
    }
    pictures = {}
    for name, staging in stagings.items():
        made = Film(shots(renderer.avatar, 1), FPS, staging, delivery)
        write_film(made, renderer, tmp_path / name, [], Silent())
        with OpenEXR.File(str(tmp_path / name / "frames" / "00000.exr")) as file:
            pictures[name] = file.channels()["RGB"].pixels
    assert pictures["once"].max() > 1
    for name in ("stop", "map"):
        np.testing.assert_allclose(pictures[name], 2 * pictures["once"], rtol=1e-5, atol=1e-6)


def test_a_lamp_lights_the_side_where_it_stands(renderer: Renderer):
    """Azimuth 90 is the head's left, which is on the right of a picture of its face."""
    for azimuth, bright in ((90, 1), (-90, 0)):
        (lamp,) = Plan(lamps=(Lamp.parse(f"{azimuth},0,20"),)).film(renderer.avatar, [], FPS).staging.lights
        (picture,) = linear(renderer, Staging((lamp,), background=BLACK))
        halves = [float(half.mean()) for half in picture.split(SIZE // 2, dim=1)]
        assert halves[bright] > 1.5 * halves[1 - bright]


def test_backgrounds_are_what_they_are_called(renderer: Renderer):
    pattern = Light(0.5 * torch.rand(3, 64, 128, generator=torch.Generator().manual_seed(7)))
    pictures = {
        name: linear(renderer, Staging((pattern,), background=Background.parse(name), exposure=1))[0]
        for name in ("none", "map", "blur", "#336699", "black")
    }
    alpha = pictures["none"][..., 3:]
    assert bool((alpha[0] == 0).all())
    torch.testing.assert_close(pictures["none"][..., :3], pictures["black"])
    blue = torch.tensor([0.0331048, 0.1328683, 0.3185468])  # #336699, whatever the exposure
    torch.testing.assert_close(pictures["#336699"] - pictures["black"], (1 - alpha) * blue, atol=1e-5, rtol=0)
    camera = shots(renderer.avatar)[0].camera.with_scaled_focal(renderer.avatar.focal_scale)
    behind = (2 * pattern.background(camera)).clamp(max=1)
    torch.testing.assert_close(pictures["map"] - pictures["black"], (1 - alpha) * behind, atol=1e-5, rtol=0)
    sharp, soft = (pictures[name][0] for name in ("map", "blur"))  # the top row, above the head
    assert float(soft.diff(dim=0).abs().mean()) < 0.3 * float(sharp.diff(dim=0).abs().mean())
    assert float(soft.mean()) == pytest.approx(float(sharp.mean()), rel=0.1)


def test_a_blurred_sun_has_no_dark_ring(renderer: Renderer):
    sky, sun = torch.tensor([0.1, 0.2, 0.3]), torch.tensor([1e4, 4e3, 1e3])
    radiance = sky.view(3, 1, 1).expand(3, 128, 256).clone()
    camera = renderer.avatar.portrait.camera
    forward = camera.world_to_camera[2, :3]
    azimuth = float(torch.atan2(forward[2], forward[0])) / (2 * math.pi) % 1
    radiance[:, 60:63, int(256 * azimuth) % 256] = sun[:, None]
    picture = Backdrop(BLUR).picture(Light(radiance), camera, 1.0)
    assert float(picture.max()) == 1  # the sun is in it
    assert bool((picture >= 0.999 * sky).all())


@pytest.mark.parametrize("background", ["none", "black"])
def test_every_format_holds_the_same_picture(renderer: Renderer, tmp_path: Path, background: str):
    behind = Background.parse(background)
    sequences = ("png", "png16", "exr")
    for name in sequences:
        made = replace(film(renderer.avatar, (name,)), staging=Staging((Light.load("window"),), background=behind))
        write_film(made, renderer, tmp_path / name, [], Silent())
    channels = 4 if background == "none" else 3
    png = read_png(tmp_path / "png" / "frames" / "00001.png", channels)
    (drawn,) = [*draw(renderer, shots(renderer.avatar)[1:2], made.staging)]
    words = drawn["frames"].encoded(65535) / 65535
    torch.testing.assert_close(png, words, atol=0.51 / 255, rtol=0)
    with OpenEXR.File(str(tmp_path / "exr" / "frames" / "00001.exr")) as file:
        stored = file.channels()["RGBA"[:channels]].pixels
    assert np.array_equal(stored, drawn["frames"].pixels.numpy())
    assert np.array_equal(read16(tmp_path / "png16" / "frames" / "00001.png", channels), (words * 65535).int().numpy())


def read16(path: Path, channels: int) -> np.ndarray:
    """The words of a 16-bit PNG as ffmpeg reads it."""
    kind = {3: "rgb48le", 4: "rgba64le"}[channels]
    return decoded(path, kind, np.uint16, channels)[0]


def decoded(path: Path, kind: str, dtype: type, channels: int, *options: str) -> np.ndarray:
    program = imageio_ffmpeg.get_ffmpeg_exe()
    command = [program, "-v", "error", *options, "-i", path, "-f", "rawvideo", "-pix_fmt", kind, "-"]
    raw = subprocess.run(command, capture_output=True, check=True, timeout=60).stdout
    return np.frombuffer(raw, dtype).reshape(-1, SIZE, SIZE, channels)


@pytest.mark.parametrize(
    ("name", "suffix", "options"), [("prores", "mov", ()), ("webm", "webm", ("-c:v", "libvpx-vp9"))]
)
def test_a_transparent_video_keeps_its_alpha_its_colours_and_its_rate(
    renderer: Renderer, tmp_path: Path, name: str, suffix: str, options: tuple[str, ...]
):
    made = film(renderer.avatar, ("png", name), background=NONE)
    files = write_film(made, renderer, tmp_path, [], Silent())
    assert files.videos == (tmp_path / f"video.{suffix}",)
    pictures = decoded(files.videos[0], "rgba", np.uint8, 4, *options)
    assert len(pictures) == COUNT
    for index, picture in enumerate(pictures):
        truth = read_png(tmp_path / "frames" / f"{index:05d}.png", 4, dtype=torch.uint8).numpy()
        error = np.abs(picture.astype(int) - truth)
        assert error[..., 3].mean() < 3
        solid = truth[..., 3] > 250
        assert error[solid][:, :3].mean() < 6  # coding, and one sample of colour for four pixels in a webm
    said = subprocess.run(
        [imageio_ffmpeg.get_ffmpeg_exe(), "-i", files.videos[0]], capture_output=True, text=True
    ).stderr
    assert "bt709" in said
    assert f"{FPS:g} fps" in said


def test_layers_are_films_of_their_own_and_mean_what_they_say(renderer: Renderer, tmp_path: Path):
    made = replace(film(renderer.avatar), delivery=Delivery(("exr", "mp4"), ("albedo", "normal", "occlusion"), True))
    write_film(made, renderer, tmp_path, [], Silent())
    names = {path.name for path in tmp_path.iterdir() if not path.name.startswith(".")}
    layers = {"albedo", "normal", "occlusion"}
    assert names == {"frames", "video.mp4", "sheet.png", *layers, *(f"{name}.mp4" for name in layers)}
    with OpenEXR.File(str(tmp_path / "normal" / "00000.exr")) as file:
        normal = file.channels()["RGB"].pixels
    (drawn,) = [*draw(renderer, made.shots[:1], replace(made.staging, background=NONE), ("normal",))]
    solid = drawn["frames"].pixels[..., 3].numpy() > 0.99
    lengths = np.linalg.norm(normal[solid], axis=1)
    assert solid.sum() > 100
    assert 0.8 < np.median(lengths) <= 1.001
    assert normal[solid][:, 2].mean() > 0.3  # the face looks along +z
    sheet = read_png(tmp_path / "sheet.png", 3)
    assert sheet.shape[1] > 3 * 192
    assert sheet.shape[0] > 4 * 192


def test_exposure_brightens_light_and_no_other_layer(renderer: Renderer):
    layers = ("diffuse", "irradiance", "albedo", "roughness")
    once, twice = (
        next(draw(renderer, shots(renderer.avatar, 1), Staging(background=BLACK, exposure=stops), layers))
        for stops in (0, 1)
    )
    for name, factor in zip(layers, (2, 2, 1, 1), strict=True):
        torch.testing.assert_close(twice[name].pixels, factor * once[name].pixels)


def drawn_numbers(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Collects the first number of every drawing."""
    numbers: list[int] = []

    def noting(renderer, shots, staging, layers=(), first=0):
        numbers.append(first)
        return draw(renderer, shots, staging, layers, first)

    monkeypatch.setattr(film_module, "draw", noting)
    return numbers


def interrupt(folder: Path, lost: Sequence[str]) -> None:
    """Leave a finished film as a run leaves it that is killed."""
    marker = folder / MARKER
    marker.write_text(marker.read_text().replace('"finished": true', '"finished": false'))
    for name in lost:
        (folder / name).unlink()


@pytest.mark.parametrize(
    ("formats", "first"),
    [(("png", "mp4"), 1), (("png",), 1), (("exr",), 1), (("exr", "mp4"), 0), (("png", "prores"), 0)],
)
def test_an_interrupted_film_continues_to_the_same_files(
    renderer: Renderer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, formats: tuple[str, ...], first: int
):
    """Pictures on disk are not drawn again unless a video needs more of them than they hold."""
    made = film(renderer.avatar, formats, background=BLUR)
    write_film(made, renderer, tmp_path, [], Silent())
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.suffix in (".png", ".mp4")}
    suffix = "exr" if "exr" in formats else "png"
    videos = [path.name for path in tmp_path.glob("video.*")]
    interrupt(tmp_path, [f"frames/00001.{suffix}", *videos])
    numbers = drawn_numbers(monkeypatch)
    write_film(made, renderer, tmp_path, [], Silent())
    assert numbers == [first]
    assert {path: path.read_bytes() for path in before} == before
    write_film(made, renderer, tmp_path, [], Silent())
    assert numbers == [first]  # finished: nothing is drawn


def test_no_frame_of_a_longer_film_stays(renderer: Renderer, tmp_path: Path):
    write_film(film(renderer.avatar, count=4), renderer, tmp_path, [], Silent())
    interrupt(tmp_path, ["video.mp4"])
    with pytest.raises(InputError, match="--force"):
        write_film(film(renderer.avatar, count=2), renderer, tmp_path, [], Silent())
    write_film(film(renderer.avatar, count=2), renderer, tmp_path, [], Silent(), force=True)
    assert sorted(path.name for path in (tmp_path / "frames").iterdir()) == ["00000.png", "00001.png"]
    assert imageio_ffmpeg.count_frames_and_secs(str(tmp_path / "video.mp4"))[0] == 2


def test_a_disk_that_fails_is_one_sentence(renderer: Renderer, tmp_path: Path):
    (tmp_path / "out").mkdir()
    made = film(renderer.avatar, ("png",))

    def spoil(*_: object) -> None:
        (tmp_path / "out" / "frames").write_text("in the way")

    progress = Silent()
    progress.start = spoil  # type: ignore[method-assign]
    with pytest.raises(InputError, match="cannot write"):
        write_film(made, renderer, tmp_path / "out", [], progress)


@pytest.mark.parametrize(
    ("formats", "channels", "said"),
    [
        (("mp5",), (), "did you mean mp4"),
        (("png",), ("normals",), "did you mean normal"),
        (("png", "png16"), (), "choose one of the two"),
        ((), (), "at least one format"),
    ],
)
def test_what_cannot_be_kept_is_refused(formats: tuple[str, ...], channels: tuple[str, ...], said: str):
    with pytest.raises(InputError, match=said):
        Delivery(formats, channels)


def test_options_that_exclude_each_other_are_refused_before_an_avatar_is_read():
    with pytest.raises(InputError, match=r"mp4 holds no transparent pictures.*png, png16, exr, prores, webm"):
        Plan(background=NONE)
    with pytest.raises(InputError, match="lamps alone have none"):
        Plan(lamps=(Lamp(0, 0),), background=Background.parse("map"))
    with pytest.raises(InputError, match="neither map, blur, none"):
        Background.parse("moon")
