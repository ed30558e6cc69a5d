"""The table of a batch: what it may say, what a subject becomes, and which sentence a mistake gets."""

from pathlib import Path

import pytest

from rgb_core.batch.from_folder import write_manifest_of_folder
from rgb_core.batch.manifest import Manifest, Needs, builtin_manifests, load_manifest, parse_manifest
from rgb_core.batch.stages import STAGES, legs_of, stages_of
from rgb_core.errors import InputError

HEAD = "format: rgb-batch\nversion: 1\n"


def parsed(text: str) -> Manifest:
    return parse_manifest(HEAD + text, "manifest m.yaml", Path("/data"))


def test_every_stage_can_be_given_its_needs():
    """The table is read before the stages are imported, which takes seconds: it has their names itself."""
    needs = ", ".join(f"{name}: {{cpus: 3}}" for name in STAGES)
    manifest = parsed(f"needs: {{{needs}}}\nsubjects: {{a: {{dataset: d}}}}")
    assert all(manifest.needs[name].cpus == 3 for name in STAGES)


def test_paths_begin_at_the_root_and_defaults_fill_what_a_row_leaves_out():
    text = "defaults: {head: flame.pkl, seed: 3, tracking: {parsing: net.onnx}}\n"
    subjects = parsed(text + "subjects: {a: {clip: clips/a, seed: 4}, b: {dataset: /elsewhere/b}}").subjects
    a, b = subjects["a"], subjects["b"]
    assert (a.clip, a.head, a.seed, a.tracking.parsing) == (
        Path("/data/clips/a"),
        Path("/data/flame.pkl"),
        4,
        Path("/data/net.onnx"),
    )
    assert (b.source, b.dataset, b.seed) == ("dataset", Path("/elsewhere/b"), 3)


def test_a_row_has_its_own_source_whatever_the_defaults_are():
    subjects = parsed("defaults: {synthetic: true}\nsubjects: {a: {seed: 1}, b: {video: b.mp4}}").subjects
    assert [subject.source for subject in subjects.values()] == ["synthetic", "video"]


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("subjects: {a: {vido: a.mp4}}", "subject a: no field is called 'vido' (did you mean video?)"),
        ("subjects: {a: {video: a, tracking: {strid: 2}}}", "'tracking.strid' (did you mean tracking.stride?)"),
        ("subjects: {a: {seed: 1}}", "subject a: give exactly one of video, clip, dataset, synthetic, not none"),
        ("subjects: {a: {video: a, dataset: b}}", "not video and dataset"),
        ("subjects: {a: {dataset: a, seed: -1}}", "subject a: seed: Input should be greater than or equal to 0"),
        ("subjects: {../a: {dataset: a}}", "a name has letters, digits, '.', '_' and '-' alone"),
        ("subjects: {a: {dataset: a}}\nneeds: {fit-gausians: {cpus: 2}}", "(did you mean fit-gaussians?)"),
        ("subjects: {a: {dataset: a}}\nneeds: {eval: {gpus: 2}}", "needs.eval.gpus: Input should be less than"),
        ("subjects: {}", "subjects: Dictionary should have at least 1 item"),
    ],
)
def test_a_mistake_is_named_with_its_place(text: str, sentence: str):
    with pytest.raises(InputError) as caught:
        parsed(text)
    assert str(caught.value).startswith("manifest m.yaml: ")
    assert sentence in str(caught.value)


def test_a_missing_manifest_names_the_nearest_builtin_one():
    with pytest.raises(InputError, match=r"'instal' does not exist \(did you mean insta\?\)"):
        load_manifest("instal")


@pytest.mark.parametrize("name", builtin_manifests())
def test_builtin_manifests_say_what_to_download_and_where_their_clips_lie(name: str, tmp_path: Path):
    manifest = load_manifest(name, tmp_path)
    assert "--root" in manifest.about
    assert all(subject.clip.parent == tmp_path for subject in manifest.subjects.values())
    assert all(set(stages_of(subject)) >= {"import", "eval"} for subject in manifest.subjects.values())


@pytest.mark.parametrize(
    ("row", "stages"),
    [
        ("{video: v, do: [fit-geometry]}", ["track", "fit-geometry"]),
        ("{clip: c, do: [eval]}", ["import", "fit-geometry", "fit-gaussians", "eval"]),
        ("{dataset: d, geometry: g, do: [export]}", ["fit-gaussians", "export"]),
        ("{synthetic: true}", ["synth", "fit-geometry", "fit-gaussians", "eval", "relight", "export"]),
    ],
)
def test_a_subject_passes_what_it_wants_and_what_that_needs(row: str, stages: list[str]):
    assert stages_of(parsed(f"subjects: {{a: {row}}}").subjects["a"]) == stages


def test_stages_with_the_same_needs_are_one_task_and_no_task_without_a_gpu_asks_for_one():
    manifest = parsed("needs: {fit-gaussians: {cpus: 2}}\nsubjects: {a: {video: v, do: [eval]}}")
    subject = manifest.subjects["a"]
    with_gpu = legs_of(subject, manifest.needs, gpus=True)
    assert [leg.stages for leg in with_gpu] == [("track",), ("fit-geometry",), ("fit-gaussians",), ("eval",)]
    assert [(leg.needs.cpus, leg.needs.gpus > 0) for leg in with_gpu] == [(1, False), (1, True), (2, True), (1, True)]
    on_cpu = legs_of(subject, {}, gpus=False)
    assert [(leg.stages, leg.needs) for leg in on_cpu] == [(tuple(stages_of(subject)), Needs(gpus=0))]


def test_a_folder_of_clips_becomes_a_manifest_that_can_be_read(tmp_path: Path):
    clips = tmp_path / "clips"
    for place in (
        "actors/nina/checkpoint/00000.frame",
        "actors/otto/flame_params.json",
        "nina.mp4",
        "actors/nina/preview.mp4",
        "demo/relit/.rgb-run.json",
        "demo/relit/video.mp4",
    ):
        (clips / place).parent.mkdir(parents=True, exist_ok=True)
        (clips / place).write_text("")
    path = tmp_path / "made.yaml"
    assert write_manifest_of_folder(clips, path, {"preset": "cpu"}) == 3
    subjects = load_manifest(str(path)).subjects
    assert {name: subject.source for name, subject in subjects.items()} == {
        "nina": "video",
        "actors_nina": "clip",
        "otto": "clip",
    }
    assert subjects["nina"].video == clips / "nina.mp4"
    assert {subject.preset for subject in subjects.values()} == {"cpu"}
    with pytest.raises(InputError, match="exists"):
        write_manifest_of_folder(clips, path, {})
    with pytest.raises(InputError, match="no video and no clip"):
        write_manifest_of_folder(clips / "actors" / "nina" / "checkpoint", tmp_path / "other.yaml", {})
