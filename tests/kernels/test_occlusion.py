"""The hidden share of a hemisphere, against sums over texels in float64 and cases known in advance."""

import pytest
import torch
from diff_envshade import occlusion, texel_directions, texel_solid_angles
from diff_envshade.visibility import unpack_bits
from kernel_runtime import ArgumentError
from torch.nn.functional import normalize

DEVICES = [
    "cpu",
    pytest.param(
        "cuda",
        marks=[pytest.mark.gpu, pytest.mark.skipif(not torch.cuda.is_available(), reason="no NVIDIA GPU")],
    ),
]


def random_points(count: int, words: int) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    normal = normalize(torch.randn(count, 3, generator=generator), dim=1)
    return normal, torch.randint(-(2**31), 2**31, (count, words), generator=generator).int()


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize(("height", "width"), [(16, 32), (5, 7), (32, 64)])
def test_equals_the_sum_over_texels(height: int, width: int, device: str):
    normal, words = random_points(70, -(-height * width // 32))
    turn = torch.linalg.qr(torch.randn(3, 3, generator=torch.Generator().manual_seed(1)))[0]
    directions = texel_directions(height, width, torch.float64) @ turn.double().T
    weight = (normal.double() @ directions.T).clamp_min(0) * texel_solid_angles(height, width, torch.float64)
    seen = (weight * unpack_bits(words, height * width)).sum(1) / weight.sum(1)
    mine = occlusion(normal.to(device), words.to(device), height, width, turn.to(device))
    torch.testing.assert_close(mine.cpu().double(), 1 - seen[:, None], rtol=0, atol=2e-6)


@pytest.mark.parametrize("device", DEVICES)
def test_all_none_and_half_of_the_sky(device: str):
    normal, words = (tensor.to(device) for tensor in random_points(9, 16))
    assert float(occlusion(normal, torch.full_like(words, -1), 16, 32).abs().max()) < 1e-6
    assert torch.equal(occlusion(normal, torch.zeros_like(words), 16, 32), torch.ones(9, 1, device=device))
    up = torch.tensor([[0.0, 1.0, 0.0]], device=device)
    half = torch.full((1, 16), 0xFFFF, dtype=torch.int32, device=device)  # the columns on one side
    assert float(occlusion(up, half, 16, 32)) == pytest.approx(0.5, abs=1e-6)


def test_too_few_words_are_refused():
    normal, words = random_points(4, 15)
    with pytest.raises(ArgumentError, match="15 words are too few for a map of 16 x 32"):
        occlusion(normal, words, 16, 32)
