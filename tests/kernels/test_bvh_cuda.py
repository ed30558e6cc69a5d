"""The mesh tree on a GPU: rays and nearest points against the CPU and plain torch, refit, streams, graphs, devices."""

import numpy as np
import pytest
import torch
from kernel_runtime import ArgumentError
from torchoptixext_visibility import MeshBvh, cpu_bvh, reference
from visibility_meshes import head, soup

on_gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs an NVIDIA GPU")


def rays(count: int, seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Rays from a shell around the unit cube towards points in it, with directions of varied length."""
    generator = torch.Generator().manual_seed(seed)
    origins = 0.5 + 2 * torch.nn.functional.normalize(torch.randn(count, 3, generator=generator), dim=-1)
    targets = torch.rand(count, 3, generator=generator)
    return origins, (targets - origins) * (0.1 + torch.rand(count, 1, generator=generator))


def trees(vertices: torch.Tensor, faces: torch.Tensor) -> tuple[MeshBvh, MeshBvh]:
    """The same mesh on the GPU and on the CPU."""
    return MeshBvh(vertices.cuda(), faces.cuda()), MeshBvh(vertices, faces)


def test_trees_of_hostile_meshes_stay_within_the_kernels_stacks():
    """Triangles that halve in size and distance: splits by planes alone would peel them off one by one."""
    scale = (0.5 ** np.arange(126, dtype=np.float64))[:, None, None]
    corners = (scale * (np.ones(3) + 0.1 * np.eye(3))).astype(np.float32)
    corners = np.concatenate([corners, -corners]).reshape(-1, 3)
    faces = np.arange(len(corners), dtype=np.int32).reshape(-1, 3)
    links, _, depth = cpu_bvh.build(corners, faces)
    assert len(links) > len(faces) / cpu_bvh.LEAF_SIZE
    assert depth <= 64


@pytest.mark.gpu
@on_gpu
@pytest.mark.parametrize("size", [0.02, 0.3])
def test_rays_agree_with_the_cpu(size):
    vertices, faces = soup(800, size, torch.Generator().manual_seed(0))
    gpu, cpu = trees(vertices, faces)
    origins, directions = rays(20_000, 1)
    ours, expected = gpu.trace(origins.cuda(), directions.cuda(), 1.5), cpu.trace(origins, directions, 1.5)
    assert ours.t.device.type == "cuda"
    same = ours.face_id.cpu() == expected.face_id
    assert same.float().mean() > 0.9995  # other roundings at edges, at t_max and at crossings of two triangles
    assert (same & (expected.face_id >= 0)).float().mean() > 0.05
    t, weights = ours.t.cpu()[same], ours.barycentric.cpu()[same]
    assert torch.equal(t.isinf(), expected.t[same].isinf())
    hit = t.isfinite()
    assert (t - expected.t[same])[hit].abs().median() < 1e-6
    assert (t - expected.t[same])[hit].abs().max() < 1e-2  # slivers seen edge-on amplify rounding
    assert (weights - expected.barycentric[same]).abs().median() < 1e-6
    hidden = gpu.occluded(origins.cuda(), directions.cuda(), 0.3, 1.2)
    assert hidden.dtype == torch.bool
    assert (hidden.cpu() == cpu.occluded(origins, directions, 0.3, 1.2)).float().mean() > 0.9995


@pytest.mark.gpu
@on_gpu
def test_rays_agree_with_plain_torch_in_float64():
    vertices, faces = soup(100, 0.3, torch.Generator().manual_seed(2))
    origins, directions = rays(2000, 3)
    hits = MeshBvh(vertices.cuda(), faces.cuda()).trace(origins.cuda(), directions.cuda())
    t, face_id, _ = reference.trace(vertices.double(), faces, origins.double(), directions.double())
    same = hits.face_id.cpu() == face_id
    assert same.float().mean() > 0.995  # float32 against float64 at edges
    assert (hits.t.cpu() - t)[same & (face_id >= 0)].abs().median() < 1e-5


@pytest.mark.gpu
@on_gpu
def test_a_closed_mesh_has_no_holes():
    vertices, faces = head(30, 36)
    origin = torch.tensor([[0.01, 0.02, -0.03]]).cuda()
    edges = torch.cat([faces[:, [0, 1]], faces[:, [1, 2]]]).long()
    share = torch.rand(len(edges), 1, generator=torch.Generator().manual_seed(4))
    on_edges = (share * vertices[edges[:, 0]] + (1 - share) * vertices[edges[:, 1]]).cuda()
    bvh = MeshBvh(vertices.cuda(), faces.cuda())
    assert bvh.occluded(origin.expand_as(on_edges), on_edges - origin).all()
    # Aimed exactly at a vertex, the signs of its edges are all noise: a few rays in a thousand may slip through.
    corners = vertices.cuda()
    assert bvh.occluded(origin.expand_as(corners), corners - origin).float().mean() > 0.99


@pytest.mark.gpu
@on_gpu
def test_rays_along_the_axes_meet_flat_boxes():
    square = torch.tensor([[0.0, 0.0, 0.0], [1.0, 0.0, 0.0], [1.0, 1.0, 0.0], [0.0, 1.0, 0.0]]).cuda()
    faces = torch.tensor([[0, 1, 2], [0, 2, 3]]).cuda()
    for axis in range(3):
        bvh = MeshBvh(square.roll(axis, 1), faces)
        origin = torch.tensor([[0.75, 0.25, 3.0], [0.25, 0.75, 3.0]]).cuda().roll(axis, 1)
        way = torch.tensor([[0.0, 0.0, -1.0]]).cuda().roll(axis, 1).expand(2, 3)
        hits = bvh.trace(origin, way)
        assert hits.face_id.tolist() == [0, 1]
        assert hits.t.tolist() == [3, 3]


@pytest.mark.gpu
@on_gpu
@pytest.mark.parametrize("far", [0.0, 0.5])
def test_nearest_points_agree_with_the_cpu_and_all_faces(far):
    generator = torch.Generator().manual_seed(0)
    for vertices, faces in (head(14, 16), soup(200, 0.1, generator)):
        points = vertices[torch.randint(len(vertices), (2000,), generator=generator)]
        points = points + (0.01 + far) * torch.randn(2000, 3, generator=generator)
        gpu, cpu = trees(vertices, faces)
        ours, expected = gpu.closest_point(points.cuda()), cpu.closest_point(points)
        _, _, exact2 = reference.closest_point(vertices.double(), faces, points.double())
        # Distances of about 1 from coordinates of about 1 in float32.
        assert torch.allclose(ours.squared_distance.cpu().double().sqrt(), exact2.sqrt(), atol=2e-6)
        # Points nearest to a common edge or vertex may be given to either face.
        surface = [
            (found.barycentric.cpu()[:, :, None] * vertices[faces.long()][found.face_id.cpu()]).sum(1)
            for found in (ours, expected)
        ]
        assert (surface[0] - points).norm(dim=-1).double().sub(exact2.sqrt()).abs().max() < 2e-6
        assert (surface[0] - surface[1]).norm(dim=-1).median() < 1e-7
        assert (ours.barycentric >= 0).all()


@pytest.mark.gpu
@on_gpu
def test_segments_points_and_coincident_faces():
    vertices = torch.tensor([[0.0, 0.0, 0.0], [2.0, 0.0, 0.0], [1.0, 0.0, 0.0], [5.0, 5.0, 5.0]])
    gpu, cpu = trees(vertices, torch.tensor([[0, 1, 2], [3, 3, 3]]))
    points = torch.tensor([[1.5, 1.0, 0.0], [5.0, 5.0, 4.0]])
    for ours, expected in zip(gpu.closest_point(points.cuda()), cpu.closest_point(points), strict=True):
        assert torch.equal(ours.cpu(), expected)
    many = torch.cat([torch.zeros(500, 3), torch.tensor([[0.0, 1.0, 2.0]]).expand(500, 3)]).int()
    triangle = torch.tensor([[0.0, 0.0, 0.0], [1.0, 0.0, 0.0], [0.0, 1.0, 0.0]])
    bvh = MeshBvh(triangle.cuda(), many.cuda())
    hit = bvh.trace(torch.tensor([[0.2, 0.2, 1.0]]).cuda(), torch.tensor([[0.0, 0.0, -1.0]]).cuda())
    assert hit.t == 1
    assert bvh.closest_point(torch.tensor([[0.2, 0.2, 1.0]]).cuda()).face_id == 500


@pytest.mark.gpu
@on_gpu
def test_refit_equals_rebuild_many_times_over():
    vertices, faces = soup(3000, 0.05, torch.Generator().manual_seed(5))
    origins, directions = (tensor.cuda() for tensor in rays(5000, 6))
    refitted = MeshBvh(vertices.cuda(), faces.cuda())
    for step in range(20):  # the leaves meet on their way up in another order every time
        moved = vertices * torch.tensor([1.5, 0.5, 1.0]) + 0.05 * step * vertices.roll(1, 0)
        refitted.refit(moved.cuda())
        rebuilt = MeshBvh(moved.cuda(), faces.cuda())
        for ours, expected in zip(refitted.trace(origins, directions), rebuilt.trace(origins, directions), strict=True):
            assert torch.equal(ours, expected)


@pytest.mark.gpu
@on_gpu
def test_nothing_to_do_and_no_faces():
    empty = MeshBvh(torch.zeros(0, 3).cuda(), torch.zeros(0, 3, dtype=torch.int64).cuda())
    empty.refit(torch.zeros(0, 3).cuda())
    assert empty.trace(torch.zeros(2, 3).cuda(), torch.ones(2, 3).cuda()).t.isinf().all()
    assert not empty.occluded(torch.zeros(2, 3).cuda(), torch.ones(2, 3).cuda()).any()
    with pytest.raises(ArgumentError, match="no faces"):
        empty.closest_point(torch.zeros(1, 3).cuda())
    vertices, faces = head(6, 8)
    bvh, none = MeshBvh(vertices.cuda(), faces.cuda()), torch.zeros(0, 3).cuda()
    assert bvh.trace(none, none).face_id.shape == (0,)
    assert bvh.closest_point(none).barycentric.shape == (0, 3)


@pytest.mark.gpu
@on_gpu
def test_gaps_in_memory_are_accepted_and_misuse_is_reported():
    vertices, faces = head(20, 24)
    origins, directions = (tensor.cuda() for tensor in rays(100, 7))
    bvh = MeshBvh(vertices.cuda().repeat(1, 2)[:, :3], faces.cuda().flip(0).flip(0))
    bvh.refit(vertices.cuda().T.contiguous().T)
    plain = bvh.trace(origins, directions)
    gapped = bvh.trace(origins.T.contiguous().T, directions.repeat(1, 2)[:, 3:])
    assert torch.equal(plain.t, gapped.t)
    for bad, message in ((origins.double(), "float64"), (origins.cpu(), "on cuda:0, got one on cpu")):
        with pytest.raises(ArgumentError, match=message):
            bvh.trace(bad, directions)
    with pytest.raises(ArgumentError, match="vertex numbers"):
        MeshBvh(vertices.cuda(), faces.cuda() + 1)
    with pytest.raises(ArgumentError, match="not finite"):
        MeshBvh(vertices.cuda() * torch.nan, faces.cuda())


@pytest.mark.gpu
@on_gpu
def test_coordinates_that_are_not_finite_end_in_misses():
    vertices, faces = head(20, 24)
    bvh = MeshBvh(vertices.cuda(), faces.cuda())
    nan = torch.full((3, 3), torch.nan).cuda()
    assert bvh.closest_point(nan).face_id.tolist() == [-1, -1, -1]
    bvh.refit(torch.full_like(vertices, torch.nan).cuda())
    assert (bvh.trace(torch.zeros(1, 3).cuda(), torch.ones(1, 3).cuda()).face_id == -1).all()


@pytest.mark.gpu
@on_gpu
@pytest.mark.skipif(torch.cuda.device_count() < 2, reason="needs two GPUs")
def test_two_devices_in_one_process():
    vertices, faces = soup(300, 0.1, torch.Generator().manual_seed(8))
    origins, directions = rays(500, 9)
    first, second = (
        MeshBvh(vertices.to(device), faces.to(device)).trace(origins.to(device), directions.to(device))
        for device in ("cuda:0", "cuda:1")
    )
    assert second.t.device == torch.device("cuda:1")
    assert torch.equal(first.t.cpu(), second.t.cpu())
