"""Shading on a GPU: agreement with float64 and the CPU, adversarial points, streams, graphs, repeatability."""

from dataclasses import replace

import _diff_envshade as upstream
import pytest
import torch
from diff_envshade import PointVisibility, integrate, reference, shade, texel_directions
from kernel_runtime import ArgumentError, UnsupportedDevice
from test_envshade import SIZES, in_double, random_envmap, random_points, random_rotation, random_visibility
from torch.nn.functional import normalize

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="no NVIDIA GPU"),
]


def on_gpu(value):
    """Tensors, or the tensors of a PointVisibility, on the GPU."""
    if isinstance(value, PointVisibility):
        return PointVisibility(*(tensor.cuda() for tensor in vars(value).values()))
    return None if value is None else value.cuda()


def outputs_and_grads(tensors, visibility, rotation, grads, specular=True):
    """E, S and the gradients for the four tensors."""
    leaves = [tensor.clone().requires_grad_() for tensor in tensors]
    outputs = integrate(*leaves, visibility, rotation, specular)
    return *outputs, *torch.autograd.grad(outputs, leaves, grads)


def exact_outputs_and_grads(tensors, visibility, rotation, grads, specular=True):
    leaves = [tensor.double().requires_grad_() for tensor in tensors]
    outputs = reference.integrate(*leaves, in_double(visibility), rotation.double(), specular)
    lit = 2 if specular else 1
    doubled = [grad.double() for grad in grads[:lit]]
    return *outputs, *torch.autograd.grad(outputs[:lit], leaves, doubled, materialize_grads=True)


def assert_near(actual, expected, tolerance=1e-4):
    """Every tensor to `tolerance` of its largest value: sums over texels cancel, so single numbers lose more digits."""
    for left, right in zip(actual, expected, strict=True):
        bound = tolerance * right.abs().max().item() + 1e-9 if right.numel() else 0
        torch.testing.assert_close(left.double().cpu(), right, rtol=0, atol=bound)


def random_grads(count: int) -> tuple[torch.Tensor, torch.Tensor]:
    return torch.randn(2, count, 3, generator=torch.Generator().manual_seed(1)).unbind(0)


def compare(tensors, visibility, rotation, specular=True, tolerance=1e-4):
    grads = random_grads(len(tensors[0]))
    actual = outputs_and_grads(
        [on_gpu(t) for t in tensors], on_gpu(visibility), on_gpu(rotation), [g.cuda() for g in grads], specular
    )
    assert_near(actual, exact_outputs_and_grads(tensors, visibility, rotation, grads, specular), tolerance)
    return actual


@pytest.mark.parametrize(("height", "width"), [*SIZES, (17, 31)])
@pytest.mark.parametrize("shadowed", [False, True])
@pytest.mark.parametrize("roughness", [0.08, 0.2, 0.5, 1.0, None])
def test_forward_and_backward_against_float64(height, width, shadowed, roughness):
    count = 150
    visibility = random_visibility(count, height * width) if shadowed else None
    compare((*random_points(count, roughness), random_envmap(height, width)), visibility, random_rotation(3))


@pytest.mark.parametrize("shadowed", [False, True])
def test_forward_to_1e_4_of_every_single_sum(shadowed):
    visibility = random_visibility(500, 512) if shadowed else None
    tensors = (*random_points(500), random_envmap(16, 32))
    rotation = random_rotation(3)
    actual = integrate(*map(on_gpu, tensors), on_gpu(visibility), rotation.cuda())
    exact = reference.integrate(*(t.double() for t in tensors), in_double(visibility), rotation.double(), True)
    for left, right in zip(actual, exact, strict=True):
        torch.testing.assert_close(left.double().cpu(), right, rtol=1e-4, atol=1e-7)


def test_more_points_than_blocks():
    """So many that each block takes several groups of points, and texels that fill several tiles of shared memory.

    The map's gradient sums 90,000 float32 numbers of both signs, so it is compared to the sum of their sizes.
    """
    count = 90_000
    tensors = [on_gpu(tensor) for tensor in (*random_points(count), random_envmap(20, 40))]
    visibility = on_gpu(random_visibility(count, 800))
    grads = [grad.cuda() for grad in random_grads(count)]
    whole = outputs_and_grads(tensors, visibility, None, grads)
    parts = []
    for start in range(0, count, 10_000):
        part = slice(start, start + 10_000)
        seen = replace(visibility, face_id=visibility.face_id[part], barycentric=visibility.barycentric[part])
        points = [*(tensor[part] for tensor in tensors[:3]), tensors[3]]
        parts.append(outputs_and_grads(points, seen, None, [grad[part] for grad in grads]))
    for index in range(5):
        assert torch.equal(whole[index], torch.cat([part[index] for part in parts]))
    sizes = sum(part[5].double().abs() for part in parts)
    assert ((whole[5].double() - sum(part[5].double() for part in parts)).abs() <= 1e-5 * sizes).all()


@pytest.mark.parametrize("count", [0, 1, 31, 33])
def test_any_number_of_points(count):
    actual = compare((*random_points(count), random_envmap(8, 16)), random_visibility(count, 128), torch.eye(3))
    assert actual[0].shape == (count, 3)
    if count == 0:
        assert torch.equal(actual[5], torch.zeros(3, 8, 16, device="cuda"))


def test_precision_at_the_mirror_direction():
    """As on the CPU: a texel exactly at the mirror direction of a sharp lobe."""
    light = texel_directions(16, 32)[torch.arange(5, 500, 7)]
    tangent = normalize(torch.linalg.cross(light, torch.tensor([[0.2, 0.7, 0.4]])), dim=-1)
    normal = normalize(light + 0.4 * tangent, dim=-1)
    view = 2 * (normal * light).sum(-1, keepdim=True) * normal - light
    roughness = torch.full((len(light), 1), 0.08)
    tensors = normal, view, roughness, random_envmap(16, 32)
    _, actual = integrate(*map(on_gpu, tensors))
    _, expected = reference.integrate(*(t.double() for t in tensors), None, torch.eye(3).double(), True)
    torch.testing.assert_close(actual.double().cpu(), expected, rtol=2e-4, atol=0)


def test_adversarial_points():
    """Normals that face away, along the axes and not unit; view against a light; all finite and as the CPU has them."""
    axes = torch.cat((torch.eye(3), -torch.eye(3)))
    light = texel_directions(16, 32)[[3, 200, 300, 500]]
    normal = torch.cat((axes, axes, light, light, 1.02 * axes, 0.97 * axes))
    view = torch.cat((axes, -axes, -light, light, axes.roll(1, 0), axes.roll(2, 0)))
    generator = torch.Generator().manual_seed(5)
    roughness = 0.08 + 0.92 * torch.rand(len(normal), 1, generator=generator)
    tensors = normal, view, roughness, random_envmap(16, 32)
    grads = random_grads(len(normal))
    expected = outputs_and_grads(tensors, None, None, grads)
    actual = outputs_and_grads([on_gpu(t) for t in tensors], None, None, [g.cuda() for g in grads])
    assert all(tensor.isfinite().all() for tensor in actual)
    assert_near(actual, [tensor.double() for tensor in expected])


def test_a_zero_normal_is_dark():
    normal, view, roughness = (on_gpu(tensor) for tensor in random_points(4))
    leaves = [tensor.requires_grad_() for tensor in (normal * 0, view, roughness, random_envmap(8, 16).cuda())]
    outputs = integrate(*leaves)
    for tensor in (*outputs, *torch.autograd.grad(sum(output.sum() for output in outputs), leaves)):
        assert torch.equal(tensor, torch.zeros_like(tensor))


def test_light_from_straight_behind_is_not_reflected_and_has_finite_gradients():
    light = texel_directions(16, 32)[200]
    envmap = torch.zeros(3, 512)
    envmap[:, 200] = 1
    tensors = light[None], -light[None], torch.tensor([[0.5]]), envmap.view(3, 16, 32)
    leaves = [on_gpu(tensor).requires_grad_() for tensor in tensors]
    irradiance, specular = integrate(*leaves)
    assert irradiance.min() > 0
    assert torch.equal(specular, torch.zeros_like(specular))
    assert all(grad.isfinite().all() for grad in torch.autograd.grad(specular.sum(), leaves))


def test_specular_off():
    tensors = (*random_points(70), random_envmap(10, 20))
    actual = compare(tensors, random_visibility(70, 200), torch.eye(3), specular=False)
    assert all(not tensor.any() for tensor in (actual[1], actual[3], actual[4]))


def test_two_runs_agree_bit_for_bit():
    tensors = [on_gpu(tensor) for tensor in (*random_points(20_000), random_envmap(16, 32))]
    visibility, grads = on_gpu(random_visibility(20_000, 512)), [grad.cuda() for grad in random_grads(20_000)]
    first, second = (outputs_and_grads(tensors, visibility, None, grads) for _ in range(2))
    assert all(torch.equal(left, right) for left, right in zip(first, second, strict=True))


def test_strided_inputs_give_the_same_result():
    normal, view, roughness = (on_gpu(tensor) for tensor in random_points(20))
    envmap = random_envmap(16, 32).cuda()
    strided = (normal.t().contiguous().t(), view.repeat(1, 2)[:, :3], roughness.repeat(1, 2)[:, :1])
    turned = integrate(*strided, envmap.permute(1, 2, 0).contiguous().permute(2, 0, 1))
    for left, right in zip(turned, integrate(normal, view, roughness, envmap), strict=True):
        assert torch.equal(left, right)


def test_words_beyond_the_map_and_indices_out_of_range():
    points = [on_gpu(tensor) for tensor in (*random_points(5), random_envmap(8, 16))]
    wide = on_gpu(random_visibility(5, 1000))
    narrow = replace(wide, words=wide.words[:, :4])
    wild = replace(narrow, face_id=narrow.face_id + 10**12)
    last = replace(narrow, face_id=torch.full_like(narrow.face_id, 79))
    for one, other in ((wide, narrow), (wild, last)):
        for left, right in zip(integrate(*points, one), integrate(*points, other), strict=True):
            assert torch.equal(left, right)


def test_on_a_side_stream():
    """The inputs are ready only on the side stream, behind work that takes a while."""
    tensors = [on_gpu(tensor) for tensor in (*random_points(300), random_envmap(16, 32))]
    grads = [grad.cuda() for grad in random_grads(300)]
    expected = outputs_and_grads(tensors, None, None, grads)
    late = [torch.zeros_like(tensor) for tensor in tensors]
    side = torch.cuda.Stream()
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):
        busy = torch.rand(4096, 4096, device="cuda")
        for _ in range(10):
            busy = (busy @ busy).clamp(max=1)
        for target, source in zip(late, tensors, strict=True):
            target.copy_(source)
        actual = outputs_and_grads(late, None, None, grads)
    side.synchronize()
    assert all(torch.equal(left, right) for left, right in zip(actual, expected, strict=True))


def test_in_a_cuda_graph():
    """Forward and backward captured once follow new inputs at every replay."""
    leaves = [on_gpu(tensor).requires_grad_() for tensor in (*random_points(100), random_envmap(16, 32))]
    visibility, grads = on_gpu(random_visibility(100, 512)), [grad.cuda() for grad in random_grads(100)]
    rotation = random_rotation(1).cuda()

    def run():
        outputs = integrate(*leaves, visibility, rotation)
        return *outputs, *torch.autograd.grad(outputs, leaves, grads)

    side = torch.cuda.Stream()
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):
        run()
    torch.cuda.current_stream().wait_stream(side)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        captured = run()
    with torch.no_grad():
        for leaf, tensor in zip(leaves, (*random_points(100, seed=9), random_envmap(16, 32).flip(1)), strict=True):
            leaf.copy_(tensor)
        rotation.copy_(random_rotation(2))
    graph.replay()
    for left, right in zip(captured, run(), strict=True):
        assert torch.equal(left, right)


def test_wrong_devices_and_types_are_refused():
    normal, view, roughness = (on_gpu(tensor) for tensor in random_points(6))
    envmap, visibility = random_envmap(8, 16), random_visibility(6, 128)
    ones = torch.ones(6, 3, device="cuda")
    with pytest.raises(UnsupportedDevice, match="diff_envshade got tensors on cpu and cuda:0"):
        integrate(normal, view, roughness, envmap)
    with pytest.raises(ArgumentError, match=r"visibility.words: expected a tensor on cuda:0, got one on cpu"):
        integrate(normal, view, roughness, envmap.cuda(), visibility)
    with pytest.raises(ArgumentError, match="albedo: expected a tensor on cuda:0, got one on cpu"):
        shade(normal, view, ones.cpu(), ones, roughness, envmap.cuda())
    with pytest.raises(ArgumentError, match=r"normal: expected torch.float32, got torch.float64"):
        integrate(normal.double(), view, roughness, envmap.cuda())


def test_the_functions_with_upstreams_names():
    """All shaders and their gradients on the GPU equal those on the CPU; helpers that are plain torch do too."""
    count = 40
    normal, view, roughness = random_points(count, seed=3)
    generator = torch.Generator().manual_seed(0)
    albedo, gamma, grad, grad_diffuse = torch.rand(4, count, 3, generator=generator).unbind(0)
    envmap, rotation = random_envmap(8, 16), random_rotation(4)
    seen = random_visibility(count, 128)
    materials = (normal, view, albedo, gamma, roughness, envmap, rotation)
    mesh = (seen.faces.t().contiguous(), seen.face_id, seen.barycentric.t().contiguous(), seen.words.t().contiguous())
    rays = normalize(torch.randn(3, 50, generator=generator), dim=0)
    projection = torch.tensor([[2.0, 0.1, 0.2, 0], [0, 3, 0.1, 0], [0, 0, 1, 0], [0, 0, 1, 0]])
    calls = {
        "bruteforce_diffuse_shader_forward": (normal, albedo, envmap, rotation),
        "bruteforce_diffuse_shader_backward": (grad, normal, albedo, envmap, rotation),
        "bruteforce_specular_shader_forward": (*materials, True, True),
        "bruteforce_specular_shader_backward": (grad, *materials, True, True),
        "bruteforce_specular_shader_clamp_forward": (*materials, True, True),
        "bruteforce_specular_shader_clamp_backward": (grad, *materials, True, True),
        "bruteforce_specular_shader_forward2": (*materials, True),
        "bruteforce_specular_shader_backward2": (grad, grad_diffuse, *materials, True),
        "bruteforce_specularvisibility_shader_forward2": (*materials, *mesh, True),
        "bruteforce_specularvisibility_shader_backward2": (grad, grad_diffuse, *materials, *mesh, True),
        "sample_envmap_forward": (rays, envmap),
        "blur_envmap_forward": (envmap, 4, 8, 100, 0.3),
        "generate_camera_ray_forward": (projection, torch.eye(4), 6, 8, True, True, 1.0),
        "get_uv_of_triangle_forward": (torch.rand(5, 3, 3, generator=generator), torch.rand(5, 3, generator=generator)),
        "mt_format_conversion_forward": (torch.rand(2, 6, generator=generator), torch.rand(2, 12, generator=generator)),
        "extract_bitfield_forward": (mesh[3], 100, 2, 7),
    }
    for name, arguments in calls.items():
        function = getattr(upstream, name)
        expected = function(*arguments)
        actual = function(*(value.cuda() if isinstance(value, torch.Tensor) else value for value in arguments))
        if isinstance(expected, torch.Tensor):
            expected, actual = [expected], [actual]
        assert_near(actual, [tensor.double() for tensor in expected])
