"""What a batch leaves: the spread of every score, the table, and a page that needs no network and believes no name."""

import csv
import json
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest
import torch

from rgb_core.batch.records import Failure, SubjectRecord, Taken, load_record
from rgb_core.batch.report import write_report
from rgb_core.batch.results import spreads, subject_scores
from rgb_core.images import write_png

TAKEN = Taken(seconds=2.5, memory_mb=600.0, gpu_mb=0.0, disk_mb=1.5, device="a CPU")
EVIL = "<script>alert('x')</script>"


def test_the_worst_score_is_the_smallest_or_the_largest_by_what_the_score_means(tmp_path: Path):
    subjects = {
        "a": {"reenactment": {"psnr": 30.0}, "normal": {"skin_deg": 8.0}, "light": {"brightest_deg": float("inf")}},
        "b": {"reenactment": {"psnr": 26.0}, "normal": {"skin_deg": 4.0}, "speed": {"fps": 9.0}},
        "c": {"reenactment": {"psnr": 28.0, "ssim": None}, "no_such_group": {"psnr": 1.0}},
    }
    for name, metrics in subjects.items():
        (tmp_path / name / "report").mkdir(parents=True)
        (tmp_path / name / "report" / "metrics.json").write_text(json.dumps(metrics))
    found = spreads({name: subject_scores(tmp_path / name) for name in [*subjects, "never scored"]})
    assert set(found) == {"reenactment.psnr", "normal.skin_deg"}
    psnr, angle = found["reenactment.psnr"], found["normal.skin_deg"]
    assert (psnr.mean, psnr.worst, psnr.subject, psnr.count) == (28.0, 26.0, "b", 3)
    assert psnr.spread == pytest.approx(2.0)
    assert (angle.mean, angle.worst, angle.subject, angle.count) == (6.0, 8.0, "a", 2)


class Page(HTMLParser):
    """The tags of a page with their attributes."""

    def __init__(self, text: str):
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        """What people read, without scripts and styles."""
        self.feed(text)

    def handle_data(self, data: str) -> None:
        if self.tags and self.tags[-1][0] not in ("script", "style"):
            self.words.append(data)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))


@pytest.fixture
def batch(tmp_path: Path) -> Path:
    """A finished subject with a picture and scores, and one that failed with a sentence that looks like a script."""
    metrics = {"format": "rgb-metrics", "reenactment": {"psnr": 31.5, "lpips": None}, "speed": {"fps": 9.0}}
    report = tmp_path / "good" / "report"
    write_png(report / "pictures" / "reenactment_0_prediction.png", torch.full((40, 30, 3), 90, dtype=torch.uint8))
    (report / "metrics.json").write_text(json.dumps(metrics))
    (report / "report.html").write_text("")
    good = SubjectRecord("e", {"fit-geometry": TAKEN}, finished=True)
    bad = SubjectRecord("f", {}, failure=Failure("track", EVIL))
    write_report(tmp_path, {"good": good, "bad": bad})
    return tmp_path


def test_the_table_has_a_row_per_subject_with_scores_and_costs(batch: Path):
    rows = {row["subject"]: row for row in csv.DictReader((batch / "results.csv").open())}
    assert rows["good"]["state"] == "finished"
    assert float(rows["good"]["reenactment.psnr"]) == 31.5
    assert float(rows["good"]["fit-geometry seconds"]) == 2.5
    assert rows["bad"] | {"state": "failed", "stage": "track", "sentence": EVIL} == rows["bad"]
    assert rows["bad"]["reenactment.psnr"] == ""
    assert not {"speed.fps", "reenactment.lpips"} & rows["good"].keys()


def test_the_page_reaches_for_nothing_outside_and_shows_names_as_they_are(batch: Path):
    text = (batch / "index.html").read_text()
    page = Page(text)
    assert EVIL not in text
    assert [tag for tag, _ in page.tags].count("script") == 1
    assert not re.findall(r"(?:src|href)=[\"']?(?:https?:)?//|url\(|@import", text)
    sources = [attributes["src"] or "" for tag, attributes in page.tags if tag == "img"]
    assert len(sources) == 1
    assert sources[0].startswith("data:image/jpeg;base64,")
    links = [attributes["href"] or "" for tag, attributes in page.tags if tag == "a"]
    assert links
    assert all((batch / link).is_file() for link in links)
    cards = {attributes["data-name"]: attributes for tag, attributes in page.tags if tag == "article"}
    assert json.loads(cards["good"]["data-scores"] or "") == {"reenactment.psnr": 31.5, "seconds": 2.5}
    assert cards["bad"]["class"] == "card failed"


def test_the_page_names_scores_in_words_with_their_units(batch: Path):
    page = Page((batch / "index.html").read_text())
    text = " ".join(page.words)
    assert "reenactment" not in text
    assert "psnr" not in text
    assert text.count("31.5\N{NO-BREAK SPACE}dB") == 3  # on the card, and as mean and worst in the table
    assert [attributes["label"] for tag, attributes in page.tags if tag == "optgroup"] == ["Test frames, as filmed"]


def test_a_record_is_that_of_its_row_alone(tmp_path: Path):
    record = SubjectRecord("row", {"eval": TAKEN}, False, Failure("relight", "no"))
    record.save(tmp_path)
    assert load_record(tmp_path, "row") == record
    assert load_record(tmp_path, "another row") == SubjectRecord("another row")
    (tmp_path / "batch.json").write_text("[")
    assert load_record(tmp_path, "row") == SubjectRecord("row")
