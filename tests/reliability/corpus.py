"""All malformed inputs, which `python -m tests.reliability.corpus` lists, and their table in docs/reliability.md."""

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


def rows() -> list[tuple[str, str, str]]:
    """What reads each input, what is wrong with it, and a part of the sentence; imports and pickles as well."""
    found = [(case.reader, case.problem, case.says) for case in CASES]
    found += [(f"import of {layout}", name.split(": ")[-1], says) for name, (layout, _, says) in MALFORMED.items()]
    found += [("pickle", name, "model.pkl") for name in attacks(Path("canary"))]
    return [(reader, problem, says.strip().replace("\\", "")) for reader, problem, says in found]


def table() -> str:
    """How many inputs each reader is given, with the one in the middle as an example, as Markdown."""
    lines = ["| read as | inputs | one of them | its sentence contains |", "|---|---|---|---|"]
    readers: dict[str, list[tuple[str, str]]] = {}
    for reader, problem, says in rows():
        readers.setdefault(reader, []).append((problem, says))
    for reader, given in readers.items():
        problem, says = given[len(given) // 2]
        lines.append(f"| {reader} | {len(given)} | {problem} | `{says}` |")
    return "\n".join(lines) + "\n"


def document_with_table(text: str) -> str:
    """`text` with the table between its marks."""
    before, rest = text.split(BEGIN)
    return before + BEGIN + table() + END + rest.split(END)[1]


if __name__ == "__main__":
    print("\n".join(" | ".join(row) for row in rows()))
    DOCUMENT.write_text(document_with_table(DOCUMENT.read_text(encoding="utf-8")), encoding="utf-8")
