"""Runs the CUDA kernels of a package as host code on CPU tensors, so that their logic is tested without a GPU.

What it cannot show: races between blocks, contraction of products and sums, and speed.
"""

import ctypes
import re
import struct
import subprocess
from pathlib import Path

import pytest
from kernel_runtime import cuda, parameters
from kernel_runtime.prepared import PreparedKernel

ON_CPU = -1  # what torch calls the device of a CPU tensor
PTX = (('asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(result) : "f"(x));', "result = exp2_approximate(x);"),)
COMPILER = ["g++", "-std=c++17", "-O1", "-shared", "-fPIC", "-w"]


class Emulator:
    """Compiles sources at their first launch into `folder` and stands in for launches."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._libraries: dict[str, ctypes.CDLL] = {}
        self._layouts: dict[tuple[str, tuple[type, ...]], parameters.ParameterLayout] = {}

    def launch(self, kernel: cuda.Kernel, grid, block, args, shared_bytes: int = 0) -> None:
        """Run a kernel to its end."""
        types = tuple(map(type, args))
        if (kernel.name, types) not in self._layouts:
            sizes = tuple(struct.calcsize(parameters._code(kernel.name, i, kind)) for i, kind in enumerate(types))
            self._layouts[kernel.name, types] = parameters.ParameterLayout(kernel.name, types, sizes)
        layout = self._layouts[kernel.name, types]
        memory = layout.write(args, ON_CPU)
        self._run(kernel, cuda._three(grid), block, memory)
        layout.release(memory)

    def launch_prepared(self, prepared: PreparedKernel, device: int, blocks, threads, *values) -> None:
        """The same for a kernel with prepared types."""
        assert device == ON_CPU
        room = prepared._memory.take()
        prepared._memory.pack(room, values)
        self._run(prepared.kernel, blocks, threads, room)
        prepared._memory.give_back(room)

    def _run(self, kernel: cuda.Kernel, blocks, threads, room: parameters.Room) -> None:
        run = getattr(self._library(kernel._module), _symbol(kernel.name))
        run((ctypes.c_int * 3)(*blocks), (ctypes.c_int * 3)(*cuda._three(threads)), ctypes.c_void_p(room.address))

    def _library(self, module: cuda.CudaModule) -> ctypes.CDLL:
        name = module.source.source
        if name not in self._libraries:
            self._libraries[name] = self._compile(module)
        return self._libraries[name]

    def _compile(self, module: cuda.CudaModule) -> ctypes.CDLL:
        names = module.source.source, *module.source.includes
        for name, text in zip(names, module.source.texts(), strict=True):
            for instruction, replacement in PTX:
                text = text.replace(instruction, replacement)
            (self._folder / name).write_text(text)
        entrances = [
            f'extern "C" void {_symbol(name)}(const int* grid, const int* threads, void** parameters) '
            f"{{ emulation::launch({name}, grid, threads, parameters); }}"
            for name in module.kernels
        ]
        source = self._folder / f"{names[0]}.cpp"
        header = Path(__file__).with_name("emulation.h")
        source.write_text("\n".join([f'#include "{header}"', f'#include "{names[0]}"', *entrances]))
        library = source.with_suffix(".so")
        built = subprocess.run(
            [*COMPILER, "-o", str(library), str(source)], capture_output=True, text=True, check=False
        )
        if built.returncode:
            pytest.fail(f"{names[0]} does not compile for the host:\n{built.stderr}")
        return ctypes.CDLL(str(library))


def _symbol(name: str) -> str:
    return "run_" + re.sub(r"\W+", "_", name)
