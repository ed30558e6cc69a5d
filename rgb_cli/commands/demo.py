"""`rgb demo`: everything at once on a synthetic subject."""

from ..console import Reporter
from ..options import Device, DeviceOption, Force, Json, Out, Preset, Quiet, Seed, Set


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
    from rgb_core.pipeline import show, synthesize_and_fit
    from rgb_core.presets import load_preset

    where = resolve_device(device)
    settings = load_preset(preset, overrides)
    reporter = Reporter(quiet, as_json)
    with reporter.live():
        fitted = synthesize_and_fit(out, settings, reporter, seed, where, force)
        shown = show(fitted, out, reporter, where, force)
    reporter.result(
        "demo",
        {
            "page, open it in a browser": str(shown.page),
            "report": str(shown.report),
            "contact sheet": str(out / "report" / "contact_sheet.png"),
            "video": str(shown.video),
            "avatar": str(out / "avatar"),
            "test PSNR (dB)": shown.metrics["reenactment"]["psnr"],
            "relit PSNR, one RGB scale (dB)": shown.metrics["relight"]["mean"]["psnr_aligned"],
        },
    )
