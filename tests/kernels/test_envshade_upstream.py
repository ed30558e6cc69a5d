"""The functions with upstream's names: layouts, switches, helpers and their refusals."""

import inspect

import _diff_envshade as upstream
import pytest
import torch
from diff_envshade import PointVisibility, blur_envmap, sample_envmap, shade, texel_directions
from kernel_runtime import ArgumentError
from scipy.spatial.transform import Rotation
from torch.nn.functional import normalize

COUNT = 40


@pytest.fixture
def materials() -> tuple[torch.Tensor, ...]:
    """normal, view_dir, albedo, specular_albedo, roughness, envmap; some points face away."""
    generator = torch.Generator().manual_seed(0)
    directions = normalize(torch.randn(2, COUNT, 3, generator=generator), dim=-1)
    colours = torch.rand(2, COUNT, 3, generator=generator)
    roughness = 0.2 + 0.8 * torch.rand(COUNT, 1, generator=generator)
    return *directions, *colours, roughness, torch.rand(3, 8, 16, generator=generator)


@pytest.fixture
def rotation() -> torch.Tensor:
    return torch.tensor(Rotation.from_rotvec([0.3, -1.1, 0.6]).as_matrix(), dtype=torch.float32)


def grads_of(outputs, weights, leaves):
    return torch.autograd.grad(outputs, leaves, weights, materialize_grads=True)


def leaves_of(materials):
    return [tensor.clone().requires_grad_() for tensor in materials]


def assert_same(actual, expected):
    for left, right in zip(actual, expected, strict=True):
        torch.testing.assert_close(left, right, rtol=1e-6, atol=1e-7)


def test_all_nineteen_functions_are_there():
    functions = [name for name, value in vars(upstream).items() if inspect.isfunction(value)]
    assert sorted(functions) == sorted(upstream.__all__)
    assert len(functions) == 19


@pytest.mark.parametrize("specular", [False, True])
def test_planar_visibility_means_the_same_as_ours(materials, rotation, specular):
    generator = torch.Generator().manual_seed(1)
    words = torch.randint(-(2**31), 2**31, (4, 9), generator=generator).int()
    faces = torch.randint(0, 9, (3, 12), generator=generator).int()
    face_id = torch.randint(0, 12, (COUNT,), generator=generator)
    barycentric = torch.rand(3, COUNT, generator=generator)
    mesh = faces, face_id, barycentric, words
    visibility = PointVisibility(words.t(), faces.t(), face_id, barycentric.t())
    leaves = leaves_of(materials)
    expected = shade(*leaves, visibility, rotation, enable_specular=specular)[:2]
    weights = torch.rand(2, COUNT, 3, generator=generator).unbind(0)
    assert_same(upstream.bruteforce_specularvisibility_shader_forward2(*materials, rotation, *mesh, specular), expected)
    grads = upstream.bruteforce_specularvisibility_shader_backward2(*weights, *materials, rotation, *mesh, specular)
    assert_same(grads, grads_of(expected, weights, leaves))


@pytest.mark.parametrize("diffuse", [False, True])
@pytest.mark.parametrize("specular", [False, True])
@pytest.mark.parametrize("clamp", [False, True])
def test_lobes_can_be_switched_off(materials, rotation, diffuse, specular, clamp):
    leaves = leaves_of(materials)
    shading = shade(*leaves, light_to_world=rotation)
    expected = diffuse * leaves[2] * shading.irradiance + specular * leaves[3] * shading.specular
    facing = (materials[0] * materials[1]).sum(-1, keepdim=True) > 0
    assert 0 < facing.sum() < COUNT
    if clamp:
        expected = expected * facing
    name = "bruteforce_specular_shader_clamp" if clamp else "bruteforce_specular_shader"
    forward, backward = getattr(upstream, f"{name}_forward"), getattr(upstream, f"{name}_backward")
    assert_same([forward(*materials, rotation, diffuse, specular)], [expected])
    weights = torch.rand(COUNT, 3, generator=torch.Generator().manual_seed(2))
    grads = backward(weights, *materials, rotation, diffuse, specular)
    assert_same(grads, grads_of([expected], [weights], leaves))
    disabled = ([] if diffuse else [2]) + ([] if specular else [1, 3, 4])
    assert all(torch.count_nonzero(grads[index]) == 0 for index in disabled)


def test_diffuse_shader(materials, rotation):
    leaves = leaves_of(materials)
    expected = leaves[2] * shade(*leaves, light_to_world=rotation).irradiance
    normal, albedo, envmap = materials[0], materials[2], materials[5]
    assert_same([upstream.bruteforce_diffuse_shader_forward(normal, albedo, envmap, rotation)], [expected])
    weights = torch.rand(COUNT, 3, generator=torch.Generator().manual_seed(2))
    grads = upstream.bruteforce_diffuse_shader_backward(weights, normal, albedo, envmap, rotation)
    assert_same(grads, grads_of([expected], [weights], [leaves[0], leaves[2], leaves[5]]))


def test_sampling_at_texel_centres_returns_the_texels_for_any_number_of_channels():
    envmap = torch.rand(4, 6, 10, generator=torch.Generator().manual_seed(0))
    sampled = upstream.sample_envmap_forward(3 * texel_directions(6, 10).t(), envmap)
    torch.testing.assert_close(sampled, envmap.flatten(1), rtol=0, atol=1e-5)


def test_sampling_wraps_around_the_seam():
    envmap = torch.zeros(1, 4, 8)
    envmap[0, :, 0], envmap[0, :, 7] = 1, 3
    seam = sample_envmap(envmap, torch.tensor([[1.0, 0, 0], [1, 0, -1e-4], [1, 0, 1e-4]]))
    torch.testing.assert_close(seam, torch.full((3, 1), 2.0), rtol=0, atol=1e-3)


def test_blurring_keeps_a_constant_and_averages_a_gradient_by_the_lobe():
    """Over the lobe, d . a averages to (axis . a) E[cos(theta)], with theta distributed as kernels.md 1.4 says."""
    alpha = 0.5
    xi = (torch.arange(100000, dtype=torch.float64) + 0.5) / 100000
    mean_cosine = torch.cos(torch.atan(alpha * torch.sqrt(xi / (1 - xi)))).mean().item()
    slope = torch.tensor([0.3, -0.5, 0.2])
    source = 1 + (texel_directions(64, 128) @ slope).view(1, 64, 128)
    envmap = torch.cat((source, torch.full((2, 64, 128), 0.7)))
    blurred = upstream.blur_envmap_forward(envmap, 16, 32, 256, alpha)
    expected = 1 + mean_cosine * (texel_directions(16, 32) @ slope).view(16, 32)
    # 256 directions of a quadrature, and bilinear interpolation of the source.
    torch.testing.assert_close(blurred[0], expected, rtol=0, atol=3e-3)
    torch.testing.assert_close(blurred[1:], torch.full((2, 16, 32), 0.7))
    assert torch.equal(blurred, upstream.blur_envmap_forward(envmap, 16, 32, 256, alpha))


def test_blurring_with_no_width_resamples():
    envmap = torch.rand(3, 8, 16, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(blur_envmap(envmap, 8, 16, 4, 0.0), envmap, rtol=0, atol=1e-5)


@pytest.mark.parametrize(("flip", "z_sign"), [(False, 1.0), (True, -1.0)])
def test_camera_rays_project_back_to_their_pixels(flip, z_sign):
    height, width = 5, 7
    proj = torch.tensor([[2.1, 0.1, 0.2, 0], [0.05, 3.0, -0.1, 0], [0, 0, 1, -0.1], [0, 0, z_sign, 0]])
    rays = upstream.generate_camera_ray_forward(proj, None, height, width, flip, False, z_sign)
    torch.testing.assert_close(rays[2], torch.full((height, width), z_sign))
    clip = proj[:, :3] @ rays.flatten(1)
    ndc = (clip[:2] / clip[3]).view(2, height, width)
    columns = (torch.arange(width) + 0.5) / width * 2 - 1
    rows = (torch.arange(height) + 0.5) / height * 2 - 1
    torch.testing.assert_close(ndc[0], columns.expand(height, width), rtol=0, atol=1e-6)
    rows = rows.flip(0) if flip else rows
    torch.testing.assert_close(ndc[1], rows[:, None].expand(height, width), rtol=0, atol=1e-6)


def test_camera_rays_in_world_space_are_turned_and_normalised(rotation):
    proj = torch.diag(torch.tensor([2.0, 2.0, 1.0, 1.0]))
    c2w = torch.eye(4)
    c2w[:3, :3], c2w[:3, 3] = rotation, 5.0
    local = upstream.generate_camera_ray_forward(proj, None, 4, 6, False, False, 1.0)
    world = upstream.generate_camera_ray_forward(proj, c2w, 4, 6, False, True, 1.0)
    expected = normalize(torch.einsum("ij,jhw->ihw", rotation, local), dim=0)
    torch.testing.assert_close(world, expected)


def grid_mesh(size: int = 9) -> tuple[torch.Tensor, torch.Tensor]:
    """A bumpy square of size x size vertices: vertices [V, 3], faces [F, 3]."""
    x, y = torch.meshgrid(torch.linspace(0, 1, size), torch.linspace(0, 1, size), indexing="ij")
    vertices = torch.stack((x, y, 0.1 * torch.sin(7 * x) * torch.cos(5 * y)), -1).reshape(-1, 3)
    corner = (torch.arange(size - 1)[:, None] * size + torch.arange(size - 1)).reshape(-1, 1)
    lower, upper = torch.tensor([0, size, 1]), torch.tensor([1, size, size + 1])
    return vertices, torch.cat((corner + lower, corner + upper))


def rings(faces: torch.Tensor, count: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Upstream's adjacency: sizes and inclusive sums [2, V], faces grouped by vertex."""
    order = faces.flatten().argsort(stable=True)
    sizes = faces.flatten().bincount(minlength=count)
    return torch.stack((sizes, sizes.cumsum(0))).int(), (order // 3).int()


def nearest_mesh_points(queries: torch.Tensor, candidates: torch.Tensor) -> list[torch.Tensor]:
    vertices, faces = grid_mesh()
    head, ring = rings(faces, len(vertices))
    return upstream.get_nearest_mesh_points_forward(head, ring, faces.t().int(), vertices.t(), queries.t(), candidates)


def mesh_queries() -> tuple[torch.Tensor, torch.Tensor]:
    """Points near the grid and their eight nearest vertices, the last of which is left out."""
    vertices, _ = grid_mesh()
    scale, shift = torch.tensor([1.2, 1.2, 0.4]), torch.tensor([-0.1, -0.1, -0.2])
    queries = torch.rand(200, 3, generator=torch.Generator().manual_seed(0)) * scale + shift
    candidates = torch.cdist(queries, vertices).topk(8, largest=False).indices
    candidates[:, -1] = -1
    return queries, candidates


def test_nearest_mesh_points_against_all_triangles():
    vertices, faces = grid_mesh()
    queries, candidates = mesh_queries()
    face_id, barycentric = nearest_mesh_points(queries, candidates)
    found = torch.einsum("kp,pkx->px", barycentric, vertices[faces[face_id]])
    # Every triangle, sampled densely: an upper bound of the distance that is at most a sample spacing too long.
    weights = torch.tensor([(i, j, 40 - i - j) for i in range(41) for j in range(41 - i)]) / 40
    samples = torch.einsum("sk,fkx->fsx", weights, vertices[faces]).reshape(-1, 3)
    bound = torch.cdist(queries, samples, compute_mode="donot_use_mm_for_euclid_dist").amin(1)
    distance = (found - queries).norm(dim=-1)
    assert (distance <= bound + 1e-6).all()
    assert (distance >= bound - 0.005).all()
    assert barycentric.min() >= 0
    torch.testing.assert_close(barycentric.sum(0), torch.ones(200))


def test_gradient_of_nearest_mesh_points_by_finite_differences():
    vertices, faces = grid_mesh()
    queries, candidates = mesh_queries()
    face_id, _ = nearest_mesh_points(queries, candidates)
    weights = torch.rand(3, 200, generator=torch.Generator().manual_seed(1))
    grad = upstream.get_nearest_mesh_points_backward(faces.t().int(), vertices.t(), queries.t(), face_id, weights)
    step = 1e-3  # barycentrics are piecewise linear, so only rounding (1e-7 / step) and kinks count
    triangles = vertices[faces[face_id]]
    for axis in range(3):
        offset = torch.zeros(3)
        offset[axis] = step
        ahead = upstream.get_uv_of_triangle_forward(triangles, queries + offset)
        behind = upstream.get_uv_of_triangle_forward(triangles, queries - offset)
        numeric = ((ahead - behind) * weights.t()).sum(1) / (2 * step)
        smooth = ((ahead == 0) == (behind == 0)).all(1)
        assert smooth.sum() > 190
        torch.testing.assert_close(grad[axis][smooth], numeric[smooth], rtol=0, atol=5e-3)


def test_a_point_without_candidates_is_named():
    queries, candidates = mesh_queries()
    candidates[17] = -1
    with pytest.raises(ArgumentError, match="point 17 has no triangle"):
        nearest_mesh_points(queries, candidates)
    with pytest.raises(ArgumentError, match=r"idxs: indices must lie in \[0, 81\)"):
        nearest_mesh_points(queries, candidates + 100)


def test_degenerate_triangles_count_as_their_edges():
    segment = torch.tensor([[[0.0, 0, 0], [1, 0, 0], [2, 0, 0]]])
    barycentric = upstream.get_uv_of_triangle_forward(segment, torch.tensor([[1.5, 1, 0]]))
    torch.testing.assert_close((barycentric[0, :, None] * segment[0]).sum(0), torch.tensor([1.5, 0, 0]))
    point = torch.ones(1, 3, 3)
    assert upstream.get_uv_of_triangle_forward(point, torch.zeros(1, 3)).isfinite().all()


def test_axis_angles_are_exact_up_to_half_a_turn():
    """Against scipy, for angles from 0 to pi; the matrix's first two rows, scaled and sheared, are the 6D form."""
    axes = normalize(torch.randn(30, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64), dim=-1)
    half_turns = torch.full((2,), torch.pi)
    angles = torch.cat((torch.zeros(1), torch.logspace(-6, 0, 9), torch.linspace(1, 3.1, 18), half_turns))
    vectors = axes * angles.double()[:, None]
    matrices = torch.tensor(Rotation.from_rotvec(vectors.numpy()).as_matrix())
    rows = torch.cat((1.7 * matrices[:, 0], 0.6 * matrices[:, 1] + 0.2 * matrices[:, 0]), dim=1).float()
    pose = upstream.mt_format_conversion_forward(rows, rows.repeat(1, 2))
    assert torch.equal(pose[:, :6], torch.zeros(30, 6))
    for joint in pose[:, 6:].view(30, 3, 3).unbind(1):
        turned = torch.tensor(Rotation.from_rotvec(joint.double().numpy()).as_matrix())
        torch.testing.assert_close(turned, matrices, rtol=0, atol=1e-6)  # float32 rows
        torch.testing.assert_close(joint.norm(dim=-1), angles.float(), rtol=1e-5, atol=1e-6)


def test_bit_fields_are_read_from_the_lowest_bit():
    field = torch.tensor([[1, 2, -1], [0, 1, -(2**31)]], dtype=torch.int32)
    bits = upstream.extract_bitfield_forward(field, 64, 0, 3)
    assert bits.dtype == torch.float32
    assert bits.nonzero().tolist() == [[0, 0], [1, 1], [1, 32], *([2, bit] for bit in range(32)), [2, 63]]
    assert torch.equal(upstream.extract_bitfield_forward(field, 40, 1, 2), bits[1:2, :40])
    with pytest.raises(ArgumentError, match="N_bit: 65"):
        upstream.extract_bitfield_forward(field, 65, 0, 3)
    with pytest.raises(ArgumentError, match="i_start"):
        upstream.extract_bitfield_forward(field, 64, 1, 4)
