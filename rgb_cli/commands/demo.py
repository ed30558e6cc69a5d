"""`rgb demo`: everything at once on a synthetic subject."""

from ..console import Reporter
from ..options import Device, DeviceOption, Force, Json, Out, Preset, Quiet, Seed, Set

_LIGHT = "sunset"
_FRAMES = 48
_FPS = 24.0


def demo(
    out: Out,
    preset: Preset = "demo",
    overrides: Set = None,
    seed: Seed = 0,
    device: DeviceOption = Device.auto,
    force: Force = False,
    quiet: Quiet = False,
    as_json: Json = False,
) -> None:
    """Make a synthetic clip, fit its avatar, relight and score it: a page to turn it in, a report and a video.

    Run again to continue after an interruption.

    Example: rgb demo -o demo
    """
    from rgb_core.devices import resolve_device
    from rgb_core.evaluation import EvaluationOptions, evaluate
    from rgb_core.exporting.sequence import write_sequence
    from rgb_core.exporting.web import write_page
    from rgb_core.fingerprints import files_in
    from rgb_core.pipeline import synthesize_and_fit
    from rgb_core.presets import load_preset
    from rgb_core.rendering import Renderer, Staging, turntable
    from rgb_core.scene import Light

    where = resolve_device(device)
    settings = load_preset(preset, overrides)
    reporter = Reporter(quiet, as_json)
    with reporter.live():
        fitted = synthesize_and_fit(out, settings, reporter, seed, where, force)
        renderer = Renderer(fitted.avatar.to(where))
        drawn = files_in(out / "avatar")
        metrics = evaluate(
            fitted.dataset, renderer, out / "report", reporter, EvaluationOptions(drawn=drawn, force=force)
        )
        staging = Staging(Light.load(_LIGHT), turns=1.0)
        shots = turntable(fitted.avatar, _FRAMES)
        film = write_sequence(renderer, shots, staging, out / "relit", _FPS, reporter, drawn, force)
        reporter.start("writing the page", 1)
        write_page(fitted.avatar, out / "head.html")
        reporter.advance()
    reporter.result(
        "demo",
        {
            "page, open it in a browser": str(out / "head.html"),
            "report": str(out / "report" / "report.html"),
            "contact sheet": str(out / "report" / "contact_sheet.png"),
            "video": str(film.video),
            "avatar": str(out / "avatar"),
            "test PSNR (dB)": metrics["reenactment"]["psnr"],
            "relit PSNR, one RGB scale (dB)": metrics["relight"]["mean"]["psnr_aligned"],
        },
    )
