"""The CUDA rasteriser compiles for every architecture that it promises, without a GPU."""

import pytest

pytest.importorskip("cuda.core")
from diff_gaussian_rasterization import cuda

ARCHITECTURES = ["sm_75", "sm_86", "sm_89", "sm_90", "sm_100", "sm_120"]
MODULES = {module.source.source: module for module in (cuda._PROJECT, cuda._BIN, cuda._BLEND, cuda._BLEND_BACKWARD)}


@pytest.mark.parametrize("architecture", ARCHITECTURES)
@pytest.mark.parametrize("source", MODULES)
def test_every_kernel_compiles(source: str, architecture: str):
    module = MODULES[source]
    cubin = module.source.compile(architecture, tuple(sorted(module.kernels)))
    assert set(cubin.symbols) == set(module.kernels)
    assert cubin.code.startswith(b"\x7fELF")
