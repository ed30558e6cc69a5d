"""The geometry fit on a small clip drawn with a known head: what it recovers, resumes and refuses."""

import dataclasses

import pytest
import torch
from head_clips import CONFIG, FRAMES, HAIR_HEIGHT, make_clip

from rgb_core.data import Dataset
from rgb_core.errors import DivergenceError, InputError
from rgb_core.geometry import fit_geometry, load_geometry, unrefined
from rgb_core.geometry.fit import GeometryFit
from rgb_core.heads import vertex_normals
from rgb_core.heads.regions import Region
from rgb_core.images import read_png, write_png
from rgb_core.progress import Silent


@pytest.fixture(scope="module")
def clip(tmp_path_factory) -> Dataset:
    """Twelve training frames and one test frame of a turning head, tracked with some noise."""
    return make_clip(tmp_path_factory.mktemp("clip") / "data")


@pytest.fixture(scope="module")
def fitted(clip, tmp_path_factory):
    """The folder of one whole fit, and what it returned."""
    folder = tmp_path_factory.mktemp("fit") / "geometry"
    return folder, fit_geometry(clip, CONFIG, folder, Silent(), seed=3)


def test_the_silhouette_and_the_hair_are_found(clip, fitted):
    _, geometry = fitted
    # the cap is some 3 pixels of a head 60 pixels wide: unfitted, the overlap is about 0.95
    assert geometry.metrics["silhouette_iou"] > 0.975
    assert geometry.metrics["silhouette_iou"] > geometry.metrics["silhouette_iou_before"] + 0.01
    moved = geometry.head.vertices - clip.head.vertices
    outward = (moved * vertex_normals(clip.head.vertices, clip.head.faces)).sum(1)
    top = (clip.head.region == Region.SCALP) & (clip.head.vertices[:, 1] > 0.08)
    assert float(outward[top].mean()) == pytest.approx(HAIR_HEIGHT, rel=0.35)
    face = clip.head.region == Region.SKIN
    assert float(moved[face].norm(dim=1).mean()) < 0.0015


def test_eyes_keep_their_shape(clip, fitted):
    _, geometry = fitted
    moved = geometry.head.vertices - clip.head.vertices
    left = (clip.head.region == Region.EYEBALL) & (clip.head.vertices[:, 0] > 0)
    assert float((moved[left] - moved[left].mean(0)).abs().max()) < 1e-6
    corrected = geometry.head.expression_basis - clip.head.expression_basis
    assert corrected[:, clip.head.region == Region.SKIN].any()
    assert not corrected[:, clip.head.region == Region.EYEBALL].any()


def test_tracking_noise_is_reduced_and_does_not_drift(clip, fitted):
    _, geometry = fitted
    frames = clip.frames("train")
    before = torch.stack([frame.pose.translation for frame in frames])
    after = torch.stack([frame.pose.translation for frame in geometry.refined(frames)])
    assert torch.allclose(after.mean(0), before.mean(0), atol=1e-7)
    # true translation is 0; across the view (x, y), where pictures show it best
    assert float((after - after.mean(0))[:, :2].norm()) < 0.8 * float((before - before.mean(0))[:, :2].norm())


def test_test_frames_change_in_focal_length_alone(clip, fitted):
    _, geometry = fitted
    frame = clip.frames("test")[0]
    (refined,) = geometry.refined([frame])
    assert torch.equal(refined.pose.translation, frame.pose.translation)
    assert refined.camera.intrinsics[0] == pytest.approx(frame.camera.intrinsics[0] * geometry.focal_scale)
    assert refined.camera.intrinsics[2:] == frame.camera.intrinsics[2:]


def test_the_folder_loads_to_the_same_geometry(fitted):
    folder, geometry = fitted
    loaded = load_geometry(folder)
    assert torch.equal(loaded.head.vertices, geometry.head.vertices)
    assert loaded.focal_scale == geometry.focal_scale
    assert loaded.metrics == geometry.metrics
    assert torch.equal(loaded.tracking["00"].joints, geometry.tracking["00"].joints)
    assert (folder / "preview.png").is_file()
    assert not (folder / "checkpoint.safetensors").exists()


def test_an_interrupted_fit_ends_as_an_uninterrupted_one(clip, fitted, tmp_path, monkeypatch):
    _, geometry = fitted
    step = GeometryFit.step

    def interrupted(self, index):
        if index == 40:
            raise KeyboardInterrupt
        return step(self, index)

    monkeypatch.setattr(GeometryFit, "step", interrupted)
    with pytest.raises(KeyboardInterrupt):
        fit_geometry(clip, CONFIG, tmp_path, Silent(), seed=3)
    monkeypatch.setattr(GeometryFit, "step", step)
    assert (tmp_path / "checkpoint.safetensors").is_file()
    with pytest.raises(InputError, match="unfinished"):
        fit_geometry(clip, CONFIG, tmp_path, Silent(), seed=4)
    resumed = fit_geometry(clip, CONFIG, tmp_path, Silent(), seed=3)
    assert torch.equal(resumed.head.vertices, geometry.head.vertices)
    assert torch.equal(resumed.head.expression_basis, geometry.head.expression_basis)
    assert torch.equal(resumed.tracking["05"].joints, geometry.tracking["05"].joints)


def test_divergence_names_the_step_and_the_tensor(clip, tmp_path):
    fit = GeometryFit(clip, CONFIG, Silent(), seed=0)
    fit.surface.parameters["hair"].value[100] = torch.nan
    with pytest.raises(DivergenceError, match=r"step 7, frames 0.*: the \w+ is not finite"):
        fit.step(7)


def test_frames_without_a_head_are_named_and_skipped(clip, tmp_path):
    class Messages(Silent):
        texts: list[str]

        def __init__(self):
            self.texts = []

        def message(self, text: str) -> None:
            self.texts.append(text)

    empty = tmp_path / "empty.png"
    image = read_png(clip.frame("04").image, 4)
    image[..., 3] = 0
    write_png(empty, image)
    frames = tuple(dataclasses.replace(frame, image=empty) if frame.id == "04" else frame for frame in clip.all_frames)
    messages = Messages()
    fit = GeometryFit(dataclasses.replace(clip, all_frames=frames), CONFIG, messages, seed=0)
    assert len(fit.evidence) == FRAMES - 1
    assert any("04" in text for text in messages.texts)


def test_unrefined_bakes_the_identity(clip):
    geometry = unrefined(clip)
    assert geometry.head.shape_basis.shape[0] == 0
    assert geometry.focal_scale == 1.0
    shape = torch.zeros(clip.head.shape_basis.shape[0])
    shape[0] = 1.0
    shaped = dataclasses.replace(clip, shape=shape)
    expected = clip.head.vertices + clip.head.shape_basis[0]
    assert torch.allclose(unrefined(shaped).head.vertices, expected, atol=1e-6)


def test_a_damaged_folder_is_named(fitted, tmp_path):
    with pytest.raises(InputError, match=r"geometry\.yaml"):
        load_geometry(tmp_path)
    folder, _ = fitted
    for name in ("geometry.yaml", "head.npz"):
        (tmp_path / name).write_bytes((folder / name).read_bytes())
    (tmp_path / "tracking.json").write_text("{")
    with pytest.raises(InputError, match=r"tracking\.json"):
        load_geometry(tmp_path)


def test_a_clip_without_labels_is_fitted_too(clip, tmp_path):
    plain = dataclasses.replace(
        clip, all_frames=tuple(dataclasses.replace(frame, semantic=None) for frame in clip.all_frames)
    )
    geometry = fit_geometry(plain, CONFIG.model_copy(update={"steps": 20}), tmp_path, Silent(), seed=0)
    assert geometry.metrics["silhouette_iou"] > geometry.metrics["silhouette_iou_before"]
