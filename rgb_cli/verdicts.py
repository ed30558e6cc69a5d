"""The verdict on a tracked clip as a table, and what `--strict` makes of it."""

from collections.abc import Mapping
from typing import Any

from .console import Reporter


def show_verdict(reporter: Reporter, quality: Mapping[str, Any]) -> None:
    """Print the findings of a clip's `quality.json`, the worst first."""
    findings = {f"{found['level']:6}  {found['about']}": found["sentence"] for found in quality["verdict"]}
    reporter.result("verdict on the clip", findings)


def stop_at_red(quality: Mapping[str, Any]) -> None:
    """Raise an InputError with the worst finding where it is red."""
    from rgb_core.errors import InputError
    from rgb_core.tracking.verdict import RED

    first = quality["verdict"][0]
    if first["level"] == RED:
        raise InputError(f"{first['about']}: {first['sentence']} (--strict)")
