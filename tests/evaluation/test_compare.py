"""Two runs on one page: what is compared, which way is better, and what cannot be compared."""

import json
import re
import shutil

import pytest
import torch
from evaluation_scenes import LIGHTS, Oracle

from rgb_core.errors import InputError
from rgb_core.evaluation import evaluate
from rgb_core.evaluation.advice import advice
from rgb_core.evaluation.compare import compare_runs
from rgb_core.evaluation.wording import scores_of


@pytest.fixture(scope="module")
def runs(dataset, tmp_path_factory):
    """Folders of a run whose relit pictures are too dark and whose mesh is off, and of one that is right."""
    folder = tmp_path_factory.mktemp("runs")
    off = Oracle(dataset, gain=torch.full((3,), 0.6), offset=torch.tensor([0.0, 0.0, 0.003]))
    evaluate(dataset, off, folder / "off" / "report")
    evaluate(dataset, Oracle(dataset), folder / "right" / "report")
    return folder / "off", folder / "right"


def test_every_score_is_compared_and_the_better_run_is_known(runs, tmp_path):
    page = tmp_path / "compare.html"
    differences = {(found.a.group, found.a.label): found for found in compare_runs(*runs, page)}
    raw = differences["Relighting, noon", "PSNR as rendered"]
    assert raw.b.value == 100
    assert raw.change == raw.b.value - raw.a.value > 50
    assert raw.gain > 0
    shape = differences["Shape, distance to the true surface", "everywhere, mean"]
    assert shape.change < 0 < shape.gain  # fewer millimetres are better
    assert differences["Relighting, noon", "PSNR under one RGB scale"].gain == 0
    assert page.read_text().count('class="better"') == sum(found.gain > 0 for found in differences.values())


def test_the_page_has_a_slider_for_every_common_picture_and_nothing_outside(runs, tmp_path):
    page = tmp_path / "compare.html"
    compare_runs(*runs, page)
    html = page.read_text()
    common = [{path.name for path in (run / "report" / "pictures").glob("*_prediction.png")} for run in runs]
    assert html.count('<input type="range"') == len(common[0] & common[1]) >= 2 * len(LIGHTS)
    assert not re.search(r'(href|src)="(?!data:)', html)
    assert ">off<" in html
    assert ">right<" in html


def test_runs_of_other_subjects_or_sizes_are_not_compared(runs, tmp_path):
    for key, value, words in (
        ("subject", "cube", "subjects differ, ball and cube"),
        ("size", [24, 24], "sizes"),
        ("protocol", {"light_rows": 64}, "32 and 64 rows; .* --light-rows 64"),
        ("protocol", {}, "32 and 16 rows"),  # as old records have it
    ):
        other = tmp_path / key
        shutil.copytree(runs[1] / "report", other, dirs_exist_ok=True)
        record = json.loads((other / "metrics.json").read_text())
        (other / "metrics.json").write_text(json.dumps({**record, key: value}))
        with pytest.raises(InputError, match=words):
            compare_runs(runs[0], other, tmp_path / "page.html")
    with pytest.raises(InputError, match=r"holds no metrics\.json"):
        compare_runs(runs[0], tmp_path, tmp_path / "page.html")
    (tmp_path / "size" / "metrics.json").write_text('{"format": "something"}')
    with pytest.raises(InputError, match="no record of rgb-metrics"):
        compare_runs(runs[0], tmp_path / "size", tmp_path / "page.html")
    assert not (tmp_path / "page.html").exists()


def test_every_number_of_the_record_has_words(runs):
    record = json.loads((runs[0] / "report" / "metrics.json").read_text())
    scored = ("reenactment", "on_white", "relight", "parts", "albedo", "normal", "mesh", "light", "speed")
    numbers = [value for key in scored for value in numbers_in(record[key])]
    worded = [score.value for score in scores_of(record) if score.value is not None]
    assert sorted(worded) == sorted(numbers)


def numbers_in(record):
    """All numbers of nested mappings; lists, which are scales, apart."""
    for value in record.values():
        if isinstance(value, dict):
            yield from numbers_in(value)
        elif isinstance(value, int | float):
            yield value


def test_advice_speaks_of_what_is_wrong_and_of_nothing_else(runs):
    off, right = (json.loads((run / "report" / "metrics.json").read_text()) for run in runs)
    assert any("67% brighter" in sentence for sentence in advice(off))  # 1 / 0.6
    assert not any("brighter" in sentence or "darker" in sentence for sentence in advice(right))
    off["parts"]["reenactment"] = {"skin": 30.0, "hair": 29.0, "eyes": 20.0, "mouth": 24.0}
    assert "20.0 dB in the eyes" in advice(off)[0]
    off["parts"]["reenactment"]["eyes"] = 27.0
    assert "24.0 dB in the mouth" in advice(off)[0]
    off["parts"]["reenactment"]["mouth"] = 27.0
    assert not any("skin:" in sentence for sentence in advice(off))
