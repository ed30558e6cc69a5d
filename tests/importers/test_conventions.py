"""The pieces that importers are made of: rotations, cameras put to rest, offsets, and any JSON value in any place."""

import contextlib
import dataclasses
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from rgb_core.data.importers import LAYOUTS, SourceFolder, import_dataset
from rgb_core.data.importers.flame import personalised, rotations_6d
from rgb_core.data.importers.mesh_sequence import rigid_motion
from rgb_core.data.importers.source import SourceFrame
from rgb_core.data.importers.still_camera import camera_moves, hold_camera
from rgb_core.data.records import Record
from rgb_core.errors import InputError
from rgb_core.heads import Pose, save_head
from rgb_core.progress import Silent
from rgb_core.rotations import axis_angle_to_matrix

from . import exporters
from .subjects import flame_like_head, make_clip, posed

HEAD = flame_like_head()
UNMOVED = 1e-9  # pixels, in float64 with focal lengths of 200


def test_six_number_rotations_are_rows():
    """The golden numbers of upstream's mt_format_conversion (docs/kernels.md 1.5), without its short series.

    Upstream's factor from the skew part to the angle is 1/2 + a^2/12 at these angles; the exact one is a / (2 sin a).
    """
    found = rotations_6d(np.array([1, 0.1, 0, -0.1, 0.9, 0.3, 0.8, 0, 0.6, 0, 2, 0.1]))
    angle = found.norm(dim=-1, keepdim=True)
    series = (0.5 + angle**2 / 12) / (angle / (2 * angle.sin()))
    golden = torch.tensor([[-0.3195890, -0.0159397, -0.0987927], [-0.0384631, 0.6413074, -0.0128210]])
    assert torch.allclose((found * series).float(), golden, atol=2e-7)  # seven digits were printed


def pose_of(frame: SourceFrame) -> Pose:
    """The pose of a frame before it is written."""
    return Pose(frame.expression, frame.joints, frame.translation)


vectors = st.tuples(*[st.floats(-1.8, 1.8)] * 3)  # a rotation of up to pi; any position in metres


@settings(max_examples=30, deadline=None, derandomize=True, phases=[Phase.generate])
@given(turns=st.lists(st.tuples(vectors, vectors, vectors), min_size=2, max_size=4))
def test_a_camera_put_to_rest_sees_the_same(turns):
    clip = make_clip(HEAD, frames=len(turns))
    frames = []
    for frame, (turn, root, shift) in zip(clip.frames, turns, strict=True):
        rotation = axis_angle_to_matrix(torch.tensor(turn, dtype=torch.float64))
        motion = torch.cat([rotation, torch.tensor([[0.1], [0.0], [3.0]], dtype=torch.float64)], 1)
        joints = torch.cat([torch.tensor([root], dtype=torch.float64), frame.pose.joints[1:]])
        frames.append(
            SourceFrame(
                id="",
                image=Path(),
                camera=dataclasses.replace(frame.camera, world_to_camera=motion),
                expression=frame.pose.expression,
                joints=joints,
                translation=0.1 * torch.tensor(shift, dtype=torch.float64),
            )
        )
    held = hold_camera(frames, HEAD, clip.shape)
    assert not camera_moves(held)
    for before, after in zip(frames, held, strict=True):
        seen = [frame.camera.project(posed(HEAD, clip.shape, pose_of(frame)))[0] for frame in (before, after)]
        assert float((seen[0] - seen[1]).abs().max()) < UNMOVED


def test_rigid_motion_is_never_a_reflection():
    generator = np.random.default_rng(0)
    flat = generator.normal(size=(20, 3)) * [1, 1, 0]
    turn = axis_angle_to_matrix(torch.tensor([0.4, 2.0, -0.3], dtype=torch.float64)).numpy()
    rotation, shift = rigid_motion(flat, flat @ turn.T + [1, 2, 3])
    assert np.allclose(rotation, turn, atol=1e-12)
    assert np.allclose(shift, [1, 2, 3], atol=1e-12)


@pytest.mark.parametrize(("tracked", "given_vertices"), [(5143, 5023), (5023, 5143), (5023, 5023)])
def test_teeth_are_the_last_vertices(tracked: int, given_vertices: int):
    head = dataclasses.replace(HEAD, vertices=torch.zeros(given_vertices, 3), joint_regressor=None)
    offsets = np.random.default_rng(0).normal(size=(tracked, 3))
    found = personalised(head, Record({}, "file"), "static_offset", offsets).vertices
    assert torch.allclose(found[:5023], torch.from_numpy(offsets[:5023]).float())
    assert not found[5023:].any()


def test_offsets_of_another_mesh_are_refused():
    with pytest.raises(InputError, match=r"static_offset has 7 vertices, but the head model has 280"):
        personalised(HEAD, Record({}, "file"), "static_offset", np.zeros((7, 3)))


def test_the_other_flame_is_refused(tmp_path: Path):
    """2020's and 2023's coefficients mean different expressions."""
    exporters.metrical(make_clip(HEAD, frames=2, neck=False), tmp_path / "source")
    save_head(dataclasses.replace(HEAD, name="flame2023"), tmp_path / "model.npz")
    with pytest.raises(InputError, match="is flame2023, but the metrical layout tracks flame2020"):
        import_dataset(tmp_path / "source", tmp_path / "dataset", tmp_path / "model.npz")
    two_joints = dataclasses.replace(
        HEAD, joint_parents=torch.tensor([-1, 0, 0, 0, 0]), joint_regressor=None, pose_basis=HEAD.pose_basis
    )
    save_head(two_joints, tmp_path / "other.npz")
    with pytest.raises(InputError, match="its joints are not root, neck, jaw and two eyes"):
        import_dataset(tmp_path / "source", tmp_path / "dataset", tmp_path / "other.npz")


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=8,
)
FILES = {
    "imavatar": "flame_params.json",
    "hravatar": "tracked_params.json",
    "vhap": "transforms.json",
    "insta": "transforms.json",
    "native": "dataset.json",
}


@pytest.fixture(scope="module")
def exports(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two frames in every layout with a JSON file, and the head model."""
    root = tmp_path_factory.mktemp("exports")
    clip = make_clip(HEAD, frames=2, neck=False, translated=False)
    for layout in FILES:
        getattr(exporters, layout)(clip, root / layout)
    save_head(HEAD, root / "model.npz")
    return root


@pytest.mark.parametrize("layout", FILES)
@settings(max_examples=40, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_any_value_in_any_place_is_read_or_refused(exports: Path, tmp_path: Path, layout: str, data: st.DataObject):
    source = tmp_path / layout
    if not source.exists():
        shutil.copytree(exports / layout, source)
    record = json.loads((exports / layout / FILES[layout]).read_text())
    places = [record, *[value for value in record.values() if isinstance(value, dict)], *record.get("frames", [])]
    place = data.draw(st.sampled_from(places))
    place[data.draw(st.sampled_from(sorted(place)))] = data.draw(json_values)
    (source / FILES[layout]).write_text(json.dumps(record))
    head_file = None if layout in ("insta", "native") else exports / "model.npz"
    with contextlib.suppress(InputError):
        LAYOUTS[layout].read(SourceFolder(source), head_file, Silent())
