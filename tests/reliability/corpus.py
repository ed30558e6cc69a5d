"""All malformed inputs, and their table in docs/reliability.md, which `python -m tests.reliability.corpus` writes."""

from pathlib import Path

from tests.heads.pickle_attacks import attacks
from tests.importers.test_malformed import MALFORMED

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
    """The corpus as Markdown, and what the tests of pickles and imports add to it."""
    lines = ["| read as | what is wrong | the sentence contains |", "|---|---|---|"]
    lines += [_row(case.reader, case.problem, case.says) for case in CASES]
    lines += [_row(f"import of {layout}", name.split(": ")[-1], says) for name, (layout, _, says) in MALFORMED.items()]
    lines += [_row("pickle", name, "model.pkl") for name in attacks(Path("canary"))]
    return "\n".join(lines) + "\n"


def _row(reader: str, problem: str, says: str) -> str:
    return f"| {reader} | {problem} | `{says.strip()}` |".replace("\\", "")


def document_with_table(text: str) -> str:
    """`text` with the table between its marks."""
    before, rest = text.split(BEGIN)
    return before + BEGIN + table() + END + rest.split(END)[1]


if __name__ == "__main__":
    DOCUMENT.write_text(document_with_table(DOCUMENT.read_text(encoding="utf-8")), encoding="utf-8")
