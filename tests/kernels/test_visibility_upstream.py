"""The OptiX extension's function names: layouts, shaders, the refit counter and separate state."""

import pytest
import torch
import torchoptixext_visibility as tv
from kernel_runtime import ArgumentError, UnsupportedDevice
from torchoptixext_visibility import upstream
from visibility_meshes import head, vertex_normals


@pytest.fixture
def visibility_tracer():
    yield tv.optixEnvmapVisibility_init
    tv.optixEnvmapVisibility_destroy("cpu")


def test_surface_shader_gives_the_bits_word_by_word(visibility_tracer):
    vertices, faces = head(10, 12)
    normals = vertex_normals(vertices, faces)
    visibility_tracer("cpu", shader=3)
    tv.optixEnvmapVisibility_load_mesh([vertices], [faces])
    words = tv.optixEnvmapVisibility_trace(vertices, normals, torch.eye(3), 32, 16)
    assert words.shape == (16, len(vertices))
    assert words.is_contiguous()
    assert torch.equal(words.T, tv.MeshBvh(vertices, faces).visibility(vertices, normals, 16, 32))


@pytest.mark.parametrize("shader", [0, 1, 2])
def test_free_space_shaders_ignore_normals(visibility_tracer, shader):
    vertices, faces = head(10, 12)
    points = torch.tensor([[0.0, 0.0, 0.5], [0.2, 0.1, 0.0]])
    visibility_tracer("cpu", shader)
    tv.optixEnvmapVisibility_load_mesh([vertices], [faces])
    words = tv.optixEnvmapVisibility_trace(points, None, torch.eye(3), 32, 16)
    assert torch.equal(words, tv.optixEnvmapVisibility_trace(points, points, torch.eye(3), 32, 16))
    assert torch.equal(words.T, tv.MeshBvh(vertices, faces).visibility(points, None, 16, 32))


def test_loads_refit_between_full_updates_and_start_over_with_other_faces(visibility_tracer, monkeypatch):
    builds = []
    original = tv.MeshBvh.__init__
    monkeypatch.setattr(tv.MeshBvh, "__init__", lambda self, *mesh: (builds.append(1), original(self, *mesh))[1])
    vertices, faces = head(6, 8)
    visibility_tracer("cpu", fullupdate_step=3)
    for _ in range(4):
        tv.optixEnvmapVisibility_load_mesh([vertices], [faces])
    assert len(builds) == 2  # loads 0 and 3
    tv.optixEnvmapVisibility_load_mesh([vertices], [faces.flip(1)])
    tv.optixEnvmapVisibility_load_mesh([vertices], [faces.flip(1)])
    assert len(builds) == 3
    tv.optixEnvmapVisibility_destroy_mesh("cpu")
    tv.optixEnvmapVisibility_load_mesh([vertices], [faces.flip(1)])
    assert len(builds) == 4


def test_the_same_indices_are_read_once_and_changed_ones_again(visibility_tracer, monkeypatch):
    merged = []
    original = upstream._merge
    monkeypatch.setattr(upstream, "_merge", lambda *groups: (merged.append(1), original(*groups))[1])
    vertices, faces = head(6, 8)
    point = torch.zeros(1, 3)
    visibility_tracer("cpu", fullupdate_step=10)
    for scale in (1.0, 0.9, 0.8):
        tv.optixEnvmapVisibility_load_mesh([scale * vertices], [faces])
    assert len(merged) == 1
    inside = tv.optixEnvmapVisibility_trace(point, None, torch.eye(3), 32, 16)
    faces[: len(faces) // 2] = 0
    tv.optixEnvmapVisibility_load_mesh([0.8 * vertices], [faces])
    assert len(merged) == 2
    opened = tv.optixEnvmapVisibility_trace(point, None, torch.eye(3), 32, 16)
    assert not torch.equal(inside, opened)
    with pytest.raises(ArgumentError, match="vertex_group"):
        tv.optixEnvmapVisibility_load_mesh([vertices.double()], [faces])


def test_refitted_mesh_is_the_moved_one(visibility_tracer):
    vertices, faces = head(10, 12)
    point = torch.tensor([[0.0, 0.0, 0.3]])
    visibility_tracer("cpu", fullupdate_step=10)
    for shift in (0.0, 0.1):
        moved = vertices + torch.tensor([shift, 0.0, 0.0])
        tv.optixEnvmapVisibility_load_mesh([moved], [faces])
        words = tv.optixEnvmapVisibility_trace(point, None, torch.eye(3), 32, 16)
        assert torch.equal(words.T, tv.MeshBvh(moved, faces).visibility(point, None, 16, 32))


def test_distances_over_several_parts_with_and_without_indices():
    square = torch.tensor([[0.0, 0.0, 0.0], [1.0, 0.0, 0.0], [1.0, 1.0, 0.0], [0.0, 1.0, 0.0]])
    triangle = torch.tensor([[2.0, 0.0, 1.0], [3.0, 0.0, 1.0], [2.0, 1.0, 1.0]])
    tv.optixDist_init("cpu")
    tv.optixDist_load_mesh([triangle, square], [None, torch.tensor([[0, 1, 2], [0, 2, 3]], dtype=torch.int32)])
    origins = torch.tensor([[[0.2, 0.7, 4.0], [2.2, 0.3, 4.0], [5.0, 5.0, 4.0]]])
    down = torch.tensor([0.0, 0.0, -2.0]).expand_as(origins)
    t = tv.optixDist_trace(origins, down)
    tv.optixDist_destroy("cpu")
    assert torch.equal(t, torch.tensor([[2.0, 1.5, torch.inf]]))
    with pytest.raises(ArgumentError, match="optixDist_init"):
        tv.optixDist_trace(origins, down)


def test_misuse_is_reported(visibility_tracer):
    vertices, faces = head(6, 8)
    with pytest.raises(UnsupportedDevice, match="mps"):
        tv.optixDist_init("mps")
    with pytest.raises(ArgumentError, match="shader"):
        visibility_tracer("cpu", shader=4)
    visibility_tracer("cpu", shader=3)
    with pytest.raises(ArgumentError, match="load_mesh first"):
        tv.optixEnvmapVisibility_trace(vertices, vertices, torch.eye(3), 32, 16)
    with pytest.raises(ArgumentError, match="multiple of 3"):
        tv.optixEnvmapVisibility_load_mesh([vertices[:4]], [None])
    with pytest.raises(ArgumentError, match=r"0\.\.2"):
        tv.optixEnvmapVisibility_load_mesh([vertices[:3]], [faces])
    tv.optixEnvmapVisibility_load_mesh([vertices], [faces])
    with pytest.raises(ArgumentError, match="needs normals"):
        tv.optixEnvmapVisibility_trace(vertices, None, torch.eye(3), 32, 16)


def test_sample_picture_shows_an_upright_triangle():
    picture = tv.run_sample_code()
    assert picture.shape == (768, 1024, 4)
    assert picture.dtype == torch.uint8
    covered = (picture != picture[0, 0]).any(-1).sum(1)
    rows = covered.nonzero()[:, 0]
    assert covered[rows[0]] > covered[rows[-1]]  # bottom row first: the base comes before the tip
    assert (picture[..., 3] == 255).all()
