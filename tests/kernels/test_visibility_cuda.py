"""Visibility bitfields on a GPU: against the CPU and plain torch, convex bodies, hostile input, streams and graphs."""

import pytest
import torch
import torchoptixext_visibility as tv
from kernel_runtime import texel_directions
from torchoptixext_visibility import MeshBvh, reference
from visibility_meshes import head, soup, vertex_normals

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="needs an NVIDIA GPU"),
]

ROTATION = torch.tensor([[0.36, 0.48, -0.8], [-0.8, 0.6, 0.0], [0.48, 0.64, 0.6]])
# Rays through edges and ties of dot(direction, normal) with 0 may fall either way.
GRAZING = 1e-3


def unpack(words: torch.Tensor, texels: int) -> torch.Tensor:
    """bool [P, texels] of words [P,S], on the CPU."""
    bits = (words.cpu().long()[:, :, None] >> torch.arange(32) & 1).flatten(1).bool()
    assert not bits[:, texels:].any(), "bits past the last texel must be 0"
    return bits[:, :texels]


def both(vertices, faces, points, normals, height, width, **options) -> tuple[torch.Tensor, torch.Tensor]:
    """Unpacked bits of the GPU and of the CPU."""
    upward = None if normals is None else normals.cuda()
    ours = MeshBvh(vertices.cuda(), faces.cuda()).visibility(
        points.cuda(), upward, height, width, ROTATION.cuda(), **options
    )
    expected = MeshBvh(vertices, faces).visibility(points, normals, height, width, ROTATION, **options)
    assert ours.shape == expected.shape
    assert ours.dtype == torch.int32
    return unpack(ours, height * width), unpack(expected, height * width)


# Fewer directions than a warp holds, exactly as many, several warps' worth, and more than 32 words.
@pytest.mark.parametrize(("height", "width"), [(1, 1), (7, 9), (16, 32), (32, 64), (33, 70)])
@pytest.mark.parametrize("facing", [1, -1])
def test_agrees_with_the_cpu_on_a_head(height, width, facing):
    vertices, faces = head(40, 48)
    normals = facing * vertex_normals(vertices, faces)
    ours, expected = both(vertices, faces, vertices, normals, height, width)
    assert (ours != expected).float().mean() < GRAZING
    if facing < 0:
        assert ours.float().mean() < 0.02  # normals that face inwards see the inside


@pytest.mark.parametrize("size", [0.02, 0.3])
@pytest.mark.parametrize("free", [False, True])
def test_agrees_with_the_cpu_inside_a_triangle_soup(size, free):
    generator = torch.Generator().manual_seed(1)
    vertices, faces = soup(2000, size, generator)
    points = torch.rand(500, 3, generator=generator)
    normals = None if free else 0.1 + torch.rand(500, 1, generator=generator) * torch.randn(500, 3, generator=generator)
    ours, expected = both(vertices, faces, points, normals, 16, 32, offset=1e-4)
    assert (ours != expected).float().mean() < GRAZING


def test_agrees_with_plain_torch_in_float64():
    vertices, faces = head(10, 12)
    normals = vertex_normals(vertices, faces)
    points, upward = vertices[::7], normals[::7]
    bvh = MeshBvh(vertices.cuda(), faces.cuda())
    words = bvh.visibility(points.cuda(), upward.cuda(), 16, 32, ROTATION.cuda())
    expected = reference.visibility(
        vertices.double(), faces, points.double(), upward.double(), 16, 32, ROTATION.double()
    )
    assert (unpack(words, 512) != expected).float().mean() < GRAZING


@pytest.mark.parametrize("texel", [0, 31, 32, 77, 131])
def test_bit_order_by_blocking_one_texel(texel):
    height, width = 11, 12
    direction = torch.from_numpy(texel_directions(height, width)[texel]).float()
    side = torch.linalg.cross(direction, torch.tensor([0.3, 0.5, 0.8]))
    up = torch.linalg.cross(direction, side)
    blocker = (5 * direction + 0.1 * torch.stack([side, -side + up, -side - up])).cuda()
    bvh = MeshBvh(blocker, torch.tensor([[0, 1, 2]]).cuda())
    expected = torch.ones(1, height * width, dtype=torch.bool)
    expected[0, texel] = False
    assert torch.equal(unpack(bvh.visibility(torch.zeros(1, 3).cuda(), None, height, width), height * width), expected)


def test_no_points_one_point_no_faces_and_no_area():
    vertices, faces = (tensor.cuda() for tensor in head(6, 8))
    normals, bvh = vertex_normals(vertices, faces), MeshBvh(vertices, faces)
    none = torch.zeros(0, 3).cuda()
    assert bvh.visibility(none, none, 16, 32).shape == (0, 16)
    all_words = bvh.visibility(vertices, normals, 16, 32)
    assert torch.equal(bvh.visibility(vertices[5:6], normals[5:6], 16, 32), all_words[5:6])
    empty = MeshBvh(torch.zeros(0, 3).cuda(), torch.zeros(0, 3, dtype=torch.int32).cuda())
    assert (empty.visibility(torch.zeros(2, 3).cuda(), None, 4, 8) == -1).all()
    flat = torch.tensor([[0.0, 1.0, 0.0], [1.0, 1.0, 0.0], [2.0, 1.0, 0.0]]).cuda()
    without_area = MeshBvh(flat, torch.tensor([[0, 0, 0], [0, 1, 1], [0, 1, 2]]).cuda())
    assert (without_area.visibility(torch.zeros(1, 3).cuda(), None, 4, 8) == -1).all()


def test_a_thousand_faces_around_one_point_fit_the_waiting_lists():
    """Every leaf is reached at once: a fan of needles around the point, and twice as many coincident faces."""
    angle = 2 * torch.pi * torch.arange(1001) / 1000
    ring = torch.stack([angle.cos(), 0.5 + 0 * angle, angle.sin()], -1)
    vertices = torch.cat([torch.tensor([[0.0, 0.5, 0.0]]), ring])
    index = torch.arange(1, 1001)
    fan = torch.stack([torch.zeros(1000, dtype=torch.int64), index, index + 1], -1)
    faces = torch.cat([fan, fan[:1].expand(2000, 3)])
    ours, expected = both(vertices, faces, torch.zeros(3, 3), None, 16, 32)
    assert 0.2 < 1 - expected.float().mean() < 0.4  # the disc fills 28 % of the sphere, and texels crowd at its poles
    assert (ours != expected).float().mean() < GRAZING


def test_gaps_in_memory_and_non_finite_input():
    vertices, faces = (tensor.cuda() for tensor in head(12, 16))
    normals, bvh = vertex_normals(vertices, faces), MeshBvh(vertices, faces)
    expected = bvh.visibility(vertices, normals, 16, 32, ROTATION.cuda())
    turned = ROTATION.cuda().T.contiguous().T
    assert torch.equal(bvh.visibility(vertices.T.contiguous().T, normals.repeat(1, 2)[:, :3], 16, 32, turned), expected)
    assert (bvh.visibility(vertices, normals * torch.nan, 16, 32) == 0).all()


def test_graph_of_refit_and_visibility_replays_on_new_vertices():
    """Capture fails on any wait for the device; a side stream shows that nothing runs on the default one."""
    vertices, faces = head(40, 48)
    device_faces = faces.cuda()
    bvh, moving = MeshBvh(vertices.cuda(), device_faces), vertices.cuda()
    normals = vertex_normals(moving, device_faces)
    light = ROTATION.cuda()

    def frame() -> torch.Tensor:
        bvh.refit(moving)
        return bvh.visibility(moving, normals, 16, 32, light)

    side = torch.cuda.Stream()
    with torch.cuda.stream(side):
        frame()
    side.synchronize()
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        words = frame()
    for step in (1, 2):
        bent = vertices + 0.2 * step * vertices.roll(1, 1).square()
        moving.copy_(bent.cuda())
        normals.copy_(vertex_normals(bent, faces).cuda())
        light.copy_(torch.linalg.matrix_power(ROTATION, step))
        words.fill_(0x55555555)
        graph.replay()
        expected = MeshBvh(bent, faces).visibility(bent, normals.cpu(), 16, 32, light.cpu())
        assert (unpack(words, 512) != unpack(expected, 512)).float().mean() < GRAZING


def test_what_occluded_before_is_a_hint_and_nothing_more():
    """One tree asked again with its mesh bent, points in another order, other normals and light: as a new tree."""
    vertices, faces = (tensor.cuda() for tensor in head(40, 48))
    generator = torch.Generator().manual_seed(0)
    bvh = MeshBvh(vertices, faces)
    for step in range(6):
        bent = vertices + 0.1 * step * vertices.roll(1, 1).square()
        order = torch.randperm(len(vertices), generator=generator).cuda() if step % 2 else torch.arange(len(vertices))
        upward = (-1 if step == 3 else 1) * vertex_normals(bent, faces)
        light = torch.linalg.matrix_power(ROTATION, step).cuda()
        for height in (16, 40):
            query = bent[order], upward[order], height, 32, light
            bvh.refit(bent)
            fresh = MeshBvh(vertices, faces)
            fresh.refit(bent)
            expected = fresh.visibility(*query)
            assert torch.equal(bvh.visibility(*query), expected)
            assert torch.equal(bvh.visibility(*query), expected)


def test_work_of_a_side_stream_stays_there():
    vertices, faces = head(40, 48)
    bvh = MeshBvh(vertices.cuda(), faces.cuda())
    normals = vertex_normals(vertices, faces).cuda()
    expected = bvh.visibility(vertices.cuda(), normals, 16, 32)
    points = torch.zeros_like(vertices).cuda()
    torch.cuda.synchronize()
    side = torch.cuda.Stream()
    with torch.cuda.stream(side):
        torch.cuda._sleep(20_000_000)  # cycles: work on another stream would read the points before they are there
        points.copy_(vertices.cuda())
        words = bvh.visibility(points, normals, 16, 32)
    side.synchronize()
    assert torch.equal(words, expected)


def test_upstream_calls_run_on_the_gpu():
    vertices, faces = head(20, 24)
    normals = vertex_normals(vertices, faces)
    bits = {}
    for device in ("cpu", "cuda:0"):
        tv.optixEnvmapVisibility_init(device, shader=3, fullupdate_step=2)
        for scale in (0.5, 1.0):  # the second load refits
            tv.optixEnvmapVisibility_load_mesh([scale * vertices.to(device)], [faces.to(device)])
        bits[device] = tv.optixEnvmapVisibility_trace(vertices.to(device), normals.to(device), ROTATION, 32, 16)
        tv.optixEnvmapVisibility_destroy(device)
    assert bits["cuda:0"].shape == (16, len(vertices))
    assert (unpack(bits["cuda:0"].T, 512) != unpack(bits["cpu"].T, 512)).float().mean() < GRAZING
    tv.optixDist_init()
    tv.optixDist_load_mesh([vertices.cuda()], [faces.cuda()])
    rays_o = torch.zeros(3, 5, 3).cuda()
    t = tv.optixDist_trace(rays_o, torch.randn(3, 5, 3, generator=torch.Generator().manual_seed(1)).cuda())
    assert t.shape == (3, 5)
    assert t.isfinite().all()
    tv.optixDist_destroy("cuda:0")
