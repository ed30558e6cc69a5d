"""The posing kernels compile for every architecture, without a GPU."""

import pytest

pytest.importorskip("cuda.core")
from gaussian_blendshapes import cuda

MODULES = {
    module.source.source: module
    for module in (cuda._HEAD, cuda._GAUSSIANS, cuda._SKINNING, cuda._SEGMENTS, cuda._ATTACHING)
}


@pytest.mark.parametrize("architecture", ["sm_75", "sm_86", "sm_89", "sm_90", "sm_100", "sm_120"])
@pytest.mark.parametrize("source", MODULES)
def test_every_kernel_compiles(source: str, architecture: str):
    module = MODULES[source]
    cubin = module.source.compile(architecture, tuple(sorted(module.kernels)))
    assert set(cubin.symbols) == set(module.kernels)
    assert cubin.code.startswith(b"\x7fELF")
