"""What a batch leaves for people and programs: results.csv, summary.csv and index.html."""

from collections.abc import Mapping
from pathlib import Path

from .index_page import write_index
from .records import SubjectRecord
from .results import subject_scores, write_results


def write_report(out: Path, records: Mapping[str, SubjectRecord]) -> None:
    """Write the results of the subjects, which lie in `out`/NAME, and the page that shows them."""
    scores = {name: own for name in records if (own := subject_scores(out / name))}
    write_results(out, records, scores)
    write_index(out, records, scores)
