"""The .obj and .glb files, read back by minimal parsers that follow the formats' specifications."""

import json
import struct
from dataclasses import replace

import numpy as np
import pytest

from rgb_core.exporting import EXPORTERS

_COMPONENTS = {5126: "<f4", 5125: "<u4"}
_WIDTHS = {"SCALAR": 1, "VEC2": 2, "VEC3": 3}


class Glb:
    """A binary glTF file taken apart, with the checks of the specification's container chapter."""

    def __init__(self, data: bytes):
        magic, version, length = struct.unpack_from("<4sII", data)
        assert (magic, version, length) == (b"glTF", 2, len(data))
        chunks, position = [], 12
        while position < length:
            size, kind = struct.unpack_from("<I4s", data, position)
            assert size % 4 == 0
            chunks.append((kind, data[position + 8 : position + 8 + size]))
            position += 8 + size
        assert [kind for kind, _ in chunks] == [b"JSON", b"BIN\0"]
        self.document = json.loads(chunks[0][1])
        self.buffer = chunks[1][1]
        assert 0 <= len(self.buffer) - self.document["buffers"][0]["byteLength"] < 4

    def array(self, index: int) -> np.ndarray:
        accessor = self.document["accessors"][index]
        view = self.document["bufferViews"][accessor["bufferView"]]
        width = _WIDTHS[accessor["type"]]
        assert view["byteLength"] == accessor["count"] * width * 4
        assert view["byteOffset"] % 4 == 0
        values = np.frombuffer(
            self.buffer, _COMPONENTS[accessor["componentType"]], accessor["count"] * width, view["byteOffset"]
        ).reshape(-1, width)
        for key, bound in (("min", values.min(0)), ("max", values.max(0))):
            if key in accessor:
                np.testing.assert_array_equal(np.float32(accessor[key]), bound)
        return values


def _primitive(glb):
    return glb.document["meshes"][0]["primitives"][0]


def test_glb_triangles_are_the_mesh_corner_by_corner(scene, tmp_path):
    EXPORTERS["glb"](scene, tmp_path / "a.glb")
    glb = Glb((tmp_path / "a.glb").read_bytes())
    attributes = _primitive(glb)["attributes"]
    corners = glb.array(_primitive(glb)["indices"])[:, 0]
    mesh = scene.mesh
    for name, expected in {
        "POSITION": mesh.vertices[mesh.faces],
        "NORMAL": mesh.normals[mesh.faces],
        "COLOR_0": mesh.colors[mesh.faces],
    }.items():
        np.testing.assert_array_equal(glb.array(attributes[name])[corners], expected.reshape(-1, 3).numpy())
    uv = glb.array(attributes["TEXCOORD_0"])[corners]
    # 1 - v in float32 is exact to an ulp of 1.
    np.testing.assert_allclose(uv * (1, -1) + (0, 1), mesh.uv[mesh.uv_faces].reshape(-1, 2).numpy(), atol=1e-7)


def test_glb_positions_and_targets_state_their_bounds(scene, tmp_path):
    EXPORTERS["glb"](scene, tmp_path / "a.glb")
    glb = Glb((tmp_path / "a.glb").read_bytes())
    primitive = _primitive(glb)
    for index in [primitive["attributes"]["POSITION"], *(target["POSITION"] for target in primitive["targets"])]:
        assert {"min", "max"} <= glb.document["accessors"][index].keys()


def test_glb_expressions_are_morph_targets(scene, tmp_path):
    EXPORTERS["glb"](scene, tmp_path / "a.glb")
    glb = Glb((tmp_path / "a.glb").read_bytes())
    shape = glb.document["meshes"][0]
    assert shape["extras"]["targetNames"] == ["smile", "blink"]
    assert shape["weights"] == [0.0, 0.0]
    corners = glb.array(_primitive(glb)["indices"])[:, 0]
    for offsets, target in zip(scene.expressions.offsets, _primitive(glb)["targets"], strict=True):
        expected = offsets[scene.mesh.faces].reshape(-1, 3).numpy()
        np.testing.assert_array_equal(glb.array(target["POSITION"])[corners], expected)


def test_glb_of_a_bare_mesh(scene, tmp_path):
    bare = replace(scene, mesh=replace(scene.mesh, colors=None, uv=None, uv_faces=None), expressions=None)
    EXPORTERS["glb"](bare, tmp_path / "a.glb")
    glb = Glb((tmp_path / "a.glb").read_bytes())
    assert set(_primitive(glb)["attributes"]) == {"POSITION", "NORMAL"}
    assert "targets" not in _primitive(glb)
    np.testing.assert_array_equal(glb.array(_primitive(glb)["indices"]).reshape(-1, 3), bare.mesh.faces.numpy())


@pytest.mark.parametrize("textured", [True, False])
def test_obj_reads_back(scene, tmp_path, textured):
    mesh = scene.mesh if textured else replace(scene.mesh, uv=None, uv_faces=None)
    EXPORTERS["obj"](replace(scene, mesh=mesh), tmp_path / "a.obj")
    rows = {"v": [], "vn": [], "vt": [], "f": []}
    for line in (tmp_path / "a.obj").read_text().splitlines():
        key, *words = line.split()
        if key in rows:
            rows[key].append(words)
    vertices = np.array(rows["v"], float)
    np.testing.assert_allclose(vertices[:, :3], mesh.vertices.numpy(), atol=1e-6)  # six digits are written
    corners = np.array([[word.split("/") for word in face] for face in rows["f"]])
    np.testing.assert_array_equal(corners[..., 0].astype(int) - 1, mesh.faces.numpy())
    np.testing.assert_array_equal(corners[..., 2], corners[..., 0])
    np.testing.assert_allclose(np.array(rows["vn"], float), mesh.normals.numpy(), atol=1e-4)
    if textured:
        np.testing.assert_array_equal(corners[..., 1].astype(int) - 1, mesh.uv_faces.numpy())
        np.testing.assert_allclose(np.array(rows["vt"], float), mesh.uv.numpy(), atol=1e-6)
    else:
        assert not rows["vt"]
