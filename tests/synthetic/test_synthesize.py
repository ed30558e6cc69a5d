"""The dataset that `synthesize` writes: complete, repeatable, resumable, consistent with its own ground truth."""

from pathlib import Path

import numpy as np
import pytest
import torch
from pydantic import ValidationError

from rgb_core.data import load_dataset
from rgb_core.errors import InputError
from rgb_core.heads.regions import Region
from rgb_core.images import linear_to_rgba, read_png
from rgb_core.progress import Silent
from rgb_core.scene.labels import Label
from rgb_core.scene.light import load_map
from rgb_core.synthetic import SyntheticConfig, synthesize
from rgb_core.synthetic.lighting import SampledLight
from rgb_core.synthetic.render import light_picture, sample_surface
from rgb_core.synthetic.scene import Scene

CONFIG = SyntheticConfig(frames=3, test_frames=3, size=40, ground_truth_every=2, relight=("sun", "ring"))
SEED = 3


class Interrupt(Silent):
    """Stops the run after a number of frames, as Ctrl-C would."""

    def __init__(self, frames: int) -> None:
        self._left = frames

    def advance(self, units: int = 1, **values: float) -> None:
        self._left -= units
        if self._left == 0:
            raise KeyboardInterrupt


def files(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    out = tmp_path_factory.mktemp("synthetic") / "subject"
    synthesize(out, CONFIG, Silent(), SEED)
    return out


def test_dataset_loads_with_all_its_ground_truth(folder):
    dataset = load_dataset(folder)
    assert [frame.id for frame in dataset.frames("train")] == ["00000", "00001", "00002"]
    assert [frame.id for frame in dataset.frames("test")] == ["00003", "00004", "00005"]
    truth = dataset.ground_truth
    assert truth.frame_ids == ("00003", "00005")
    assert truth.relit_names == ("ring", "sun")
    assert set(dataset.envmaps) == {"ring", "sun"}
    assert dataset.head.shape_basis.shape[0] == 0
    for frame in dataset.all_frames:
        alpha, labels = dataset.image(frame)[..., 3], dataset.semantic(frame)
        assert 0.15 < alpha.mean() < 0.7  # the head fills the frame
        assert {Label.SKIN, Label.NOSE, Label.NECK, Label.HAIR} <= set(labels.unique().tolist())
        assert ((labels > 0) == (alpha > 0.5)).float().mean() > 0.95


def test_same_seed_gives_the_same_files_also_after_an_interruption(folder, tmp_path):
    out = tmp_path / "subject"
    for frames in (1, 3):
        with pytest.raises(KeyboardInterrupt):
            synthesize(out, CONFIG, Interrupt(frames), SEED)
    synthesize(out, CONFIG, Silent(), SEED)
    assert files(out) == files(folder)


def test_another_seed_is_another_person(folder, tmp_path):
    other = synthesize(tmp_path / "other", CONFIG.model_copy(update={"frames": 1, "test_frames": 1}), Silent(), 4)
    mine = load_dataset(folder)
    assert (other.head.vertices - mine.head.vertices).norm(dim=1).max() > 0.001


def test_unfinished_run_does_not_continue_with_other_settings(tmp_path):
    out = tmp_path / "subject"
    with pytest.raises(KeyboardInterrupt):
        synthesize(out, CONFIG, Interrupt(1), SEED)
    with pytest.raises(InputError, match="unfinished dataset of other inputs or settings"):
        synthesize(out, CONFIG, Silent(), SEED + 1)


def test_given_head_is_not_the_truth_but_close(folder):
    dataset = load_dataset(folder)
    vertices, _ = dataset.ground_truth.mesh("00003")
    frame = dataset.frame("00003")
    given = dataset.head.pose(frame.pose).vertices
    distance = torch.cdist(given, vertices).amin(1)
    assert 0.0005 < distance.mean() < 0.01  # metres: a different identity, not a different pose
    scalp = dataset.head.region == Region.SCALP
    assert distance[scalp].mean() > 0.004  # the hair that the model lacks


def test_test_frames_have_exact_coefficients_and_training_frames_do_not(folder):
    dataset, exact = load_dataset(folder), load_dataset(folder).ground_truth.coefficients()
    for frame in dataset.frames("test"):
        torch.testing.assert_close(frame.pose.expression, exact.expression[frame.id])
        torch.testing.assert_close(frame.pose.joints[0], exact.root[frame.id])
    for frame in dataset.frames("train"):
        assert 0 < (frame.pose.joints[0] - exact.root[frame.id]).abs().max() < 0.03


def test_relit_picture_follows_from_the_stored_light(folder):
    scene = Scene.build(CONFIG, SEED)
    mesh = scene.posed(5)
    light = SampledLight(load_map(folder / "envmaps" / "sun.hdr"))
    surface = sample_surface(mesh, scene.camera, scene.paint, 16, np.random.default_rng(0))
    radiance = light_picture(surface, light, mesh.bvh, 64, np.random.default_rng(1))
    again = linear_to_rgba(torch.cat([radiance, surface.coverage()], -1)).float()
    stored = read_png(folder / "ground_truth" / "relit" / "sun" / "00005.png", dtype=torch.uint8).float()
    inside = (again[..., 3] == 255) & (stored[..., 3] == 255)
    difference = (again - stored)[inside][:, :3]
    # Other random numbers: edges of hard shadows and sub-pixel texture differ, the picture as a whole does not.
    assert difference.mean().abs() < 1.5
    assert difference.abs().mean() < 6


def test_stored_normals_face_the_camera(folder):
    dataset = load_dataset(folder)
    normal = dataset.ground_truth.normal("00003")
    towards = -dataset.frame("00003").camera.ray_directions()
    inside = normal[..., 3] == 1
    assert ((normal[..., :3] * towards).sum(-1)[inside] > -0.1).float().mean() > 0.99


def test_albedo_has_the_colours_of_the_parts(folder):
    dataset = load_dataset(folder)
    albedo = dataset.ground_truth.albedo("00003").float() / 255
    labels = dataset.semantic(dataset.frame("00003"))
    skin, hair = albedo[labels == Label.SKIN][:, :3].mean(0), albedo[labels == Label.HAIR][:, :3].mean(0)
    assert skin[0] > skin[1] > skin[2]
    assert skin.mean() > hair.mean() + 0.1


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("frames", 0),
        ("test_frames", 0),
        ("size", 8),
        ("samples", 0),
        ("shadow_rays", 3),
        ("tracking_noise", -1),
        ("unknown", 1),
    ],
)
def test_configuration_refuses_what_makes_no_clip(field, value):
    with pytest.raises(ValidationError):
        SyntheticConfig.model_validate({field: value})


@pytest.mark.parametrize("wrong", [{"light": "moon"}, {"relight": ("sun", "moon")}])
def test_unknown_light_is_refused_before_anything_is_written(wrong, tmp_path):
    with pytest.raises(InputError, match="moon"):
        synthesize(tmp_path / "subject", CONFIG.model_copy(update=wrong), Silent(), 0)
    assert not (tmp_path / "subject").exists()


def test_folder_with_other_content_is_left_alone(tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(InputError, match="not empty"):
        synthesize(tmp_path, CONFIG, Silent(), 0)
    assert files(tmp_path) == {"notes.txt": b"mine"}
