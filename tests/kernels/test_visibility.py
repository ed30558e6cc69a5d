"""Visibility bitfields: against Embree, plain torch rays, convex bodies and single blocked directions."""

import embreex.rtcore_scene
import numba
import numpy as np
import pytest
import torch
from embreex.mesh_construction import TriangleMesh
from kernel_runtime import ArgumentError, texel_directions
from torchoptixext_visibility import MeshBvh, reference
from visibility_meshes import head, soup, vertex_normals

ROTATION = torch.tensor([[0.36, 0.48, -0.8], [-0.8, 0.6, 0.0], [0.48, 0.64, 0.6]])


def unpack(words: torch.Tensor, texels: int) -> torch.Tensor:
    """bool [P, texels] of words [P,S]."""
    shifts = torch.arange(32)
    bits = (words.long()[:, :, None] >> shifts & 1).flatten(1).bool()
    assert not bits[:, texels:].any(), "bits past the last texel must be 0"
    return bits[:, :texels]


def embree_visibility(vertices, faces, points, normals, height, width, rotation, offset) -> torch.Tensor:
    directions = (texel_directions(height, width) @ rotation.double().numpy().T).astype(np.float32)
    origins = (points + offset * normals).numpy()
    scene = embreex.rtcore_scene.EmbreeScene()
    TriangleMesh(scene, vertices[faces.long()].numpy())
    hit = scene.run(np.repeat(origins, len(directions), 0), np.tile(directions, (len(origins), 1)), query="OCCLUDED")
    above = normals @ torch.from_numpy(directions).T >= 0
    return torch.from_numpy(hit == -1).reshape(len(points), -1) & above


@pytest.mark.parametrize(("height", "width"), [(16, 32), (32, 64), (7, 9)])
def test_agrees_with_embree_on_a_head(height, width):
    vertices, faces = head(40, 48)
    normals = vertex_normals(vertices, faces)
    words = MeshBvh(vertices, faces).visibility(vertices, normals, height, width, ROTATION)
    expected = embree_visibility(vertices, faces, vertices, normals, height, width, ROTATION, 1e-5)
    assert 0.4 < expected.float().mean() < 0.499  # some shadows beyond the hemisphere, so that the test has teeth
    # Rays through edges and ties of dot(direction, normal) with 0 may fall either way.
    assert (unpack(words, height * width) != expected).float().mean() < 1e-3


@pytest.mark.parametrize("size", [0.02, 0.3])
def test_agrees_with_embree_inside_a_triangle_soup(size):
    generator = torch.Generator().manual_seed(1)
    vertices, faces = soup(600, size, generator)
    points = torch.rand(300, 3, generator=generator)
    normals = torch.nn.functional.normalize(torch.randn(300, 3, generator=generator), dim=-1)
    words = MeshBvh(vertices, faces).visibility(points, normals, 16, 32, ROTATION)
    expected = embree_visibility(vertices, faces, points, normals, 16, 32, ROTATION, 1e-5)
    assert expected.float().mean() < 0.49
    assert (unpack(words, 512) != expected).float().mean() < 1e-3  # as above


def test_agrees_with_plain_torch_rays():
    vertices, faces = head(10, 12)
    normals = vertex_normals(vertices, faces)
    points, directions = vertices[::14], normals[::14]
    words = MeshBvh(vertices, faces).visibility(points, directions, 16, 32, ROTATION)
    expected = reference.visibility(
        vertices.double(), faces, points.double(), directions.double(), 16, 32, ROTATION.double()
    )
    assert (unpack(words, 512) != expected).float().mean() < 1e-3  # float32 against float64 at edges


def test_convex_body_hides_exactly_what_lies_below_its_faces():
    generator = torch.Generator().manual_seed(2)
    octahedron = torch.cat([torch.eye(3), -torch.eye(3)]) @ torch.linalg.qr(torch.randn(3, 3, generator=generator))[0]
    faces = torch.tensor([[0, 1, 2], [0, 1, 5], [0, 4, 2], [0, 4, 5], [3, 1, 2], [3, 1, 5], [3, 4, 2], [3, 4, 5]])
    corners = octahedron[faces]
    normals = torch.nn.functional.normalize(corners.sum(1), dim=-1)
    words = MeshBvh(octahedron, faces).visibility(corners.mean(1), normals, 16, 32, offset=1e-4)
    cosine = normals.double() @ torch.from_numpy(texel_directions(16, 32)).T
    clear_cut = cosine.abs() > 1e-6  # closer to the horizon float32 may decide either way
    assert torch.equal(unpack(words, 512)[clear_cut], (cosine > 0)[clear_cut])


@pytest.mark.parametrize("texel", [0, 31, 32, 77, 131])
def test_bit_order_by_blocking_one_texel(texel):
    height, width = 11, 12
    direction = torch.from_numpy(texel_directions(height, width)[texel]).float()
    side = torch.linalg.cross(direction, torch.tensor([0.3, 0.5, 0.8]))
    up = torch.linalg.cross(direction, side)
    blocker = 5 * direction + 0.1 * torch.stack([side, -side + up, -side - up])
    point = torch.zeros(1, 3)
    words = MeshBvh(blocker, torch.tensor([[0, 1, 2]])).visibility(point, None, height, width)
    expected = torch.full((5,), -1, dtype=torch.int32)
    expected[4] = 2 ** (height * width - 128) - 1
    expected[texel // 32] -= (1 << texel % 32) if texel % 32 < 31 else -(2**31)
    assert torch.equal(words[0], expected)


def test_light_rotation_is_that_of_the_mesh_turned_back():
    generator = torch.Generator().manual_seed(3)
    vertices, faces = soup(200, 0.2, generator)
    points = torch.rand(50, 3, generator=generator)
    normals = torch.randn(50, 3, generator=generator)
    turned = MeshBvh(vertices, faces).visibility(points, normals, 16, 32, ROTATION, offset=0)
    back = MeshBvh(vertices @ ROTATION, faces).visibility(points @ ROTATION, normals @ ROTATION, 16, 32, offset=0)
    assert (unpack(turned, 512) != unpack(back, 512)).float().mean() < 1e-3  # edges


def test_normals_cull_and_lift_the_origin():
    plate = torch.tensor([[-9.0, 0.0, -9.0], [9.0, 0.0, -9.0], [0.0, 0.0, 12.0]])
    bvh = MeshBvh(plate, torch.tensor([[0, 1, 2]]))
    up = torch.tensor([[0.0, 2.0, 0.0]])
    below = torch.tensor([[0.0, -0.5, 0.0]])
    upper = torch.from_numpy(texel_directions(8, 16)[:, 1] > 0)[None]
    lifted = bvh.visibility(below, up, 8, 16, offset=0.3)  # to 0.1 above the plate: the normal's length counts
    assert torch.equal(unpack(lifted, 128), upper)
    caught = unpack(bvh.visibility(below, up, 8, 16, offset=0.2), 128)  # 0.1 below: only grazing rays pass the rim
    steep = torch.from_numpy(texel_directions(8, 16)[:, 1] > 0.1)[None]
    assert not caught[steep].any()


def test_empty_inputs_and_meshes():
    none = MeshBvh(torch.zeros(0, 3), torch.zeros(0, 3, dtype=torch.int32))
    assert (none.visibility(torch.zeros(2, 3), None, 4, 8) == -1).all()
    vertices, faces = head(6, 8)
    assert MeshBvh(vertices, faces).visibility(torch.zeros(0, 3), torch.zeros(0, 3), 16, 32).shape == (0, 16)


def test_triangles_without_area_hide_nothing():
    vertices = torch.tensor([[0.0, 1.0, 0.0], [1.0, 1.0, 0.0], [2.0, 1.0, 0.0]])
    faces = torch.tensor([[0, 0, 0], [0, 1, 1], [0, 1, 2]])
    assert (MeshBvh(vertices, faces).visibility(torch.zeros(1, 3), None, 4, 8) == -1).all()


def test_same_bits_on_every_run_and_number_of_threads():
    vertices, faces = head(20, 24)
    normals, bvh = vertex_normals(vertices, faces), MeshBvh(vertices, faces)
    first = bvh.visibility(vertices, normals, 16, 32)
    threads = numba.get_num_threads()
    numba.set_num_threads(1)
    single = bvh.visibility(vertices, normals, 16, 32)
    numba.set_num_threads(threads)
    assert torch.equal(first, single)


def test_misuse_is_reported_by_name():
    bvh = MeshBvh(*head(6, 8))
    points = torch.zeros(3, 3)
    with pytest.raises(ArgumentError, match="normals: expected shape"):
        bvh.visibility(points, torch.zeros(2, 3), 16, 32)
    with pytest.raises(ArgumentError, match="height, width"):
        bvh.visibility(points, points, 0, 32)
    with pytest.raises(ArgumentError, match="light_to_world"):
        bvh.visibility(points, points, 16, 32, torch.eye(4))
