"""Arguments of a launch as the driver reads them, and those that are refused; without a GPU."""

import ctypes
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from kernel_runtime import ArgumentError
from kernel_runtime.parameters import ParameterLayout

ON_CPU = -1  # what torch calls the device of a CPU tensor


def parameters_at(address: int, types: tuple[type, ...]) -> list:
    """The arguments as the driver reads them: from an array of pointers."""
    pointers = (ctypes.c_void_p * len(types)).from_address(address)
    return [kind.from_address(pointer).value for kind, pointer in zip(types, pointers, strict=True)]


def test_arguments_lie_where_the_driver_reads_them():
    tensor = torch.zeros(3)
    args = tensor, 0.5, None, np.int64(-(2**40)), True, np.float64(0.1), 7, np.uint8(200), np.float32(1.5)
    sizes = 8, 4, 8, 8, 1, 8, 4, 1, 4
    layout = ParameterLayout("shift", tuple(map(type, args)), sizes)
    memory = layout.write(args, ON_CPU)
    c = ctypes
    kinds = c.c_void_p, c.c_float, c.c_void_p, c.c_int64, c.c_bool, c.c_double, c.c_int32, c.c_uint8, c.c_float
    assert parameters_at(memory.address, kinds) == [tensor.data_ptr(), 0.5, None, -(2**40), True, 0.1, 7, 200, 1.5]
    layout.release(memory)
    # The next launch overwrites what the last one left, the null pointer included.
    again = layout.write((tensor, 1.5, None, np.int64(1), False, np.float64(2), -7, np.uint8(0), np.float32(0)), ON_CPU)
    assert again is memory
    assert parameters_at(again.address, kinds) == [tensor.data_ptr(), 1.5, None, 1, False, 2, -7, 0, 0]


def test_threads_do_not_share_the_memory_of_arguments():
    layout = ParameterLayout("shift", (int, float), (4, 4))

    def write_and_read(value: int) -> bool:
        for _ in range(200):
            memory = layout.write((value, value / 2), ON_CPU)
            same = parameters_at(memory.address, (ctypes.c_int32, ctypes.c_float)) == [value, value / 2]
            layout.release(memory)
            if not same:
                return False
        return True

    first, second = layout.write((1, 1.0), ON_CPU), layout.write((2, 2.0), ON_CPU)
    assert first.address != second.address
    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(write_and_read, range(64)))


@pytest.mark.parametrize(
    ("args", "sizes", "message"),
    [
        ((torch.zeros(2), np.int64(1)), (8, 4), r"shift: expected arguments of \(8, 4\) bytes, got \(8, 8\)"),
        ((1,), (4, 4), r"expected arguments of \(4, 4\) bytes, got \(4,\)"),
        ((torch.zeros(4)[::2],), (8,), "argument 0 must be contiguous on cuda:-1, got one with gaps"),
        ((1, torch.zeros(2, device="meta").expand(2, 2)), (4, 8), "argument 1 must be contiguous"),
        ((2**31,), (4,), "shift: a number does not fit its parameter"),
        (("text",), (8,), "argument 0 must be a tensor, a number or None, got str"),
    ],
)
def test_arguments_that_do_not_fit_are_refused(args: tuple, sizes: tuple[int, ...], message: str):
    with pytest.raises(ArgumentError, match=message):
        ParameterLayout("shift", tuple(map(type, args)), sizes).write(args, ON_CPU)
