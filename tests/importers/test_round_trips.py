"""Native -> foreign -> native: every projected vertex comes back to 1e-4 px, whatever the layout does to cameras."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch

from rgb_core.data import load_dataset
from rgb_core.data.importers import SourceFolder, detect, import_dataset
from rgb_core.errors import InputError
from rgb_core.heads import save_head
from rgb_core.rotations import axis_angle_to_matrix

from . import exporters
from .messages import Messages
from .subjects import Clip, flame_like_head, make_clip, posed

TOLERANCE = 1e-4  # pixels; float32 coefficients of a head at 1 m err by 2e-5 of the picture's focal lengths used here


def pixels_of(dataset, index: int) -> torch.Tensor:
    """[V, 2] in float64, of what load_dataset returns."""
    frame = dataset.all_frames[index]
    world = posed(dataset.head, dataset.shape, frame.pose)
    camera = dataclasses.replace(frame.camera, world_to_camera=frame.camera.world_to_camera.double())
    return camera.project(world)[0]


def assert_same_pictures(clip: Clip, dataset) -> None:
    assert (dataset.width, dataset.height) == clip.size
    assert len(dataset.all_frames) == len(clip.frames)
    for index, frame in enumerate(dataset.all_frames):
        error = (pixels_of(dataset, index) - clip.pixels(index)).abs().max()
        assert error < TOLERANCE, f"frame {index}: {float(error):.2e} px"
        assert torch.equal(dataset.load_rgba(frame), clip.picture(index))


@pytest.fixture
def round_trip(tmp_path: Path):
    """Exports a clip, imports it, checks the pictures, and returns the result."""

    def run(clip: Clip, export, layout: str, with_head: bool = True, **options):
        source = tmp_path / "source"
        export(clip, source, **options)
        assert detect(SourceFolder(source)).name == layout
        head_file = tmp_path / "model.npz"
        save_head(clip.head, head_file)
        imported = import_dataset(source, tmp_path / "dataset", head_file if with_head else None)
        assert imported.layout == layout
        assert imported.overlap > 0.97  # the silhouettes are the mesh itself, at reduced size
        assert_same_pictures(clip, imported.dataset)
        return load_dataset(tmp_path / "dataset")

    return run


def metrical_clip(head, **options) -> Clip:
    """metrical-tracker has neither a neck nor a translation of its own; the camera takes both."""
    return make_clip(head, neck=False, **options)


@pytest.mark.parametrize("left_eye_first", [True, False])
def test_metrical_tracker(round_trip, left_eye_first: bool):
    clip = metrical_clip(flame_like_head(left_eye_first, eyelids=True))
    dataset = round_trip(clip, exporters.metrical, "metrical")
    assert [frame.id for frame in dataset.all_frames][:2] == ["00000", "00001"]
    assert dataset.light_frame == "world"
    for frame, true in zip(dataset.all_frames, clip.frames, strict=True):
        assert torch.allclose(frame.pose.joints[3:], true.pose.joints[3:].float(), atol=1e-6)  # the order of the arrays
        assert torch.allclose(frame.pose.expression, true.pose.expression.float())  # the eyelids are its last two


def test_head_motion_leaves_the_camera(round_trip):
    clip = metrical_clip(flame_like_head())
    dataset = round_trip(clip, exporters.metrical, "metrical")
    cameras = torch.stack([frame.camera.world_to_camera for frame in dataset.all_frames])
    assert torch.equal(cameras, cameras[:1].expand_as(cameras))
    assert torch.equal(cameras[0, :, :3], torch.diag(torch.tensor([1.0, -1.0, -1.0])))
    # The real camera was upright, so the world axes agree: normals turn under the light as they really did.
    found = torch.stack([frame.pose.joints[0] for frame in dataset.all_frames])
    true = torch.stack([frame.pose.joints[0] for frame in clip.frames])
    assert torch.allclose(axis_angle_to_matrix(found.double()), axis_angle_to_matrix(true), atol=1e-6)
    moved = torch.stack([frame.pose.translation for frame in dataset.all_frames])
    assert torch.allclose(moved.mean(0), torch.zeros(3), atol=1e-6)


def test_pictures_of_1024_tracked_at_512(round_trip):
    clip = metrical_clip(flame_like_head(), frames=2, size=(1024, 1024))
    dataset = round_trip(clip, exporters.metrical, "metrical", tracked=512, pictures="images.HQ")
    assert dataset.all_frames[0].camera.intrinsics == pytest.approx(clip.frames[0].camera.intrinsics)


def test_imavatar_is_four_times_as_large(round_trip):
    clip = make_clip(flame_like_head(), translated=False, square_pixels=False)
    dataset = round_trip(clip, exporters.imavatar, "imavatar")
    assert next(frame.id for frame in dataset.all_frames) == "00001"
    assert float(dataset.all_frames[0].camera.world_to_camera[2, 3]) == 1.0  # metres again


def test_old_imavatar_files_with_intrinsics_in_pixels(round_trip):
    clip = make_clip(flame_like_head(), translated=False)
    round_trip(clip, exporters.imavatar, "imavatar", in_pixels_of=512)


def test_a_clip_one_level_below(tmp_path: Path):
    clip = make_clip(flame_like_head(), translated=False)
    exporters.imavatar(clip, tmp_path / "subject" / "MVI_1810")
    save_head(clip.head, tmp_path / "model.npz")
    imported = import_dataset(tmp_path / "subject", tmp_path / "dataset", tmp_path / "model.npz")
    assert_same_pictures(clip, imported.dataset)


def test_monofacecompute_has_a_translation(round_trip):
    clip = make_clip(flame_like_head())
    name = "flame_params_optimized.json"
    round_trip(clip, exporters.imavatar, "monofacecompute", name=name, translated=True)


@pytest.mark.parametrize("version", [1, 2])
@pytest.mark.parametrize("left_eye_first", [True, False])
def test_hravatar(round_trip, version: int, left_eye_first: bool):
    clip = make_clip(flame_like_head(left_eye_first, eyelids=True), square_pixels=False)
    round_trip(clip, exporters.hravatar, "hravatar", version=version)


@pytest.mark.parametrize("left_eye_first", [True, False])
def test_vhap_with_a_personal_template(round_trip, left_eye_first: bool):
    clip = make_clip(flame_like_head(left_eye_first), square_pixels=False)
    offsets = 0.002 * torch.randn(clip.head.vertices.shape, generator=torch.Generator().manual_seed(1))
    dataset = round_trip(dataclasses.replace(clip, offsets=offsets), exporters.vhap, "vhap")
    assert [len(dataset.splits[name]) for name in ("train", "test")] == [4, 2]
    assert dataset.all_frames[0].camera.world_to_camera[2, 3] == 1.0  # the camera stood still: it is kept


def test_vhap_keeps_the_cameras_of_a_rig(round_trip):
    clip = make_clip(flame_like_head())
    turned = axis_angle_to_matrix(torch.tensor([0.0, 0.4, 0.0], dtype=torch.float64))
    frames = []
    for index, frame in enumerate(clip.frames):
        matrix = frame.camera.world_to_camera.clone()
        if index % 2:
            matrix[:, :3] = matrix[:, :3] @ turned
        frames.append(dataclasses.replace(frame, camera=dataclasses.replace(frame.camera, world_to_camera=matrix)))

    def export(clip: Clip, folder: Path) -> None:
        exporters.vhap(clip, folder)
        for name in ("transforms.json", "transforms_train.json", "transforms_test.json"):
            path = folder / name
            record = exporters.json.loads(path.read_text())
            for frame in record["frames"]:
                frame["camera_index"] = frame["timestep_index"] % 2
            exporters.write_json(path, record)

    dataset = round_trip(dataclasses.replace(clip, frames=tuple(frames)), export, "vhap")
    for frame, true in zip(dataset.all_frames, frames, strict=True):
        assert torch.allclose(frame.camera.world_to_camera, true.camera.world_to_camera.float(), atol=1e-6)


@pytest.mark.parametrize(("layout", "opengl"), [("insta", False), ("vhap-mesh", True)])
def test_mesh_sequences_need_no_head_model(round_trip, layout: str, opengl: bool):
    clip = make_clip(flame_like_head(), square_pixels=False)
    dataset = round_trip(clip, exporters.insta, layout, with_head=False, opengl=opengl)
    assert len(dataset.head.expression_names) == len(clip.frames) - 1  # all that the meshes span beside the neutral one
    quiet = int(np.argmin([float(frame.pose.expression.norm()) for frame in clip.frames]))
    assert float(dataset.all_frames[quiet].pose.expression.norm()) < 1e-5
    cameras = torch.stack([frame.camera.world_to_camera for frame in dataset.all_frames])
    assert torch.equal(cameras, cameras[:1].expand_as(cameras))


def test_own_tracking_beside_pictures(round_trip):
    clip = make_clip(flame_like_head(), square_pixels=False)
    dataset = round_trip(clip, exporters.native, "native", with_head=False)
    assert next(frame.id for frame in dataset.all_frames) == "shot_0"


def test_coefficients_of_another_length_are_padded_not_cut(tmp_path: Path):
    clip = metrical_clip(flame_like_head())
    small = dataclasses.replace(
        clip.head, expression_basis=clip.head.expression_basis[:5], expression_names=clip.head.expression_names[:5]
    )
    exporters.metrical(clip, tmp_path / "source")
    save_head(small, tmp_path / "model.npz")
    with pytest.raises(InputError, match="exp has 100 coefficients, but the head model has 5"):
        import_dataset(tmp_path / "source", tmp_path / "dataset", tmp_path / "model.npz")


def test_eyelids_without_shapes_are_said_to_be_lost(tmp_path: Path):
    with_lids = metrical_clip(flame_like_head(eyelids=True))
    exporters.metrical(with_lids, tmp_path / "source")
    save_head(flame_like_head(), tmp_path / "model.npz")
    notes = Messages()
    import_dataset(tmp_path / "source", tmp_path / "dataset", tmp_path / "model.npz", progress=notes)
    assert any("eyelid" in line for line in notes.lines)
