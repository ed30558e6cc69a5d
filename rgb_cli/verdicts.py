"""The verdict on a tracked clip as a table, and what `--strict` makes of it."""

from collections.abc import Mapping
from typing import Any

from .console import Reporter


def judge(reporter: Reporter, quality: Mapping[str, Any], show: bool, strict: bool) -> None:
    """Print the findings of a clip's `quality.json`, the worst first, where `show`.

    Raises:
        InputError: with the worst finding where it is red and the command `strict`.
    """
    from rgb_core.errors import InputError
    from rgb_core.tracking.verdict import RED

    if show:
        findings = {f"{found['level']:6}  {found['about']}": found["sentence"] for found in quality["verdict"]}
        reporter.result("verdict on the clip", findings)
    worst = quality["verdict"][0]
    if strict and worst["level"] == RED:
        raise InputError(f"{worst['about']}: {worst['sentence']} (--strict)")
