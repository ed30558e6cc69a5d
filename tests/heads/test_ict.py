"""A folder of ICT-FaceKit's OBJ files becomes the head model it describes."""

from pathlib import Path

import numpy as np
import pytest
import torch

from rgb_core.errors import InputError
from rgb_core.heads import HeadModel, load_any_head, load_head, save_head
from rgb_core.heads.arkit import arkit_parts
from rgb_core.heads.foreign import load_ict
from rgb_core.heads.foreign.ict import EYEBALLS, HEAD_VERTICES, OUTER_EYEBALL, ict_expression_names
from rgb_core.heads.foreign.obj import read_obj
from rgb_core.heads.regions import Region

VERTICES = 26719
"""Of the whole ICT mesh, tears and lashes included."""
CHANGED = 40
"""Vertices that each sample expression moves."""
HALF_PRINTED_DIGIT = 5e-9
"""Metres: the samples are written with six decimals of 0.01 m."""
FLOAT32 = 2e-8
"""Metres: single precision of lengths up to 0.25 m."""


class Sample:
    """What was written."""

    def __init__(self, folder: Path):
        draw = np.random.default_rng(0)
        self.folder = folder
        self.vertices = np.round(draw.normal(scale=8, size=(VERTICES, 3)), 6)
        for eye, x in zip(EYEBALLS.values(), (3.1, -3.1), strict=True):
            ball = draw.normal(size=(eye.stop - eye.start, 3))
            self.vertices[eye] = np.round([x, 3.6, 8] + 1.2 * ball / np.linalg.norm(ball, axis=1, keepdims=True), 6)
        self.offsets = {}
        starts = np.concatenate(
            [draw.permutation(2000)[:300], draw.permutation(np.arange(HEAD_VERTICES, VERTICES - 30))[:50]]
        )
        self.quads = starts[:, None] + [0, 7, 11, 29]
        self.triangle = np.array([5, 6, 7])
        self.uv = draw.uniform(0.01, 0.99, (400, 2)) + draw.integers(0, 2, (400, 1)) * [1, 0]
        self.uv_quads = np.tile(np.arange(350)[:, None], (1, 4))
        self._lines = [f"v {x:.6f} {y:.6f} {z:.6f}" for x, y, z in self.vertices]
        self._write_neutral()
        for name in (*ict_expression_names(), "identity000", "identity001", "identity002"):
            self._write_changed(name, draw)

    def _write_neutral(self) -> None:
        lines = ["# sample", *self._lines, *(f"vt {u:.6f} {v:.6f}" for u, v in self.uv)]
        for index, (corners, texels) in enumerate(zip(self.quads + 1, self.uv_quads + 1, strict=True)):
            lines += [f"usemtl part{index // 200}"] if index % 200 == 0 else []
            lines.append("f " + " ".join(f"{c}/{t}/1" for c, t in zip(corners, texels, strict=True)))
        lines.append("f " + " ".join(f"{corner + 1}/1/1" for corner in self.triangle))
        (self.folder / "generic_neutral_mesh.obj").write_text("\n".join(lines) + "\n")

    def _write_changed(self, name: str, draw: np.random.Generator) -> None:
        moved = draw.choice(HEAD_VERTICES, CHANGED, replace=False)
        offsets = np.zeros((VERTICES, 3))
        offsets[moved] = np.round(draw.normal(size=(CHANGED, 3)), 6)
        lines = list(self._lines)
        for vertex in moved:
            lines[vertex] = "v " + " ".join(f"{c:.6f}" for c in self.vertices[vertex] + offsets[vertex])
        (self.folder / f"{name}.obj").write_text("\n".join(lines) + "\nf 1 2 3\n")
        self.offsets[name] = offsets[:HEAD_VERTICES] / 100


@pytest.fixture(scope="module")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Sample:
    folder = tmp_path_factory.mktemp("ict") / "FaceXModel"
    folder.mkdir()
    return Sample(folder)


@pytest.fixture(scope="module")
def head(sample: Sample) -> HeadModel:
    return load_ict(sample.folder)


def test_names_are_the_arkit_shapes():
    names = ict_expression_names()
    assert len(names) == len(set(names)) == 53
    assert all(len(arkit_parts(name)) == 1 for name in names)
    assert {"browDown_L", "cheekPuff_R", "jawLeft", "mouthRight", "mouthClose"} <= set(names)


def test_metres_and_offsets(sample: Sample, head: HeadModel):
    assert head.vertex_count == HEAD_VERTICES
    assert np.abs(head.vertices.numpy() - sample.vertices[:HEAD_VERTICES] / 100).max() < FLOAT32
    eyes = np.zeros(HEAD_VERTICES, bool)
    for eye in EYEBALLS.values():
        eyes[eye] = True
    for name, basis in zip(head.expression_names, head.expression_basis.numpy(), strict=True):
        still = ~eyes if name.startswith("eyeLook") else slice(None)
        assert np.abs(basis - sample.offsets[name])[still].max() < FLOAT32 + HALF_PRINTED_DIGIT, name
    for index, basis in enumerate(head.shape_basis.numpy()):
        assert np.abs(basis - sample.offsets[f"identity{index:03d}"]).max() < FLOAT32 + HALF_PRINTED_DIGIT
    assert len(head.shape_basis) == 3


def test_gaze_turns_the_eyeball(head: HeadModel):
    """At coefficient 1 the ball has turned by the dataset's angle about its own centre and stays a sphere."""
    for name, eye, axis, degrees in (
        ("eyeLookOut_L", EYEBALLS["Left"], 0, 28.0),
        ("eyeLookIn_R", EYEBALLS["Right"], 0, 28.0),
        ("eyeLookUp_L", EYEBALLS["Left"], 1, 20.0),
    ):
        before = head.vertices[eye].numpy().astype(float)
        after = before + head.expression_basis[head.expression_index(name), eye].numpy()
        center = np.array([0.031 if eye is EYEBALLS["Left"] else -0.031, 0.036, 0.08])
        radius = np.linalg.norm(after - center, axis=1)[:OUTER_EYEBALL]
        assert np.abs(radius - 0.012).max() < 1e-7
        front = before[:, 2].argmax()
        gaze = (after[front] - center) / 0.012
        start = (before[front] - center) / 0.012
        assert gaze[axis] > start[axis] + 0.2  # out of the left eye and in of the right one is +x, up is +y
        plane = [axis, 2]
        turned = np.degrees(np.arctan2(*gaze[plane]) - np.arctan2(*start[plane]))
        assert turned == pytest.approx(degrees, abs=0.01)


def test_triangles_cover_the_quads_of_the_head(sample: Sample, head: HeadModel):
    inside = (sample.quads < HEAD_VERTICES).all(1)
    assert 0 < inside.sum() < len(inside)
    assert len(head.faces) == 2 * inside.sum() + 1
    corners = [frozenset(face) for face in head.faces.tolist()]
    assert frozenset(sample.triangle.tolist()) in corners
    for quad in sample.quads[inside].tolist():
        parts = [set(corner) for corner in corners if corner <= set(quad)]
        assert len(parts) == 2
        assert set.union(*parts) == set(quad)
    assert all(len(corner) == 3 for corner in corners)


def test_texture_tiles_do_not_overlap(sample: Sample, head: HeadModel):
    assert head.uv is not None
    assert head.uv.min() >= 0
    assert head.uv.max() <= 1
    by_corner = {}
    for face, texels in zip(head.faces.tolist(), head.uv_faces.tolist(), strict=True):
        for vertex, texel in zip(face, texels, strict=True):
            by_corner.setdefault(texel, set()).add(vertex)
    places = [tuple(place) for place in head.uv.tolist()]
    assert len(set(places)) == len(places)  # every tile and material went to a cell of its own


def test_anatomy(head: HeadModel):
    counts = torch.bincount(head.region, minlength=len(Region)).tolist()
    assert counts == [5657, 1693, 1733, 1186, 1540, 768, 5023, 4412, 979, 1600]
    assert (head.region[EYEBALLS["Left"]][:OUTER_EYEBALL] == Region.EYEBALL).all()
    assert head.landmarks68.shape == (68,)
    assert head.joint_names == ("root",)


def test_round_trip_and_detection(sample: Sample, head: HeadModel, tmp_path: Path):
    found = load_any_head(sample.folder.parent)  # the folder above FaceXModel
    save_head(found, tmp_path / "head.npz")
    loaded = load_head(tmp_path / "head.npz")
    assert torch.equal(loaded.expression_basis, head.expression_basis)
    assert torch.equal(loaded.faces, head.faces)


def test_defects_name_the_file(sample: Sample, tmp_path: Path):
    with pytest.raises(InputError, match="ICT-FaceKit"):
        load_any_head(tmp_path)
    for path in sample.folder.iterdir():
        (tmp_path / path.name).symlink_to(path)
    (tmp_path / "browDown_L.obj").unlink()
    with pytest.raises(InputError, match=r"browDown_L\.obj is missing; download ICT-FaceKit"):
        load_ict(tmp_path)
    (tmp_path / "browDown_L.obj").write_text("v 1 2 3\n")
    with pytest.raises(InputError, match=r"browDown_L\.obj has 1 vertices"):
        load_ict(tmp_path)
    (tmp_path / "generic_neutral_mesh.obj").unlink()
    (tmp_path / "generic_neutral_mesh.obj").write_text("v 0 0 0\nf 1 1 1\n")
    with pytest.raises(InputError, match=r"generic_neutral_mesh\.obj has 1 vertices"):
        load_ict(tmp_path)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("v 1 2\n", "not 3 numbers"),
        ("v 1 2 x\n", "not 3 numbers"),
        ("v 1 2 nan\n", "not finite"),
        ("v 1 2 3\nf 1 1 2\n", "not there"),
        ("v 1 2 3\nf 1 1 0\n", "not there"),
        ("v 1 2 3\nf 1 1 -2\n", "not there"),
        ("v 1 2 3\nf 1 1\n", "neither a triangle nor a quad"),
        ("v 1 2 3\nf 1 1 1 1 1\n", "neither a triangle nor a quad"),
        ("v 1 2 3\nf a b c\n", "no number"),
        ("v 1 2 3\nf 1 1 99999999999999999999\n", "no number"),
    ],
)
def test_malformed_meshes(tmp_path: Path, text: str, problem: str):
    (tmp_path / "mesh.obj").write_text(text)
    with pytest.raises(InputError, match=problem):
        read_obj(tmp_path / "mesh.obj")


def test_obj_counts_back_from_the_end(tmp_path: Path):
    (tmp_path / "mesh.obj").write_text("v 0 0 0\nv 1 0 0\nv 0 1 0\nf -3 -2 -1\n")
    assert read_obj(tmp_path / "mesh.obj").polygons.tolist() == [[0, 1, 2, 2]]
