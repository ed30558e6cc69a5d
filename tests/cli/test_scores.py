"""Scores beside scores on the command line: two runs on one page, and anybody's relit pictures."""

import json
import shutil
from pathlib import Path

from tests.commands import run_rgb


def test_two_runs_stand_on_one_page(demo: tuple[Path, dict], tmp_path: Path):
    page = tmp_path / "compare.html"
    result = run_rgb("compare", demo[0], demo[0], "-o", page, "--quiet", "--json")
    assert result.returncode == 0, result.stderr
    rows = json.loads(result.stdout)["rows"]
    assert rows
    assert {row["difference"] for row in rows} <= {0, None}
    assert "<html" in page.read_text()


def test_a_page_has_the_name_of_one(demo: tuple[Path, dict], tmp_path: Path):
    result = run_rgb("compare", demo[0], demo[0], "-o", tmp_path / "compare.txt")
    assert result.returncode == 2
    assert "ends in .html" in result.stderr
    assert not list(tmp_path.iterdir())


def test_the_truth_scores_best_as_anybodys_pictures(demo: tuple[Path, dict], tmp_path: Path):
    dataset = demo[0] / "dataset"
    shutil.copytree(dataset / "ground_truth" / "relit", tmp_path / "pictures")
    result = run_rgb("bench", "relight", tmp_path / "pictures", dataset, "--quiet", "--json")
    assert result.returncode == 0, result.stderr
    assert json.loads(result.stdout)["relight"]["mean"]["psnr"] == 100
    missing = next((tmp_path / "pictures" / "sun").iterdir())
    missing.unlink()
    result = run_rgb("bench", "relight", tmp_path / "pictures", dataset)
    assert result.returncode == 2
    assert f"sun/{missing.name}" in result.stderr
