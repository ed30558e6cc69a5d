"""Windowed means against scipy, Adam against torch's on either device; the kernels compile without a GPU."""

import numpy as np
import pytest
import torch
from kernel_runtime import ArgumentError
from kernel_runtime.cuda import CudaModule
from scipy.ndimage import correlate1d
from training_kernels import adam_step, window_mean

DEVICES = [
    "cpu",
    pytest.param(
        "cuda",
        marks=[pytest.mark.gpu, pytest.mark.skipif(not torch.cuda.is_available(), reason="no NVIDIA GPU")],
    ),
]


@pytest.mark.parametrize("radius", [0, 1, 5, 15])
@pytest.mark.parametrize("shape", [(2, 37, 50, 3), (1, 16, 16, 1), (3, 5, 4, 2)])
def test_means_are_those_of_scipy(shape, radius):
    generator = torch.Generator().manual_seed(0)
    images = torch.randn(shape, generator=generator)
    weights = tuple(torch.rand(radius + 1, generator=generator).tolist())
    window = np.array([*weights[:0:-1], *weights])
    expected = images.double().numpy()
    for axis in (1, 2):
        expected = correlate1d(expected, window, axis=axis, mode="constant")
    found = window_mean(images, weights).double().numpy()
    np.testing.assert_allclose(found, expected, atol=2e-5 * max(1, radius))


def test_wide_windows_are_refused():
    with pytest.raises(ArgumentError, match="weights: expected 1 to 16, got 17"):
        window_mean(torch.zeros(1, 4, 4, 1), (1.0,) * 17)


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("size", [1, 3, 4, 1001, 4096])
def test_adam_is_that_of_torch(size: int, device: str):
    generator = torch.Generator().manual_seed(size)
    start = torch.randn(size, generator=generator, dtype=torch.float64)
    exact = start.clone().requires_grad_()
    reference = torch.optim.Adam([exact], lr=0.01, betas=(0.9, 0.99), eps=1e-15)
    whole = torch.zeros(3 * size + 1, device=device)
    parameter = whole[1 : size + 1]  # not at a multiple of 16 bytes
    parameter.copy_(start)
    moments = [torch.zeros(size, device=device) for _ in range(2)]
    step = torch.zeros((), device=device)
    for _ in range(30):
        gradient = torch.randn(size, generator=generator)
        exact.grad = gradient.double()
        reference.step()
        step += 1
        adam_step(parameter, gradient.to(device), *moments, torch.tensor(0.01, device=device), step)
    torch.testing.assert_close(parameter.double().cpu(), exact.detach(), rtol=0, atol=2e-6)
    assert float(whole.abs().sum()) == pytest.approx(float(parameter.abs().sum()))  # nothing beside it changed


@pytest.mark.parametrize("architecture", ["sm_75", "sm_86", "sm_89", "sm_90", "sm_100", "sm_120"])
def test_kernels_compile(architecture: str):
    pytest.importorskip("cuda.core")
    for module in (module for module in CudaModule.registry if module.source.package == "training_kernels"):
        for names in module.units():
            assert set(module.source.compile(architecture, names).symbols) == set(names)
