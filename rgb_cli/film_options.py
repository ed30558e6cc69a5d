"""What `relight` and `animate` share: the options of a film, and the way from them to its files."""

import dataclasses
import functools
import inspect
import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, get_type_hints

import typer

from .console import Reporter
from .options import Device, DeviceOption, Force, Json, LightRows, LongerSide, NoVisibility, Quiet, within

if TYPE_CHECKING:
    from rgb_core.avatar import Avatar
    from rgb_core.filming import Plan
    from rgb_core.rendering import Shot

_LIGHT, _CAMERA, _FILES = "Light", "Camera and head", "Files"


def _option(*names: str, help: str, panel: str, low: float = 0, high: float = 0, metavar: str | None = None) -> Any:
    """An option of a film; with a range where one is given."""
    parser = within(low, high) if high > low else None
    return typer.Option(*names, help=help, rich_help_panel=panel, parser=parser, metavar=metavar)


@dataclass(frozen=True)
class FilmOptions:
    """The options of a film, each a field with its `typer.Option`; `with_film_options` adds them to a command."""

    envmap: Annotated[
        list[str] | None,
        _option(
            "--envmap", "-e", metavar="LIGHT", panel=_LIGHT,
            help="studio, window, sunset, ring, sun, own (the light the avatar was fitted under, the default), an "
            ".hdr, .exr, .png or .jpg panorama, or a folder of them, as in -e sunset. Several are blended over time: "
            "-e window -e sunset.",
        ),
    ] = None  # fmt: skip
    lamp: Annotated[
        list[str] | None,
        _option(
            "--lamp", metavar="LAMP", panel=_LIGHT,
            help="A round lamp: azimuth and elevation, size in degrees, colour, stops, as in "
            "--lamp 40,30,20,#ffe0c0,0. Alone, or added to --envmap. Repeatable.",
        ),
    ] = None  # fmt: skip
    yaw: Annotated[
        float,
        _option(
            "--yaw", low=-36000, high=36000, metavar="DEGREES", panel=_LIGHT,
            help="How far the light is turned: what is ahead of the face goes to the head's left, as in --yaw 90.",
        ),
    ] = 0.0  # fmt: skip
    pitch: Annotated[
        float,
        _option(
            "--pitch", low=-360, high=360, metavar="DEGREES", panel=_LIGHT,
            help="How far the light ahead of the face is raised, as in --pitch 20.",
        ),
    ] = 0.0  # fmt: skip
    turns: Annotated[
        float | None,
        _option(
            "--turns", low=-100, high=100, metavar="N", panel=_LIGHT,
            help="Full turns of the light over the film, as in --turns 2; default 1 for relight, 0 for animate.",
        ),
    ] = None  # fmt: skip
    exposure: Annotated[
        float,
        _option(
            "--exposure", low=-20, high=20, metavar="STOPS", panel=_LIGHT,
            help="Brighter, or darker where negative, as in --exposure -1.",
        ),
    ] = 0.0  # fmt: skip
    light_rows: LightRows = None
    no_visibility: NoVisibility = False
    background: Annotated[
        str | None,
        _option(
            "--background", metavar="WHAT", panel=_LIGHT,
            help="Behind the head: map (the panorama), blur, none (transparent), or a colour, as in "
            "--background '#203040'; default blur with --envmap, else black.",
        ),
    ] = None  # fmt: skip
    orbit: Annotated[
        float,
        _option(
            "--orbit", low=-3600, high=3600, metavar="DEGREES", panel=_CAMERA,
            help="The camera goes around the head, towards the head's left, as in --orbit 360.",
        ),
    ] = 0.0  # fmt: skip
    zoom: Annotated[
        float,
        _option(
            "--zoom", low=0.1, high=10, metavar="FACTOR", panel=_CAMERA,
            help="The focal length at the end, in units of that at the start, as in --zoom 1.5.",
        ),
    ] = 1.0  # fmt: skip
    camera: Annotated[
        Path | None,
        _option(
            "--camera", metavar="FILE", panel=_CAMERA,
            help="Keyframes of the camera in YAML, as in --camera move.yaml: azimuth, elevation, distance and zoom.",
        ),
    ] = None  # fmt: skip
    set_: Annotated[
        list[str] | None,
        _option(
            "--set", metavar="PART.WHAT=VALUE", panel=_CAMERA,
            help="Change a material: roughness, specular, tint, brightness or opacity of skin, face, ears, neck, lips, "
            "scalp, eyes, teeth, mouth or all, as in --set skin.roughness=0.4 or --set lips.tint=#aa3344. Repeatable.",
        ),
    ] = None  # fmt: skip
    size: LongerSide = None
    fps: Annotated[
        float | None,
        _option(
            "--fps", low=1, high=240, metavar="FPS", panel=_FILES,
            help="Frames per second, as in --fps 24; default those of the clip, or 25.",
        ),
    ] = None  # fmt: skip
    formats: Annotated[
        str | None,
        _option(
            "--format", metavar="NAMES", panel=_FILES,
            help="png, png16, exr (pictures), mp4, prores, webm (videos; the last two also transparent), as in "
            "--format exr,prores; default png,mp4, and png with --background none.",
        ),
    ] = None  # fmt: skip
    channels: Annotated[
        str | None,
        _option(
            "--channels", metavar="NAMES", panel=_FILES,
            help="Layers to keep as films of their own: albedo, normal, roughness, specular_albedo, diffuse, specular, "
            "irradiance, occlusion, as in --channels albedo,normal.",
        ),
    ] = None  # fmt: skip
    sheet: Annotated[
        bool, _option("--sheet", panel=_FILES, help="Also a contact sheet, sheet.png: frames side by side.")
    ] = False
    device: DeviceOption = Device.auto
    force: Force = False
    quiet: Quiet = False
    as_json: Json = False

    def plan(self, turns: float) -> "Plan":
        """What is asked for, with `turns` of the light where nobody says how many.

        Raises:
            InputError: for a word that means nothing, or options that exclude each other.
        """
        from rgb_core.filming import Background, Delivery, Lamp, Plan
        from rgb_core.filming.camera_moves import load_camera_path
        from rgb_core.filming.edits import Edit

        background = None if self.background is None else Background.parse(self.background)
        transparent = background is not None and background.transparent
        return Plan(
            maps=tuple(self.envmap or ()),
            lamps=tuple(Lamp.parse(text) for text in self.lamp or ()),
            yaw=math.radians(self.yaw),
            pitch=math.radians(self.pitch),
            turns=turns if self.turns is None else self.turns,
            exposure=self.exposure,
            background=background,
            orbit=math.radians(self.orbit),
            zoom=self.zoom,
            camera=None if self.camera is None else load_camera_path(self.camera),
            edits=tuple(Edit.parse(text) for text in self.set_ or ()),
            delivery=Delivery.of(self.formats, self.channels, self.sheet, transparent),
            size=self.size,
            fps=self.fps,
        )


def with_film_options(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command that takes `film: FilmOptions` the options of a film in its place, each with its own help.

    Typer reads options from the signature of a function and knows no groups of them. So the command gets a signature
    in which the parameter `film` is replaced by the fields of FilmOptions, and a call collects them again: to typer,
    and so to `--help`, completion and errors, they are options like all others.
    """
    hints = get_type_hints(FilmOptions, include_extras=True)
    keyword = inspect.Parameter.KEYWORD_ONLY
    shared = [
        inspect.Parameter(field.name, keyword, default=field.default, annotation=hints[field.name])
        for field in dataclasses.fields(FilmOptions)
    ]
    own = inspect.signature(command, eval_str=True)
    kept = [parameter.replace(kind=keyword) for name, parameter in own.parameters.items() if name != "film"]

    @functools.wraps(command)
    def merged(**values: Any) -> None:
        film = FilmOptions(**{parameter.name: values.pop(parameter.name) for parameter in shared})
        command(film=film, **values)

    del merged.__wrapped__  # type: ignore[attr-defined]  # whoever follows it finds the signature without the options
    merged.__signature__ = inspect.Signature([*kept, *shared])  # type: ignore[attr-defined]
    merged.__annotations__ = {parameter.name: parameter.annotation for parameter in (*kept, *shared)}
    return merged


def make_film(
    avatar: Path,
    out: Path,
    film: FilmOptions,
    motion: "Callable[[Avatar], tuple[list[Shot], float]]",
    title: str,
    turns: float = 0.0,
) -> None:
    """Draw a film and say what was written.

    Args:
        motion: the shots of an avatar, and how many there are a second.
        title: what has been done to the avatar.
        turns: of the light, where nobody says how many.
    """
    from rgb_core.devices import start_device

    device = start_device(film.device)  # while the rest is imported and read

    from rgb_core.avatar import load_avatar
    from rgb_core.filming import write_film
    from rgb_core.fingerprints import files_in
    from rgb_core.rendering import Renderer

    plan = film.plan(turns)
    model = plan.avatar(load_avatar(avatar))
    shots, rate = motion(model)
    planned = plan.film(model, shots, rate)
    renderer = Renderer(model.to(device.result()), False if film.no_visibility else None, film.light_rows)
    drawn = [files_in(avatar), film.no_visibility, film.light_rows, film.set_ or []]
    reporter = Reporter(film.quiet, film.as_json)
    with reporter.live():
        files = write_film(planned, renderer, out, drawn, reporter, film.force)
    videos = {"video": str(files.videos[0])} if files.videos else {}
    reporter.result(title, {**videos, "frames": files.frames, "folder": str(files.folder)})
