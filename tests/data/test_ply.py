"""PLY meshes: round trip, other writers' dialects, and damaged files."""

import struct

import pytest
import torch

from rgb_core.data import read_ply, write_ply
from rgb_core.errors import InputError

VERTICES = torch.tensor([[0.0, 0.0, 0.0], [1.0, 0.0, 0.5], [0.0, 1.0, 0.25], [0.1, 0.2, 0.3]])
FACES = torch.tensor([[0, 1, 2], [0, 2, 3]])
ASCII = (
    "ply\nformat ascii 1.0\ncomment made by hand\nelement vertex 4\nproperty float x\nproperty double y\n"
    "property float z\nproperty uchar red\nelement face 2\nproperty list uchar int vertex_index\nend_header\n"
    "0 0 0 255\n1 0 0.5 255\n0 1 0.25 255\n0.1 0.2 0.3 255\n3 0 1 2\n3 0 2 3\n"
)


def test_round_trip(tmp_path):
    write_ply(tmp_path / "a.ply", VERTICES, FACES)
    vertices, faces = read_ply(tmp_path / "a.ply")
    assert torch.equal(vertices, VERTICES)
    assert torch.equal(faces, FACES)
    assert faces.dtype == torch.int64


def test_ascii_with_colours_and_a_comment(tmp_path):
    (tmp_path / "a.ply").write_text(ASCII)
    vertices, faces = read_ply(tmp_path / "a.ply")
    assert torch.allclose(vertices, VERTICES)
    assert torch.equal(faces, FACES)


def test_binary_with_normals_flags_and_another_element_first(tmp_path):
    header = (
        "ply\nformat binary_little_endian 1.0\nobj_info x\nelement camera 1\nproperty short zoom\nelement vertex 3\n"
        "property float nx\nproperty float32 x\nproperty float32 y\nproperty float64 z\nelement face 1\n"
        "property list uint8 uint32 vertex_indices\nproperty uchar flag\nelement edge 7\nproperty list int int other\n"
        "end_header\n"
    )
    body = struct.pack("<h", 5)
    body += b"".join(struct.pack("<fffd", 9.0, *corner) for corner in ([0, 0, 1], [1, 0, 2], [0, 1, 3]))
    body += struct.pack("<BIIIB", 3, 2, 1, 0, 7)
    (tmp_path / "a.ply").write_bytes(header.encode() + body)
    vertices, faces = read_ply(tmp_path / "a.ply")
    assert vertices.tolist() == [[0, 0, 1], [1, 0, 2], [0, 1, 3]]
    assert faces.tolist() == [[2, 1, 0]]


def test_a_mesh_without_faces_is_a_point_cloud(tmp_path):
    write_ply(tmp_path / "a.ply", VERTICES, FACES[:0])
    assert read_ply(tmp_path / "a.ply")[1].shape == (0, 3)


BROKEN = {
    "no ply": ("hello", "not a PLY"),
    "no header end": (ASCII[:60], "truncated in its header"),
    "encoding": (ASCII.replace("format ascii", "format binary_big_endian"), "binary_big_endian"),
    "odd line": (ASCII.replace("comment made", "remark made"), "remark made by hand"),
    "unknown type": (ASCII.replace("uchar red", "colour red"), "colour red"),
    "no faces": (ASCII.replace("element face", "element foe"), "no face element"),
    "no z": (ASCII.replace("float z", "float w"), "no x, y, z"),
    "no corners": (ASCII.replace("vertex_index", "strip"), "vertex_indices"),
    "quad": (ASCII.replace("3 0 1 2\n", "4 0 1 2 3\n"), "face has a line without 4 numbers"),
    "edge": (ASCII.replace("3 0 1 2\n", "2 0 1 2\n"), "not triangles"),
    "word": (ASCII.replace("1 0 0.5", "1 zero 0.5"), "vertex has a line without 4 numbers"),
    "cut": (ASCII[: ASCII.index("3 0 2 3")], "truncated in element face"),
    "index": (ASCII.replace("3 0 2 3", "3 0 2 4"), "vertex 4, but only 4"),
    "negative index": (ASCII.replace("3 0 2 3", "3 0 2 -1"), "face with vertex"),
    "nan": (ASCII.replace("1 0 0.5", "1 nan 0.5"), "not finite"),
    "repeated property": (ASCII.replace("double y", "double x"), "repeats one"),
}


@pytest.mark.parametrize("kind", BROKEN)
def test_broken_meshes_are_one_sentence_with_the_file(tmp_path, kind):
    text, says = BROKEN[kind]
    path = tmp_path / "mesh.ply"
    path.write_text(text)
    with pytest.raises(InputError, match=says) as caught:
        read_ply(path)
    assert str(path) in str(caught.value)


def test_cut_binary_and_missing_files(tmp_path):
    path = tmp_path / "a.ply"
    write_ply(path, VERTICES, FACES)
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(InputError, match="truncated in element face"):
        read_ply(path)
    with pytest.raises(InputError, match=r"missing\.ply"):
        read_ply(tmp_path / "missing.ply")
