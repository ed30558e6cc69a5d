"""The CUDA kernels of mesh tree, neighbours and point spacing compile for every architecture, without a GPU."""

import pytest

pytest.importorskip("cuda.core")
from frnn import cuda as frnn_cuda
from simple_knn import cuda as knn_cuda
from torchoptixext_visibility import cuda

ARCHITECTURES = ["sm_75", "sm_86", "sm_89", "sm_90", "sm_100", "sm_120"]
KERNELS = [cuda._REFIT, cuda._ROTATE, cuda._VISIBILITY, cuda._TRACE, cuda._OCCLUDED, cuda._CLOSEST, knn_cuda._MEANS]
MODULES = {kernel._module.source.source: kernel._module for kernel in KERNELS}


@pytest.mark.parametrize("architecture", ARCHITECTURES)
@pytest.mark.parametrize("source", MODULES)
def test_every_kernel_compiles(source: str, architecture: str):
    module = MODULES[source]
    cubin = module.source.compile(architecture, tuple(sorted(module.kernels)))
    assert set(cubin.symbols) == set(module.kernels)
    assert cubin.code.startswith(b"\x7fELF")


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_neighbour_searches_compile(architecture: str):
    kernels = [frnn_cuda._kernel(dimensions, wanted) for dimensions, wanted in ((2, 1), (3, 16), (8, 64))]
    names = tuple(kernel.name for kernel in kernels)
    assert names == ("search<2, 4>", "search<3, 16>", "search<0, 32>")
    assert set(frnn_cuda._MODULE.source.compile(architecture, names).symbols) == set(names)
