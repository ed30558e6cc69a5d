"""The CUDA side of kernel_runtime: compiling without a GPU, the cache of machine code, dispatch; launches on a GPU."""

import importlib
import json
import re
import struct
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import torch
from kernel_runtime import ArgumentError, UnsupportedDevice, check_tensor, cubins, device_of
from kernel_runtime.ahead import compile_ahead
from kernel_runtime.cuda import CudaModule, LaunchError, architecture, compile_only
from kernel_runtime.prepared import PreparedKernel
from kernel_runtime.private import CacheWarning

ARCHITECTURES = ("sm_75", "sm_86", "sm_89", "sm_90", "sm_100", "sm_120")
SUBMODULES = Path(__file__).parents[2] / "submodules"
ELF = b"\x7fELF"

SOURCE = """
#include "scale.cuh"
template <int FACTOR, bool NEGATE> __global__ void scale(float* values, int count) {
  int i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i < count) values[i] = times<FACTOR>(NEGATE ? -values[i] : values[i]);
}
__global__ void shift(const float* by, float* values, float constant, long long count, bool twice) {
  int i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i < count) values[i] += (twice ? 2 : 1) * (constant + (by ? by[i] : 0));
}
__global__ void reverse(float* values) {
  extern __shared__ float copy[];
  copy[threadIdx.x] = values[threadIdx.x];
  __syncthreads();
  values[threadIdx.x] = copy[blockDim.x - 1 - threadIdx.x];
}
"""
HEADER = "template <int FACTOR> __device__ float times(float value) { return FACTOR * value; }\n"

nvrtc = pytest.mark.skipif(importlib.util.find_spec("cuda") is None, reason="needs cuda-core and nvidia-cuda-nvrtc")


@pytest.fixture
def package(tmp_path, monkeypatch):
    """A package with one CUDA source and one header, and an empty cache."""
    folder = tmp_path / "scaling_kernels"
    folder.mkdir()
    (folder / "__init__.py").write_text("")
    (folder / "scale.cu").write_text(SOURCE)
    (folder / "scale.cuh").write_text(HEADER)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setenv("RGB_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setattr(CudaModule, "registry", [])
    yield folder
    sys.modules.pop("scaling_kernels", None)


def entries() -> list[Path]:
    return sorted(cubins.cache_folder().glob("*"))


def build(*names: str, arch: str = "sm_90") -> cubins.Cubin:
    return compile_only("scaling_kernels", "scale.cu", arch, names, ("scale.cuh",))


@nvrtc
def test_compiles_instances_and_plain_kernels_without_a_gpu(package):
    cubin = build("scale<2, true>", "shift")
    assert cubin.code.startswith(ELF)
    assert list(cubin.symbols) == ["scale<2, true>", "shift"]
    assert all(symbol.encode() in cubin.code for symbol in cubin.symbols.values())


@nvrtc
def test_the_cache_is_keyed_by_everything_that_matters(package):
    build("shift")
    assert len(entries()) == 1
    build("shift")
    assert len(entries()) == 1
    build("reverse")
    build("shift", arch="sm_86")
    compile_only("scaling_kernels", "scale.cu", "sm_90", ("shift",), ("scale.cuh",), fast_math=False)
    assert len(entries()) == 4
    (package / "scale.cuh").write_text(HEADER + "// another header\n")
    build("shift")
    assert len(entries()) == 5


@nvrtc
def test_entries_are_read_back_and_damaged_ones_are_compiled_again(package, monkeypatch):
    fresh = build("shift")
    (entry,) = entries()
    whole = entry.read_bytes()
    for damaged in (b"", whole[:-1], whole[:-1] + b"x", b"[]\n", json.dumps({"sha256": 1}).encode() + b"\n"):
        entry.write_bytes(damaged)
        assert build("shift") == fresh
        assert entry.read_bytes() == whole
    monkeypatch.setattr(cubins.CudaSource, "_compile", lambda *_: pytest.fail("compiled in spite of the cache"))
    assert build("shift") == fresh


@nvrtc
def test_a_cache_that_cannot_be_written_costs_no_more_than_compiling(package, monkeypatch, tmp_path):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("RGB_CACHE_DIR", str(tmp_path / "file"))
    with pytest.warns(CacheWarning, match="is no folder"):
        assert build("shift").code.startswith(ELF)


@nvrtc
def test_processes_share_the_cache(package):
    """Four processes that compile the same source at once leave one whole entry and nothing else."""
    program = (
        "from kernel_runtime.cuda import compile_only\n"
        "compile_only('scaling_kernels', 'scale.cu', 'sm_90', ('shift',), ('scale.cuh',))"
    )
    command = [sys.executable, "-c", f"import sys; sys.path.insert(0, {str(package.parent)!r})\n{program}"]
    with ThreadPoolExecutor(4) as pool:
        assert [run.returncode for run in pool.map(subprocess.run, [command] * 4)] == [0] * 4
    assert len(entries()) == 1
    assert cubins._read(entries()[0]) is not None


@nvrtc
def test_what_is_compiled_ahead_is_compiled_once(package, monkeypatch):
    """All units side by side, and asked for again none."""
    module = CudaModule("scaling_kernels", "scale.cu", ("scale.cuh",))
    for name, *arguments in (("shift",), ("reverse",), ("scale", 2, False), ("scale", 3, True)):
        module.kernel(name, *arguments)
    assert module.units() == [("reverse", "shift"), ("scale<2, false>",), ("scale<3, true>",)]
    compiled = []
    original = cubins.CudaSource._compile
    monkeypatch.setattr(cubins.CudaSource, "_compile", lambda *args: compiled.append(args[2]) or original(*args))
    coming = compile_ahead([module], "sm_90")
    again = compile_ahead([module], "sm_90")
    assert [future.result().symbols.keys() for future in coming] == [set(names) for names in module.units()]
    assert again == coming
    assert sorted(compiled) == sorted(module.units())


@nvrtc
def test_a_source_that_does_not_compile_is_reported_with_the_compilers_log(package):
    (package / "scale.cu").write_text(SOURCE.replace("values[i] +=", "valeurs[i] +="))
    with pytest.raises(cubins.CompileError, match=r'(?s)scaling_kernels/scale.cu.*sm_90.*"valeurs" is undefined'):
        build("shift")
    assert entries() == []


def test_without_a_compiler_one_sentence_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "cuda.core", None)
    cubins.nvrtc_version.cache_clear()
    with pytest.raises(UnsupportedDevice, match=r"cuda-core, .* nvidia-cuda-nvrtc, .*pip install cuda-core"):
        cubins.nvrtc_version()


@pytest.fixture(scope="module")
def modules() -> list[CudaModule]:
    """The CUDA modules of every submodule."""
    for path in SUBMODULES.glob("*/*/*cuda*.py"):
        importlib.import_module(f"{path.parent.name}.{path.stem}")
    return list(CudaModule.registry)


def test_every_cuda_file_belongs_to_a_module_that_names_its_headers(modules):
    known = {
        (module.source.package, name) for module in modules for name in (module.source.source, *module.source.includes)
    }
    files = {(path.parent.name, path.name) for path in SUBMODULES.glob("*/*/*.cu*")}
    assert known == files
    for module in modules:
        included = {name for text in module.source.texts() for name in re.findall(r'#include "(.*?)"', text)}
        assert included == set(module.source.includes), module.source


@nvrtc
@pytest.mark.parametrize("arch", ARCHITECTURES)
def test_every_kernel_compiles_for_every_architecture(modules, arch):
    """All kernels of a source in one go; the user's own cache makes this fast from the second time on."""
    with ThreadPoolExecutor(2) as pool:
        cubins_of_all = list(
            pool.map(lambda module: module.source.compile(arch, tuple(sorted(module.kernels))), modules)
        )
    for module, cubin in zip(modules, cubins_of_all, strict=True):
        assert cubin.code.startswith(ELF)
        assert set(cubin.symbols) == set(module.kernels)


def test_dispatch_by_device():
    cpu, meta = torch.zeros(1), torch.zeros(1, device="meta")
    assert device_of("blend", cpu, None, cpu) == "cpu"
    assert device_of("blend", None) == "cpu"
    with pytest.raises(UnsupportedDevice, match="blend has no meta kernel"):
        device_of("blend", meta)
    with pytest.raises(UnsupportedDevice, match="blend got tensors on cpu and meta: move them to one device"):
        device_of("blend", cpu, meta)
    with pytest.raises(ArgumentError, match="weights: expected a tensor on cpu, got one on meta"):
        check_tensor("weights", meta, (1,), device=cpu.device)


def test_kernels_refuse_tensors_of_the_cpu_and_calls_without_tensors(package):
    kernel = CudaModule("scaling_kernels", "scale.cu", ("scale.cuh",)).kernel("shift")
    with pytest.raises(UnsupportedDevice, match="shift: expected CUDA tensors, got one on cpu"):
        kernel.launch(1, 1, (torch.zeros(1),))
    with pytest.raises(ArgumentError, match="shift: expected at least one tensor"):
        kernel.launch(1, 1, (None, 1))


def test_instances_are_named_as_cpp_writes_them(package):
    module = CudaModule("scaling_kernels", "scale.cu", ("scale.cuh",))
    assert module.kernel("scale", 3, True).name == "scale<3, true>"
    assert module.kernel("scale", 3, True) is module.kernel("scale", 3, True)
    assert module.kernel("shift").name == "shift"


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no NVIDIA GPU")
class TestLaunch:
    @pytest.fixture
    def module(self, package) -> CudaModule:
        return CudaModule("scaling_kernels", "scale.cu", ("scale.cuh",))

    @pytest.fixture
    def values(self) -> torch.Tensor:
        return torch.arange(100, dtype=torch.float32, device="cuda")

    def test_scalars_pointers_and_instances(self, module, values):
        expected = torch.arange(100.0)
        module.kernel("scale", 3, True).launch((1, 1, 1), 128, (values, 100))
        expected *= -3
        assert torch.equal(values.cpu(), expected)
        shift = module.kernel("shift")
        shift.launch(1, 128, (None, values, 0.5, np.int64(100), False))
        shift.launch(1, 128, (torch.ones_like(values), values, np.float32(0.5), np.int64(50), np.bool_(True)))
        expected += 0.5
        expected[:50] += 3
        assert torch.equal(values.cpu(), expected)

    def test_what_is_compiled_ahead_is_not_compiled_at_the_launch(self, module, values, monkeypatch):
        kernel = module.kernel("scale", 3, True)
        for future in compile_ahead([module], architecture(0)):
            future.result()
        monkeypatch.setattr(cubins.CudaSource, "compile", lambda *_: pytest.fail("compiled a second time"))
        kernel.launch(1, 128, (values, 100))
        assert torch.equal(values.cpu(), -3 * torch.arange(100.0))

    def test_prepared_kernels_take_addresses_and_check_their_number(self, module, values):
        prepared = PreparedKernel(module.kernel("shift"), "PPfq?")
        prepared.launch(0, (1, 1, 1), 128, 0, values.data_ptr(), 0.5, 100, False)
        assert torch.equal(values.cpu(), torch.arange(100.0) + 0.5)
        with pytest.raises(struct.error):
            prepared.launch(0, (1, 1, 1), 128, 0, values.data_ptr(), 0.5, 100)
        with pytest.raises(ArgumentError, match=r"shift: expected arguments of \(8, 8, 4, 8, 1\) bytes, got"):
            PreparedKernel(module.kernel("shift"), "PPfi?").launch(0, (1, 1, 1), 128, 0, 0, 0.5, 1, False)

    def test_an_empty_grid_starts_nothing(self, module, values):
        module.kernel("scale", 3, True).launch(0, 128, (values, 100))
        assert torch.equal(values.cpu(), torch.arange(100.0))

    def test_much_shared_memory(self, module, values):
        module.kernel("reverse").launch(1, 100, (values,), shared_bytes=60 * 1024)
        assert torch.equal(values.cpu(), torch.arange(100.0).flip(0))

    def test_arguments_that_do_not_fit_are_refused(self, module, values):
        with pytest.raises(ArgumentError, match=r"scale<3, true>: expected arguments of \(8, 4\) bytes, got \(8, 8\)"):
            module.kernel("scale", 3, True).launch(1, 128, (values, np.int64(100)))
        with pytest.raises(ArgumentError, match="argument 0 must be contiguous on cuda:0, got one with gaps"):
            module.kernel("scale", 3, True).launch(1, 128, (values[::2], 50))
        with pytest.raises(ArgumentError, match="argument 1 must be contiguous on cuda:0, got one on cpu"):
            module.kernel("scale", 3, True).launch(1, 128, (values, torch.zeros(1)))

    def test_a_launch_that_the_driver_refuses_is_named(self, module, values):
        with pytest.raises(LaunchError, match=r"scale<3, true>: CUDA_ERROR_INVALID_VALUE for \(1, 1, 1\) blocks"):
            module.kernel("scale", 3, True).launch(1, 4096, (values, 100))

    def test_many_threads_launch_the_same_kernel(self, module):
        kernel = module.kernel("scale", 3, False)

        def scale(value: int) -> bool:
            values = torch.full((1000,), float(value), device="cuda")
            for _ in range(3):
                kernel.launch(4, 256, (values, 1000))
            return torch.equal(values.cpu(), torch.full((1000,), 27.0 * value))

        with ThreadPoolExecutor(8) as pool:
            assert all(pool.map(scale, range(200)))

    def test_launches_follow_the_current_stream(self, module, values):
        """The kernel waits for the long matrix product before it on its stream; the default stream would not."""
        side = torch.cuda.Stream()
        side.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(side):
            busy = torch.rand(4096, 4096, device="cuda")
            for _ in range(10):
                busy = (busy @ busy).clamp(max=1)
            values.copy_(busy.view(-1)[:100] * 0 + 7)
            module.kernel("scale", 3, False).launch(1, 128, (values, 100))
        side.synchronize()
        assert torch.equal(values.cpu(), torch.full((100,), 21.0))

    def test_launches_can_be_captured(self, module, values):
        kernel = module.kernel("scale", 2, False)
        kernel.launch(1, 128, (values, 100))
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            kernel.launch(1, 128, (values, 100))
        graph.replay()
        graph.replay()
        assert torch.equal(values.cpu(), 8 * torch.arange(100.0))

    @pytest.mark.skipif(torch.cuda.device_count() < 2, reason="needs two GPUs")
    def test_two_devices(self, module):
        for index in (1, 0):
            values = torch.ones(100, device=f"cuda:{index}")
            module.kernel("scale", 2, False).launch(1, 128, (values, 100))
            assert torch.equal(values.cpu(), torch.full((100,), 2.0))
