"""`rgb compare`: two evaluated runs side by side."""

from pathlib import Path
from typing import Annotated

import typer

from ..console import Reporter
from ..options import Json, Quiet

_REPORT = "Folder with a report: written by eval, or a whole run of demo or fit."


def compare(
    a: Annotated[Path, typer.Argument(metavar="A", help=_REPORT)],
    b: Annotated[Path, typer.Argument(metavar="B", help=f"The other one, of the same dataset. {_REPORT}")],
    out: Annotated[Path, typer.Option("--out", "-o", help="The .html file to write.")],
    quiet: Quiet = False,
    as_json: Json = False,
) -> None:
    """Put two runs on one page: a slider over every picture, and a table of their scores with differences.

    Example: rgb compare plain refined -o compare.html
    """
    from rgb_core.evaluation.compare import compare_runs

    differences = compare_runs(a, b, out)
    rows = [
        {
            "group": difference.a.group,
            "score": difference.a.label,
            "a": difference.a.value,
            "b": difference.b.value,
            "difference": difference.change,
        }
        for difference in differences
    ]
    columns = {"group": "", "score": "score", "a": str(a), "b": str(b), "difference": "B - A"}
    Reporter(quiet, as_json).table(str(out), columns, rows)
