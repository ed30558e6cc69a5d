"""The pieces of the geometry fit: Laplacian, smoothing, parts, shading, optimiser."""

import math

import numpy as np
import pytest
import scipy.sparse as sparse
import torch
from scipy.sparse.linalg import splu

from rgb_core.geometry.optimiser import Parameter
from rgb_core.geometry.parts import extension, is_surface
from rgb_core.geometry.shading import Samples, estimate
from rgb_core.geometry.smoothing import Smoother, SparseMap, conjugate_gradients
from rgb_core.geometry.topology import components, cotangent_laplacian, neighbouring_faces
from rgb_core.heads import builtin_head
from rgb_core.heads.regions import Region
from rgb_core.scene.harmonics import light_basis


def grid(count: int, spacing: float) -> tuple[torch.Tensor, torch.Tensor]:
    """A flat square of count x count vertices."""
    i, j = torch.meshgrid(torch.arange(count), torch.arange(count), indexing="ij")
    vertices = torch.stack([i, j, torch.zeros_like(i)], -1).reshape(-1, 3).float() * spacing
    a = (i * count + j)[:-1, :-1].flatten()
    faces = torch.cat([torch.stack([a, a + count, a + 1], 1), torch.stack([a + 1, a + count, a + count + 1], 1)])
    return vertices, faces


def test_the_laplacian_measures_slope_and_area():
    vertices, faces = grid(11, 0.01)
    laplacian = cotangent_laplacian(vertices, faces)
    slope = vertices.numpy() @ np.array([0.3, -0.4, 0.0])
    # |gradient|^2 = 0.25 over an area of 0.01 m^2; a hundredth of it is what clamping the right angles' zeros adds
    assert slope @ laplacian.stiffness @ slope == pytest.approx(0.25 * 0.01, rel=0.05)
    assert laplacian.mass.sum() == pytest.approx(0.01, rel=1e-5)
    assert np.abs(laplacian.stiffness @ np.ones(121)).max() < 1e-12


def test_smoothing_keeps_constants_and_the_mean_and_spreads_a_spike_over_its_length():
    vertices, faces = grid(41, 0.002)
    laplacian = cotangent_laplacian(vertices, faces)
    length = 0.006
    smoother = Smoother(laplacian, length)
    assert torch.allclose(smoother.values(torch.full((1681, 1), 2.5)), torch.full((1681, 1), 2.5), atol=1e-5)
    spike = torch.zeros(1681, 1)
    spike[840] = 1.0
    smooth = smoother.values(spike)[:, 0]
    mass = torch.from_numpy(laplacian.mass)
    assert float((mass * smooth).sum()) == pytest.approx(float(mass[840]), rel=1e-4)
    squared = (vertices - vertices[840]).square().sum(1)
    # the Green's function of 1 - l^2 laplace in the plane has second moment 4 l^2; the border cuts off some of it
    assert float((mass * smooth * squared).sum() / (mass * smooth).sum()) == pytest.approx(4 * length**2, rel=0.1)


def test_a_sparse_map_has_the_transposed_gradient():
    laplacian = cotangent_laplacian(*grid(6, 0.01))
    apply = SparseMap(laplacian.stiffness)
    generator = torch.Generator().manual_seed(0)
    values = torch.randn(36, 2, generator=generator, requires_grad=True)
    other = torch.randn(36, 2, generator=generator)
    (apply(values) * other).sum().backward()
    expected = laplacian.stiffness.T @ other.double().numpy()
    assert np.allclose(values.grad.numpy(), expected, atol=1e-4 * np.abs(expected).max())


def test_neighbouring_faces_share_an_edge_once():
    _, faces = grid(5, 1.0)
    pairs = neighbouring_faces(faces)
    # a disc has E = 3/2 F - boundary / 2 inner edges
    assert len(pairs) == (3 * len(faces) - 16) // 2
    shared = (faces[pairs[:, 0]][:, :, None] == faces[pairs[:, 1]][:, None, :]).any(2).sum(1)
    assert bool((shared == 2).all())


def test_inner_parts_follow_the_skin_and_rigid_ones_keep_their_shape():
    head = builtin_head()
    surface = is_surface(head)
    extend = extension(head)
    shift = torch.tensor([0.001, -0.002, 0.003]).expand(head.vertex_count, 3) * surface[:, None]
    assert torch.allclose(extend(shift), torch.tensor([0.001, -0.002, 0.003]).expand(head.vertex_count, 3), atol=1e-7)
    moved = extend(torch.sin(80 * head.vertices) * 0.005 * surface[:, None])
    for region in (Region.EYEBALL, Region.TEETH):
        chosen = head.region == region
        parts = components(head.faces, chosen)
        for part in parts[chosen].unique():
            inside = parts == part
            assert float((moved[inside] - moved[inside][0]).abs().max()) < 1e-6
    assert torch.equal(moved[surface], (torch.sin(80 * head.vertices) * 0.005)[surface])


def test_the_light_basis_is_orthonormal():
    count = 20000
    height = (torch.arange(count) + 0.5) / count * 2 - 1
    angle = torch.arange(count) * math.pi * (3 - math.sqrt(5))
    radius = (1 - height.square()).sqrt()
    directions = torch.stack([radius * angle.cos(), height, radius * angle.sin()], dim=1)
    basis = light_basis(directions)
    gram = 4 * math.pi / count * basis.T @ basis
    # a Fibonacci sphere of this size integrates products of second order to about 1e-4
    assert torch.allclose(gram, torch.eye(9), atol=1e-3)


def test_albedo_and_light_are_recovered_from_turned_views():
    generator = torch.Generator().manual_seed(1)
    vertices, faces = grid(20, 0.002)
    normals = torch.nn.functional.normalize(torch.randn(12, 400, 3, generator=generator), dim=-1)
    albedo = 0.2 + 0.4 * torch.rand(400, 3, generator=generator)
    light = 0.3 * torch.randn(9, 3, generator=generator)
    light[0] = 4.0
    weight = torch.rand(12, 400, generator=generator)
    colour = albedo * (light_basis(normals) @ light)
    log_albedo, fitted = estimate(
        Samples(normals, weight, weight[..., None] * colour), Smoother(cotangent_laplacian(vertices, faces), 0.01)
    )
    explained = log_albedo.exp() * (light_basis(normals) @ fitted)
    # four rounds of alternation and a small ridge leave about a percent
    assert float((explained - colour).abs().mean() / colour.mean()) < 0.02


def test_a_parameter_moves_only_the_rows_of_a_step_and_resumes():
    value = torch.zeros(4, 2)
    parameter = Parameter(value, rate=0.1)
    parameter.step(torch.ones(4, 2), 1.0, torch.tensor([1, 3]))
    assert torch.allclose(parameter.value, torch.tensor([[0.0, 0], [-0.1, -0.1], [0, 0], [-0.1, -0.1]]))
    copy = Parameter(torch.zeros(4, 2), rate=0.1)
    copy.restore("p", parameter.state("p"))
    for each in (parameter, copy):
        each.step(torch.full((4, 2), 0.3), 0.5)
    assert torch.equal(parameter.value, copy.value)


def test_a_floor_makes_weak_gradients_weak_steps():
    parameter = Parameter(torch.zeros(2), rate=1.0, floor=1.0)
    parameter.step(torch.tensor([1e-3, 1e3]), 1.0)
    assert float(parameter.value[0]) == pytest.approx(-1e-3, rel=0.01)
    assert float(parameter.value[1]) == pytest.approx(-1.0, rel=0.01)


def test_a_uniform_field_keeps_the_shape_of_its_gradient():
    parameter = Parameter(torch.zeros(3, 1), rate=0.2, uniform=True)
    parameter.step(torch.tensor([[4.0], [1.0], [-2.0]]), 1.0)
    assert torch.allclose(parameter.value[:, 0], torch.tensor([-0.2, -0.05, 0.1]))


@pytest.mark.parametrize("length", [0.004, 0.01, 0.025])
def test_the_iteration_for_devices_agrees_with_the_factorisation(length):
    head = builtin_head()
    laplacian = cotangent_laplacian(head.vertices, head.faces)
    scale = 1 / laplacian.mass.mean()
    system = scale * (sparse.diags(laplacian.mass) + length**2 * laplacian.stiffness)
    right = torch.zeros(head.vertex_count, 2)
    right[::37, 0], right[5, 1] = 1.0, -3.0
    expected = torch.from_numpy(splu(system.tocsc()).solve(right.double().numpy()))
    solve = conjugate_gradients(system, length, torch.device("cpu"))
    assert float((solve(right) - expected).norm() / expected.norm()) < 0.01  # a descent direction needs no more
    assert not solve(torch.zeros(head.vertex_count, 1)).any()
