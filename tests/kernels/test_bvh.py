"""Ray casting through the mesh BVH: against Embree, plain torch and hand-made cases; refit and validation."""

import embreex.rtcore_scene
import pytest
import torch
from embreex.mesh_construction import TriangleMesh
from kernel_runtime import ArgumentError
from torchoptixext_visibility import MeshBvh, reference
from visibility_meshes import head, soup


def rays(count: int, seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Rays from a shell around the unit cube towards points in it, with directions of varied length."""
    generator = torch.Generator().manual_seed(seed)
    origins = 0.5 + 2 * torch.nn.functional.normalize(torch.randn(count, 3, generator=generator), dim=-1)
    targets = torch.rand(count, 3, generator=generator)
    return origins, (targets - origins) * (0.1 + torch.rand(count, 1, generator=generator))


@pytest.mark.parametrize("size", [0.02, 0.3])
def test_trace_agrees_with_embree(size):
    vertices, faces = soup(800, size, torch.Generator().manual_seed(0))
    origins, directions = rays(4000, 1)
    hits = MeshBvh(vertices, faces).trace(origins, directions)
    scene = embreex.rtcore_scene.EmbreeScene()
    TriangleMesh(scene, vertices[faces.long()].numpy())
    expected = scene.run(origins.numpy(), directions.numpy(), output=1)
    same = hits.face_id == torch.from_numpy(expected["primID"]).long()
    assert same.float().mean() > 0.999  # rays through edges, and crossings of two triangles
    hit = same & (hits.face_id >= 0)
    assert hit.float().mean() > 0.05
    # Slivers seen edge-on amplify float32 rounding; the median shows the usual error.
    t_error = (hits.t - torch.from_numpy(expected["tfar"])).abs()[hit]
    u_error = (hits.barycentric[:, 1] - torch.from_numpy(expected["u"])).abs()[hit]
    assert t_error.median() < 1e-5
    assert u_error.median() < 1e-4
    assert (t_error < 1e-2).all()


def test_trace_agrees_with_plain_torch():
    vertices, faces = soup(100, 0.3, torch.Generator().manual_seed(2))
    origins, directions = rays(500, 3)
    hits = MeshBvh(vertices, faces).trace(origins, directions, t_max=1.5)
    t, face_id, _ = reference.trace(vertices.double(), faces, origins.double(), directions.double(), t_max=1.5)
    assert (hits.face_id == face_id).float().mean() > 0.995  # float32 against float64 at edges and at t_max
    both = (hits.face_id == face_id) & (face_id >= 0)
    assert both.sum() > 100
    assert (hits.t - t)[both].abs().median() < 1e-5
    point = origins + hits.t[:, None] * directions
    on_face = (hits.barycentric[:, :, None] * vertices[faces.long()][hits.face_id]).sum(1)
    assert (point - on_face)[both].norm(dim=-1).median() < 1e-5
    assert torch.allclose(hits.barycentric[both].sum(-1), torch.tensor(1.0), atol=1e-5)


def test_a_closed_mesh_has_no_holes():
    vertices, faces = head(30, 36)
    origin = torch.tensor([[0.01, 0.02, -0.03]])
    edges = torch.cat([faces[:, [0, 1]], faces[:, [1, 2]]]).long()
    share = torch.rand(len(edges), 1, generator=torch.Generator().manual_seed(4))
    on_edges = share * vertices[edges[:, 0]] + (1 - share) * vertices[edges[:, 1]]
    bvh = MeshBvh(vertices, faces)
    assert bvh.occluded(origin.expand_as(on_edges), on_edges - origin).all()
    # Aimed exactly at a vertex, the signs of its edges are all noise: a few rays in a thousand may slip through.
    assert bvh.occluded(origin.expand_as(vertices), vertices - origin).float().mean() > 0.99


def test_occluded_looks_only_between_t_min_and_t_max():
    square = torch.tensor([[-1.0, -1.0, 0.0], [1.0, -1.0, 0.0], [1.0, 1.0, 0.0], [-1.0, 1.0, 0.0]])
    bvh = MeshBvh(square, torch.tensor([[0, 1, 2], [0, 2, 3]]))
    origin, down = torch.tensor([[0.3, 0.1, 2.0]]), torch.tensor([[0.0, 0.0, -2.0]])  # meets at t = 1
    assert bvh.occluded(origin, down)
    assert bvh.occluded(origin, down, t_min=0.9, t_max=1.1)
    assert not bvh.occluded(origin, down, t_max=0.9)
    assert not bvh.occluded(origin, down, t_min=1.1)
    assert not bvh.occluded(origin, -down)
    assert bvh.trace(origin, down, t_max=0.9).face_id == -1
    miss = bvh.trace(origin, -down)
    assert miss.t.isinf()
    assert (miss.barycentric == 0).all()


@pytest.mark.parametrize("count", [1, 4, 5, 9, 700])
def test_what_is_in_the_way_is_what_a_ray_meets(count: int):
    """From a leaf alone to several levels of nodes of four, and after the faces have moved."""
    generator = torch.Generator().manual_seed(count)
    vertices, faces = soup(count, 0.3, generator)
    origins, directions = torch.rand(4000, 3, generator=generator), torch.randn(4000, 3, generator=generator)
    bvh = MeshBvh(vertices, faces)
    for moved in (vertices, vertices.flip(1) + 0.1):
        bvh.refit(moved)
        hit = bvh.trace(origins, directions).face_id >= 0
        assert torch.equal(bvh.occluded(origins, directions), hit)
        assert bool(hit.any())


def test_rays_along_the_axes_meet_flat_boxes():
    """Axis-parallel triangles have boxes without thickness, and axis-parallel rays directions with zeros."""
    steps = torch.arange(5.0)
    for axis in range(3):
        corner = torch.stack(torch.meshgrid(steps, steps, indexing="ij"), -1).reshape(-1, 2)
        plane = torch.zeros(3, len(corner), 3)
        others = [a for a in range(3) if a != axis]
        for k, shift in enumerate(([0.0, 0.0], [1.0, 0.0], [0.0, 1.0])):
            plane[k][:, others] = corner + torch.tensor(shift)
        vertices = plane.transpose(0, 1).reshape(-1, 3)
        bvh = MeshBvh(vertices, torch.arange(len(vertices)).reshape(-1, 3))
        origins, direction = plane[0] + 0.25, torch.zeros(3)
        origins[:, axis], direction[axis] = 3.0, -1.0
        hits = bvh.trace(origins, direction.expand_as(origins))
        assert torch.equal(hits.face_id, torch.arange(len(corner)))
        assert torch.equal(hits.t, torch.full((len(corner),), 3.0))
        assert torch.allclose(hits.barycentric, torch.tensor([0.5, 0.25, 0.25]), atol=1e-6)


def test_refit_equals_rebuild():
    vertices, faces = soup(300, 0.1, torch.Generator().manual_seed(5))
    moved = vertices * torch.tensor([1.5, 0.5, 1.0]) + 0.1 * vertices.roll(1, 0)
    origins, directions = rays(1000, 6)
    refitted = MeshBvh(vertices, faces)
    refitted.refit(moved)
    rebuilt = MeshBvh(moved, faces)
    for ours, expected in zip(refitted.trace(origins, directions), rebuilt.trace(origins, directions), strict=True):
        assert torch.equal(ours, expected)
    words = [bvh.visibility(origins, directions, 8, 16) for bvh in (refitted, rebuilt)]
    assert torch.equal(*words)
    assert torch.equal(refitted.closest_point(origins).face_id, rebuilt.closest_point(origins).face_id)


def test_coincident_and_degenerate_faces_build_and_trace():
    vertices = torch.tensor([[0.0, 0.0, 0.0], [1.0, 0.0, 0.0], [0.0, 1.0, 0.0]])
    faces = torch.cat([torch.zeros(500, 3), torch.tensor([[0.0, 1.0, 2.0]]).expand(500, 3)]).int()
    hit = MeshBvh(vertices, faces).trace(torch.tensor([[0.2, 0.2, 1.0]]), torch.tensor([[0.0, 0.0, -1.0]]))
    assert hit.face_id >= 500
    assert hit.t == 1


def test_a_mesh_without_faces_is_never_hit():
    bvh = MeshBvh(torch.zeros(0, 3), torch.zeros(0, 3, dtype=torch.int64))
    assert bvh.trace(torch.zeros(2, 3), torch.ones(2, 3)).t.isinf().all()
    assert not bvh.occluded(torch.zeros(2, 3), torch.ones(2, 3)).any()


def test_bad_meshes_are_refused():
    vertices, faces = head(6, 8)
    for number in (-1, len(vertices)):
        bad = faces.clone()
        bad[3, 1] = number
        with pytest.raises(ArgumentError, match=r"faces: vertex numbers must lie in 0\.\."):
            MeshBvh(vertices, bad)
    with pytest.raises(ArgumentError, match="faces: expected int32 or int64"):
        MeshBvh(vertices, faces.float())
    with pytest.raises(ArgumentError, match="vertices: expected shape"):
        MeshBvh(vertices[:, :2], faces)
    bvh = MeshBvh(vertices, faces)
    with pytest.raises(ArgumentError, match="not finite"):
        bvh.refit(vertices * torch.nan)
    with pytest.raises(ArgumentError, match="vertices: expected shape"):
        bvh.refit(vertices[1:])
