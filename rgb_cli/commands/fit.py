"""`rgb fit`: from a video to an avatar, all stages in one folder."""

from ..console import Reporter
from ..options import Device, DeviceOption, Force, Json, OptionalPreset, Out, Quiet, Seed, Set
from ..verdicts import show_verdict, stop_at_red
from .track import End, Focal, Fps, HeadFile, Parsing, Size, Start, Strict, Stride, Video

_LIGHTS = ("studio", "sunset", "sun")
_LIGHT = "sunset"
_FRAMES = 48
_FPS = 24.0


def fit(
    video: Video,
    out: Out,
    head: HeadFile = None,
    focal: Focal = None,
    start: Start = 0.0,
    end: End = None,
    stride: Stride = 1,
    size: Size = 512,
    fps: Fps = None,
    parsing: Parsing = None,
    preset: OptionalPreset = None,
    overrides: Set = None,
    strict: Strict = False,
    seed: Seed = 0,
    device: DeviceOption = Device.auto,
    force: Force = False,
    quiet: Quiet = False,
    as_json: Json = False,
) -> None:
    """Track a video, fit its avatar, relight and evaluate it. Run again to continue after an interruption.

    Example: rgb fit clip.mp4 -o me
    """
    from rgb_core import pipeline
    from rgb_core.devices import resolve_device
    from rgb_core.evaluation import EvaluationOptions, evaluate
    from rgb_core.evaluation.relit_sheet import write_relit_sheet
    from rgb_core.exporting.sequence import write_sequence
    from rgb_core.exporting.web import write_page
    from rgb_core.fingerprints import files_in
    from rgb_core.heads import builtin_head, load_head
    from rgb_core.presets import default_preset, load_preset
    from rgb_core.rendering import Renderer, Staging, turntable
    from rgb_core.scene import Light
    from rgb_core.tracking import TrackingOptions, track

    where = resolve_device(device)
    settings = load_preset(preset or default_preset(where), overrides)
    model = load_head(head) if head else builtin_head()
    options = TrackingOptions(start, end, stride, size, focal, preview=True, fps=fps, parsing=parsing)
    reporter = Reporter(quiet, as_json)
    with reporter.live():
        tracked = track(video, out / "dataset", model, reporter, options, force=force)
    if not as_json:
        show_verdict(reporter, tracked.quality)
    if strict:
        stop_at_red(tracked.quality)
    with reporter.live():
        fitted = pipeline.fit(tracked.dataset, out, settings, reporter, seed, where, force)
        renderer = Renderer(fitted.avatar.to(where))
        drawn = files_in(out / "avatar")
        metrics = evaluate(
            fitted.dataset, renderer, out / "report", reporter, EvaluationOptions(drawn=drawn, force=force)
        )
        write_relit_sheet(out / "report" / "relit.png", fitted.dataset, renderer, _LIGHTS, reporter)
        staging = Staging(Light.load(_LIGHT), turns=1.0)
        shots = turntable(renderer.avatar, _FRAMES)
        film = write_sequence(renderer, shots, staging, out / "relit", _FPS, reporter, drawn, force)
        reporter.start("writing the page", 1)
        write_page(fitted.avatar, out / "head.html")
        reporter.advance()
    reporter.result(
        "avatar",
        {
            "page, open it in a browser": str(out / "head.html"),
            "avatar": str(out / "avatar"),
            **({"verdict": tracked.quality["verdict"]} if as_json else {}),
            "tracking": str(out / "dataset" / "preview.mp4"),
            "report": str(out / "report" / "report.html"),
            "relit": str(out / "report" / "relit.png"),
            "video": str(film.video),
            "test PSNR (dB)": metrics["reenactment"]["psnr"],
            "test PSNR on the head (dB)": metrics["reenactment"]["psnr_head"],
        },
    )
