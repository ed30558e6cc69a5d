"""`rgb fit`: from a video to an avatar, all stages in one folder."""

from ..console import Reporter
from ..options import Device, DeviceOption, Force, Json, OptionalPreset, Out, Quiet, Seed, Set, Torso
from ..verdicts import judge
from .track import End, Focal, Fps, HeadFile, Parsing, Size, Start, Strict, Stride, TorsoOption, Video, head_model

_LIGHTS = ("studio", "sunset", "sun")


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
    torso: TorsoOption = Torso.cut,
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
    from rgb_core.evaluation.relit_sheet import write_relit_sheet
    from rgb_core.presets import default_preset, load_preset
    from rgb_core.rendering import Renderer
    from rgb_core.tracking import TrackingOptions, track

    where = resolve_device(device)
    settings = load_preset(preset or default_preset(where), overrides)
    options = TrackingOptions(start, end, stride, size, focal, True, fps, parsing, torso is Torso.keep)
    reporter = Reporter(quiet, as_json)
    with reporter.live():
        tracked = track(video, out / "dataset", head_model(head), reporter, options, force=force)
    judge(reporter, tracked.quality, not as_json, strict)
    with reporter.live():
        fitted = pipeline.fit(tracked.dataset, out, settings, reporter, seed, where, force)
        shown = pipeline.show(fitted, out, reporter, where, force)
        sheet = out / "report" / "relit.png"
        write_relit_sheet(sheet, fitted.dataset, Renderer(fitted.avatar.to(where)), _LIGHTS, reporter)
    reporter.result(
        "avatar",
        {
            "page, open it in a browser": str(shown.page),
            "avatar": str(out / "avatar"),
            **({"verdict": tracked.quality["verdict"]} if as_json else {}),
            "tracking": str(out / "dataset" / "preview.mp4"),
            "report": str(shown.report),
            "relit": str(sheet),
            "video": str(shown.video),
            "poses of the test frames": shown.metrics["protocol"]["coefficients"],
            "test PSNR (dB)": shown.metrics["reenactment"]["psnr"],
            "test PSNR on the head (dB)": shown.metrics["reenactment"]["psnr_head"],
        },
    )
