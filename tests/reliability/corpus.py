"""All malformed inputs, and their table in docs/reliability.md, which `python -m tests.reliability.corpus` writes."""

from pathlib import Path

from . import archive_cases, dataset_cases, fit_cases, head_cases, image_cases
from .cases import Case

CASES: list[Case] = [
    *dataset_cases.CASES,
    *head_cases.CASES,
    *fit_cases.CASES,
    *image_cases.CASES,
    *archive_cases.CASES,
]
DOCUMENT = Path(__file__).parents[2] / "docs" / "reliability.md"
BEGIN, END = "<!-- corpus: written by python -m tests.reliability.corpus -->\n", "<!-- end of corpus -->\n"


def table() -> str:
    """The corpus as Markdown."""
    lines = ["| read as | what is wrong | the sentence contains |", "|---|---|---|"]
    lines += [f"| {case.reader} | {case.problem} | `{case.says.strip()}` |" for case in CASES]
    return f"{len(CASES)} inputs.\n\n" + "\n".join(lines) + "\n"


def document_with_table(text: str) -> str:
    """`text` with the table between its marks."""
    before, rest = text.split(BEGIN)
    return before + BEGIN + table() + END + rest.split(END)[1]


if __name__ == "__main__":
    DOCUMENT.write_text(document_with_table(DOCUMENT.read_text(encoding="utf-8")), encoding="utf-8")
