"""Shading, lookup, triangles and rotations against numbers from upstream's device functions (kernels.md 1.5)."""

import _diff_envshade as upstream
import pytest
import torch

HEIGHT, WIDTH = 16, 32


def uniform(index: int) -> float:
    """The integer hash in [0, 1) that upstream's numbers were generated from."""
    x = index * 2654435761 % 2**32
    x ^= x >> 15
    x = x * 2246822519 % 2**32
    x ^= x >> 13
    return (x & 0xFFFFFF) / 2**24


def planar_words() -> torch.Tensor:
    """Visibility words [16, 3] of the three corners, each bit set with probability 0.7."""
    words = [
        [sum((uniform(5000 + 512 * corner + 32 * slot + bit) < 0.7) << bit for bit in range(32)) for corner in range(3)]
        for slot in range(16)
    ]
    return torch.tensor(words).to(torch.int32)


ENVMAP = torch.tensor([0.2 + 2 * uniform(i) for i in range(3 * 512)]).view(3, HEIGHT, WIDTH)
ROTATION = torch.tensor([[0.36, 0.48, -0.8], [-0.8, 0.6, 0], [0.48, 0.64, 0.6]])
NORMAL = torch.tensor([[0, 0, 1], [0.6, 0, 0.8], [0.48, 0.6, -0.64], [0, 1, 0]])
VIEW = torch.tensor([[0, 0, 1], [0, 0.6, 0.8], [-0.48, 0.6, 0.64], [0.8, -0.6, 0]])
ALBEDO = torch.tensor([[0.8, 0.5, 0.3], [0.5, 0.4, 0.3], [0.9, 0.1, 0.2], [0.3, 0.3, 0.3]])
SPECULAR_ALBEDO = torch.tensor([[1, 1, 1], [0.2, 0.3, 0.4], [0.7, 0.6, 0.5], [1, 1, 1]])
ROUGHNESS = torch.tensor([[0.5], [0.3], [0.9], [0.2]])
INPUTS = (NORMAL, VIEW, ALBEDO, SPECULAR_ALBEDO, ROUGHNESS, ENVMAP, ROTATION)
MESH = (
    torch.tensor([[0], [1], [2]], dtype=torch.int32),
    torch.zeros(4, dtype=torch.int64),
    torch.tensor([[0.2], [0.3], [0.5]]).repeat(1, 4),
    planar_words(),
)
GRAD = torch.tensor([[1, -0.5, 0.25]]).repeat(4, 1)
GRAD_DIFFUSE = torch.tensor([[0.1, 0.2, -0.3]]).repeat(4, 1)

# One row per point: shading, E, then the gradients of normal, view_dir, specular_albedo and roughness.
UNSHADOWED = """
1.067270 .631909 .400176 1.277696 1.176475 1.199691 .013775 -.043969 1.926037 -.003248 .009386 .003710 .045114 -.021836
.010067 -.034235
.641436 .500106 .368668 1.261935 1.210920 1.167437 1.753568 -.102393 2.384828 .016794 .080584 -.013918 .052342 -.026230
.011523 -.040812
1.060418 .161939 .265602 1.130002 1.222109 1.163324 .565342 .629525 -.640631 -.161739 .168249 .212341 .062023 -.033106
.016469 .025170
.339024 .370234 .366186 1.125273 1.228883 1.215568 .013242 .246505 .011774 .020076 -.013127 -.001226 .001443 -.000784
.000379 .018427
"""
SHADOWED = """
.730799 .416484 .262754 .876211 .778245 .792363 .004186 -.061957 1.301540 -.001834 .006983 .002885 .029830 -.013681
.006261 -.019765
.442012 .325170 .243293 .866108 .784318 .764219 1.669140 -.108784 2.242999 .014724 .074176 -.013475 .044787 -.019071
.008767 -.045876
.723788 .113214 .178800 .769240 .842949 .771951 .405060 .416346 -.447156 -.128558 .131298 .164863 .044959 -.024099
.012205 .013916
.230133 .259838 .243644 .763463 .862098 .808372 .002632 .173891 .010542 .015232 -.009260 -.000123 .001094 -.000604
.000283 .013696
"""


def table(text: str) -> torch.Tensor:
    return torch.tensor([float(number) for number in text.split()]).view(4, 16)


def close(actual: torch.Tensor, expected: torch.Tensor, rtol: float) -> None:
    """The golden numbers are printed to six decimals, hence the absolute part."""
    torch.testing.assert_close(actual, expected, rtol=rtol, atol=1.5e-6)


def test_the_generator_is_the_one_the_numbers_came_from():
    assert ENVMAP[1, 0, 5].item() == pytest.approx(0.6253485, abs=1e-7)
    words = planar_words()
    assert words[0, 0].item() & 0xFFFFFFFF == 0xBC5737EA
    assert words[15, 2].item() & 0xFFFFFFFF == 0xDFCFF3B9


@pytest.mark.parametrize("shadowed", [False, True])
def test_forward_and_gradients(shadowed):
    expected = table(SHADOWED if shadowed else UNSHADOWED)
    if shadowed:
        outputs = upstream.bruteforce_specularvisibility_shader_forward2(*INPUTS, *MESH, True)
        grads = upstream.bruteforce_specularvisibility_shader_backward2(GRAD, GRAD_DIFFUSE, *INPUTS, *MESH, True)
    else:
        outputs = upstream.bruteforce_specular_shader_forward2(*INPUTS, True)
        grads = upstream.bruteforce_specular_shader_backward2(GRAD, GRAD_DIFFUSE, *INPUTS, True)
    normal, view, albedo, specular_albedo, roughness, _ = grads
    close(torch.cat(outputs, 1), expected[:, :6], rtol=1e-5)
    # Upstream loses digits near the mirror direction: its own gradient for point 1 is 3e-5 off the float64 value.
    close(torch.cat((normal, view, specular_albedo, roughness), 1), expected[:, 6:], rtol=1e-4)
    close(albedo, GRAD * expected[:, 3:6], rtol=1e-5)


@pytest.mark.parametrize(
    ("point", "expected"),
    [
        (0, (0.00768361, -0.00050190, -0.00183649)),
        (1, (0.00123797, -0.00000015, -0.00046406)),
        (3, (0.00117163, 0.00014465, -0.00065670)),
    ],
)
def test_gradient_of_one_texel_from_one_point(point, expected):
    one = [tensor[point : point + 1] for tensor in INPUTS[:5]]
    grads = upstream.bruteforce_specular_shader_backward2(GRAD[:1], GRAD_DIFFUSE[:1], *one, ENVMAP, ROTATION, True)
    # Printed to eight decimals; solid angles come from upstream's fast sines (3.7e-5 at worst).
    torch.testing.assert_close(grads[5].flatten(1)[:, 200], torch.tensor(expected), rtol=1e-4, atol=1e-8)


def test_sample_envmap():
    queries = torch.tensor([[1, 0, 0], [1, 0, -0.01], [0, 1, 0], [-0.3, 0.2, 0.5], [0.2, -0.9, 0.1]])
    expected = torch.tensor(
        [
            [0.993042, 0.467771, 1.440747],
            [0.980787, 0.480914, 1.454937],
            [0.722568, 1.333705, 1.319969],
            [1.926888, 0.784667, 0.998569],
            [0.444153, 1.379436, 0.672476],
        ]
    )
    # Pixel coordinates up to 32 in float32 carry an error of 2e-6 texels, times differences between texels of up to 2.
    sampled = upstream.sample_envmap_forward(queries.t(), ENVMAP).t()
    torch.testing.assert_close(sampled, expected, rtol=0, atol=5e-6)


@pytest.mark.parametrize(
    ("query", "barycentric", "gradient"),
    [
        ((0.25, 0.5, 1), (0.5, 0.25, 0.25), (-0.5, -0.625, 0)),
        ((0.9, 1.6, -1), (0, 0.34, 0.66), (0.15, -0.3, 0)),
        ((-0.5, 0.7, 0.1), (0.65, 0, 0.35), (0, -0.625, 0)),
        ((0.4, -0.3, 2), (0.6, 0.4, 0), (-0.5, 0, 0)),
        ((-1, -1, 0), (1, 0, 0), (0, 0, 0)),
        ((2, 0.2, 0.5), (0, 1, 0), (0, 0, 0)),
    ],
)
def test_closest_point_on_a_triangle(query, barycentric, gradient):
    triangle = torch.tensor([[[0.0, 0, 0], [1, 0, 0], [0, 2, 0]]])
    point = torch.tensor([query], dtype=torch.float32)
    found = upstream.get_uv_of_triangle_forward(triangle, point)
    torch.testing.assert_close(found[0], torch.tensor(barycentric, dtype=torch.float32), rtol=0, atol=1e-6)
    grad = upstream.get_uv_of_triangle_backward(triangle, point, torch.tensor([[1, 0.5, -0.25]]))
    torch.testing.assert_close(grad[0], torch.tensor(gradient, dtype=torch.float32), rtol=0, atol=1e-6)


@pytest.mark.parametrize(
    ("rotation", "expected"),
    [
        ((1, 0.1, 0, -0.1, 0.9, 0.3), (-0.3195890, -0.0159397, -0.0987927)),
        ((0.8, 0, 0.6, 0, 2, 0.1), (-0.0384631, 0.6413074, -0.0128210)),
    ],
)
def test_rotation_from_6d(rotation, expected):
    """The golden numbers carry the series 1/2 + angle^2 / 12 for angle / (2 sin angle) at every angle.

    It is meant for small angles, and 0.3 % off at the second one. Our logarithm is exact, so the series is applied
    to it here; its exactness is tested against scipy.
    """
    jaw = torch.tensor([rotation], dtype=torch.float32)
    pose = upstream.mt_format_conversion_forward(jaw, jaw.repeat(1, 2))
    assert torch.equal(pose[:, :6], torch.zeros(1, 6))
    angle = pose[0, 6:9].norm()
    series = pose[0, 6:9] / angle * 2 * angle.sin() * (0.5 + angle**2 / 12)
    torch.testing.assert_close(series, torch.tensor(expected), rtol=0, atol=3e-7)
    torch.testing.assert_close(pose[0, 6:], pose[0, 6:9].repeat(3))
