"""The CUDA tree and its visibility run as host code: the bits are those of the CPU's tree, without a GPU."""

import shutil

import pytest
import torch
from emulation import Emulator
from kernel_runtime.cuda import Kernel
from test_visibility_cuda import GRAZING, ROTATION, unpack
from torchoptixext_visibility import MeshBvh, cuda, grouping
from torchoptixext_visibility.cuda import CudaTree
from visibility_meshes import head, soup, vertex_normals

pytestmark = pytest.mark.skipif(shutil.which("g++") is None, reason="needs g++")
SIZE = 8, 16  # of the light map; fewer directions than a warp holds, so that the table of cones is quick to make


@pytest.fixture(scope="module")
def emulator(tmp_path_factory) -> Emulator:
    return Emulator(tmp_path_factory.mktemp("emulation"))


@pytest.fixture(scope="module")
def tables():
    return light_tables(*SIZE)


def light_tables(height: int, width: int):
    """As `cuda._light_tables`, which waits for a device."""
    order = grouping.grouped_texels(height, width, cuda._GROUP)
    texels = torch.from_numpy(cuda.texel_directions(height, width)[order])
    texels[order < 0] = 0
    return texels, torch.from_numpy(grouping.positions(order, height * width)), cuda.cone_table(texels, cuda._GROUP)


@pytest.fixture(autouse=True)
def on_emulation(emulator, tables, monkeypatch):
    monkeypatch.setattr(Kernel, "launch", lambda kernel, *args: emulator.launch(kernel, *args))
    monkeypatch.setattr(cuda, "_light_tables", lambda *_: tables)


def bits(tree: CudaTree, points, normals) -> torch.Tensor:
    return unpack(tree.visibility(points, normals, *SIZE, ROTATION, 1e-4), SIZE[0] * SIZE[1])


def expected_bits(vertices, faces, points, normals) -> torch.Tensor:
    words = MeshBvh(vertices, faces).visibility(points, normals, *SIZE, ROTATION, 1e-4)
    return unpack(words, SIZE[0] * SIZE[1])


@pytest.mark.parametrize("inside", [False, True])
def test_bits_are_those_of_the_cpu(inside: bool):
    if inside:
        generator = torch.Generator().manual_seed(1)
        vertices, faces = soup(600, 0.1, generator)
        points, normals = torch.rand(60, 3, generator=generator), torch.randn(60, 3, generator=generator)
    else:
        vertices, faces = head(24, 30)
        points, normals = vertices[::11].contiguous(), vertex_normals(vertices, faces)[::11].contiguous()
    tree = CudaTree(vertices, faces.int())
    expected = expected_bits(vertices, faces, points, normals)
    assert 0.1 < float(expected.float().mean()) < 0.9
    first = bits(tree, points, normals)
    assert float((first != expected).float().mean()) < GRAZING
    assert torch.equal(bits(tree, points, normals), first)  # with what occluded in the first call


def test_moved_vertices_are_seen_where_they_are():
    vertices, faces = head(24, 30)
    moved = vertices * torch.tensor([1.0, 0.7, 1.3]) + 0.01 * torch.sin(40 * vertices[:, [1, 2, 0]])
    points, normals = moved[::17].contiguous(), vertex_normals(moved, faces)[::17].contiguous()
    tree = CudaTree(vertices, faces.int())
    bits(tree, vertices[::17].contiguous(), vertex_normals(vertices, faces)[::17].contiguous())
    tree.refit(moved)
    assert float((bits(tree, points, normals) != expected_bits(moved, faces, points, normals)).float().mean()) < GRAZING


@pytest.mark.parametrize("count", [0, 1, 4, 5, 40])
def test_few_faces(count: int):
    """Trees without nodes, of a leaf alone, and of a few levels."""
    vertices, faces = soup(40, 0.6, torch.Generator().manual_seed(3))
    points, normals = torch.full((5, 3), 0.5), torch.zeros(5, 3)  # in free space
    points[:, 0] += 0.05 * torch.arange(5)
    few = faces[:count].int().contiguous()
    tree = CudaTree(vertices, few)
    assert torch.equal(bits(tree, points, normals), expected_bits(vertices, few, points, normals))


def test_children_at_one_distance():
    """Coincident faces: no two children of a node differ in distance, and each waits in a place of its own."""
    vertices, faces = soup(40, 0.6, torch.Generator().manual_seed(3))
    many = torch.cat([faces, faces[:1].expand(400, 3)]).int().contiguous()
    points, normals = torch.full((5, 3), 0.5), torch.zeros(5, 3)
    points[:, 0] += 0.05 * torch.arange(5)
    tree = CudaTree(vertices, many)
    assert torch.equal(bits(tree, points, normals), expected_bits(vertices, many, points, normals))
