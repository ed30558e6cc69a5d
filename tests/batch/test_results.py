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
from rgb_core.batch.results import more_is_better, spreads
from rgb_core.images import write_png

TAKEN = Taken(seconds=2.5, memory_mb=600.0, gpu_mb=0.0, disk_mb=1.5, device="a CPU")
EVIL = "<script>alert('x')</script>"


def test_the_worst_score_is_the_smallest_or_the_largest_by_what_the_score_means():
    scores = {
        "a": {"reenactment.psnr": 30.0, "normal.skin_deg": 8.0},
        "b": {"reenactment.psnr": 26.0, "normal.skin_deg": 4.0},
        "c": {"reenactment.psnr": 28.0},
    }
    found = spreads(scores)
    psnr, angle = found["reenactment.psnr"], found["normal.skin_deg"]
    assert (psnr.mean, psnr.worst, psnr.subject, psnr.count) == (28.0, 26.0, "b", 3)
    assert psnr.spread == pytest.approx(2.0)
    assert (angle.mean, angle.worst, angle.subject, angle.count) == (6.0, 8.0, "a", 2)


@pytest.mark.parametrize(
    ("score", "more"),
    [
        ("relight.mean.ssim_aligned", True),
        ("mesh.silhouette_iou", True),
        ("parts.relight.hair", True),
        ("reenactment.lpips", False),
        ("reenactment.mae", False),
        ("light.irradiance_error", False),
    ],
)
def test_which_scores_are_better_when_larger(score: str, more: bool):
    assert more_is_better(score) is more


class Page(HTMLParser):
    """The tags of a page with their attributes."""

    def __init__(self, text: str):
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.feed(text)

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


def test_a_record_is_that_of_its_row_alone(tmp_path: Path):
    record = SubjectRecord("row", {"eval": TAKEN}, False, Failure("relight", "no"))
    record.save(tmp_path)
    assert load_record(tmp_path, "row") == record
    assert load_record(tmp_path, "another row") == SubjectRecord("another row")
    (tmp_path / "batch.json").write_text("[")
    assert load_record(tmp_path, "row") == SubjectRecord("row")
