"""`evaluate` with renderers whose scores are known: the truth, the truth in other units, and clips without truth."""

import base64
import io
import json
import math
import re

import pytest
import torch
from evaluation_scenes import LIGHTS, TEST_IDS, TRUTH_IDS, Oracle, sphere_head
from PIL import Image

from rgb_core.data import DatasetWriter
from rgb_core.errors import InputError
from rgb_core.evaluation import EvaluationOptions, evaluate
from rgb_core.evaluation.metrics import PERFECT_PSNR
from rgb_core.images import read_png


@pytest.fixture(scope="module")
def perfect(dataset, tmp_path_factory):
    """Metrics and folder of a renderer that returns the truth."""
    out = tmp_path_factory.mktemp("perfect") / "report"
    options = EvaluationOptions(provenance={"preset": "<none> & more"})
    return evaluate(dataset, Oracle(dataset), out, options=options), out


def test_the_truth_scores_perfectly(perfect):
    metrics, _ = perfect
    picture = metrics["reenactment"]
    assert picture["psnr"] == picture["psnr_channel_mean"] == picture["psnr_head"] == PERFECT_PSNR
    assert picture["ssim"] == pytest.approx(1.0, abs=1e-12)
    assert picture["mae"] == 0
    assert picture["lpips"] is None
    for scores in (*metrics["relight"].values(), metrics["albedo"]):
        assert scores["psnr_aligned"] == PERFECT_PSNR
    # Normals are stored in 8 bits, a step of which is half a degree; the true ones are read back the same.
    assert metrics["normal"]["mean_angle_deg"] == pytest.approx(0.0, abs=0.1)
    assert metrics["mesh"]["p95_mm"] == pytest.approx(0.0, abs=1e-3)
    assert metrics["mesh"]["silhouette_iou"] > 0.95


def test_the_record_has_the_keys_of_the_format(perfect):
    metrics, out = perfect
    assert json.loads((out / "metrics.json").read_text()) == metrics
    assert {key: metrics[key] for key in ("format", "version", "subject", "avatar", "frames", "gaussians")} == {
        "format": "rgb-metrics",
        "version": 1,
        "subject": "ball",
        "avatar": "oracle",
        "frames": len(TEST_IDS),
        "gaussians": 7,
    }
    assert set(metrics["reenactment"]) == {"psnr", "psnr_channel_mean", "psnr_head", "ssim", "mae", "lpips"}
    assert set(metrics["relight"]) == {*LIGHTS, "mean"}
    assert set(metrics["relight"]["noon"]) == {"psnr", "psnr_aligned", "ssim_aligned", "psnr_cast_shadow", "scale"}
    assert set(metrics["relight"]["mean"]) == {"psnr", "psnr_aligned", "ssim_aligned"}
    assert set(metrics["albedo"]) == {"psnr_aligned", "scale"}
    assert set(metrics["normal"]) == {"mean_angle_deg", "skin_deg", "hair_deg"}
    assert set(metrics["mesh"]) == {
        *("mean_mm", "p95_mm", "skin_mean_mm", "hair_mean_mm", "face_to_truth_mm", "silhouette_iou")
    }
    assert set(metrics["speed"]) == {"fps", "ms_per_frame", "device"}
    assert metrics["speed"]["fps"] == pytest.approx(1000 / metrics["speed"]["ms_per_frame"])
    assert metrics["size"] == [48, 48]


def test_another_exposure_costs_only_the_unaligned_scores(dataset, tmp_path):
    gain = torch.tensor([0.5, 0.8, 1.25])
    metrics = evaluate(dataset, Oracle(dataset, gain=gain), tmp_path / "out")
    for scores in (metrics["relight"]["noon"], metrics["relight"]["dusk"], metrics["albedo"]):
        assert scores["scale"] == pytest.approx((1 / gain).tolist(), rel=1e-5)  # the gain is applied in float32
        assert scores["psnr_aligned"] == PERFECT_PSNR
    assert metrics["relight"]["mean"]["psnr"] < 30
    assert metrics["reenactment"]["psnr"] == PERFECT_PSNR


def test_a_moved_mesh_is_measured_in_millimetres(dataset, tmp_path):
    metrics = evaluate(dataset, Oracle(dataset, offset=torch.tensor([0.0, 0.0, 0.003])), tmp_path / "out")
    # A sphere shifted by 3 mm along z is off by 3 |nz|. Its vertices are even in both angles, so the mean of |nz| is
    # (2 / pi)^2; the curvature of the sphere changes the distance by 1 % at most.
    assert metrics["mesh"]["mean_mm"] == pytest.approx(3 * (2 / math.pi) ** 2, abs=0.03)
    assert 2.5 < metrics["mesh"]["p95_mm"] < 3.0


def test_half_resolution_compares_with_reduced_truth(dataset, tmp_path):
    metrics = evaluate(dataset, Oracle(dataset), tmp_path / "out", options=EvaluationOptions(size=24))
    assert metrics["size"] == [24, 24]
    # The truth is rounded to straight bytes after the reduction, the oracle is not; alpha divides that rounding.
    assert metrics["reenactment"]["psnr"] > 48
    assert metrics["relight"]["mean"]["psnr_aligned"] > 48


def test_the_report_holds_its_pictures_and_asks_nothing_of_a_network(perfect):
    _, out = perfect
    page = (out / "report.html").read_text(encoding="utf-8")
    inside = re.findall(r'<img src="data:image/(?:png|jpeg);base64,([^"]+)" alt="[^"]+" width="(\d+)"', page)
    stored = [read_png(path) for path in (out / "pictures").iterdir()]
    assert all(picture.shape[-1] == 3 for picture in stored)
    widths = [Image.open(io.BytesIO(base64.b64decode(data))).width for data, _ in inside]
    assert widths == [int(width) for _, width in inside]
    assert sorted(widths) == sorted(picture.shape[1] for picture in stored)
    for name in (*LIGHTS, "albedo", "normal", "light", "reenactment"):
        assert any(path.name.startswith(name) for path in (out / "pictures").iterdir()), name
    assert not re.search(r'(href|src)="(?!data:)', page)
    assert "default-src 'none'" in page
    assert 'name="viewport"' in page
    assert "&lt;none&gt; &amp; more" in page


def test_the_report_speaks_in_words_and_names_the_values_of_its_colours(perfect):
    _, out = perfect
    text = re.sub(r"<style>.*</style>|<script>.*</script>|<[^>]+>", " ", (out / "report.html").read_text(), flags=re.S)
    for key in ("psnr_aligned", "mean_angle_deg", "p95_mm", "silhouette_iou", "ms_per_frame"):
        assert key not in text
    assert re.search(r"0\s+0.05\s+0.1\s+0.15\s+0.2\s+0.25\s+error", text)
    assert re.search(r"0\s+10\s+20\s+30\s+40\s+50\s+60\s+degrees", text)


def test_the_report_links_to_what_exists_relative_to_itself(dataset, tmp_path):
    page = tmp_path / "a head.html"
    page.touch()
    links = {"the page": page, "the film": tmp_path / "video.mp4"}
    evaluate(dataset, Oracle(dataset), tmp_path / "out", options=EvaluationOptions(links=links))
    report = (tmp_path / "out" / "report.html").read_text()
    assert re.findall(r'<a href="([^"]+)">([^<]+)', report) == [("../a%20head.html", "the page")]


def test_the_contact_sheet_holds_a_row_per_environment(perfect):
    _, out = perfect
    height, width, _ = read_png(out / "contact_sheet.png").shape
    assert width > 6 * 192
    assert height > 5 * 192


def test_a_real_clip_has_nulls_instead_of_truth(dataset, tmp_path):
    writer = DatasetWriter(tmp_path / "real", "real", (dataset.width, dataset.height), 25.0, sphere_head())
    for split, frame in (("train", dataset.frames("train")[0]), ("test", dataset.frames("test")[0])):
        pixels = dataset.load_rgba(frame)
        writer.add_frame(frame.id, split, frame.camera, frame.pose, pixels)
    real = writer.finish()
    metrics = evaluate(real, Oracle(real), tmp_path / "out")
    assert metrics["reenactment"]["psnr"] == PERFECT_PSNR
    assert metrics["relight"] == {"mean": {"psnr": None, "psnr_aligned": None, "ssim_aligned": None}}
    assert metrics["albedo"] == {"psnr_aligned": None, "scale": None}
    assert set(metrics["normal"].values()) == set(metrics["mesh"].values()) == {None}
    assert (tmp_path / "out" / "report.html").is_file()


def test_the_same_run_twice_gives_the_same_record(dataset, perfect, tmp_path):
    again = evaluate(dataset, Oracle(dataset), tmp_path / "out")
    first = dict(perfect[0])
    del again["speed"], first["speed"]
    assert again == first


def test_progress_reaches_its_total(dataset, tmp_path):
    class Counter:
        total = done = 0

        def start(self, stage, total, done=0):
            self.total += total

        def advance(self, units=1, **values):
            self.done += units

        def message(self, text):
            pass

    counter = Counter()
    evaluate(dataset, Oracle(dataset), tmp_path / "out", counter)
    assert counter.done == counter.total == len(TEST_IDS) + len(LIGHTS) * len(TRUTH_IDS)


def test_an_output_that_is_a_file_is_refused_before_rendering(dataset, tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(InputError, match="file"):
        evaluate(dataset, Oracle(dataset), tmp_path / "file" / "out")
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_a_clip_without_test_frames_is_refused(dataset, tmp_path):
    writer = DatasetWriter(tmp_path / "clip", "clip", (dataset.width, dataset.height), 25.0, sphere_head())
    frame = dataset.all_frames[0]
    pixels = dataset.load_rgba(frame)
    writer.add_frame(frame.id, "train", frame.camera, frame.pose, pixels)
    clip = writer.finish()
    with pytest.raises(InputError, match="no test frames"):
        evaluate(clip, Oracle(clip), tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_size_beyond_the_pictures_is_refused(dataset, tmp_path):
    with pytest.raises(InputError, match="96 x 96"):
        evaluate(dataset, Oracle(dataset), tmp_path / "out", options=EvaluationOptions(size=96))
    assert not (tmp_path / "out").exists()
