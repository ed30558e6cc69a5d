"""The CUDA mesh rasteriser compiles for every architecture that it promises, without a GPU."""

import pytest

pytest.importorskip("cuda.core")
from mesh_rasterizer import cuda

ARCHITECTURES = ["sm_75", "sm_86", "sm_89", "sm_90", "sm_100", "sm_120"]
MODULES = {m.source.source: m for m in (cuda._RASTER, cuda._INTERPOLATION, cuda._GRADIENTS, cuda._ANTIALIAS)}


@pytest.mark.parametrize("architecture", ARCHITECTURES)
@pytest.mark.parametrize("source", MODULES)
def test_every_kernel_compiles(source: str, architecture: str):
    module = MODULES[source]
    cubin = module.source.compile(architecture, tuple(sorted(module.kernels)))
    assert set(cubin.symbols) == set(module.kernels)
    assert cubin.code.startswith(b"\x7fELF")
