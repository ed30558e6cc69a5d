"""Kernel arguments in the memory layout of the driver, prepared once for all launches with the same types."""

import ctypes
import struct
from typing import Any

import numpy as np
import torch

from .arguments import ArgumentError

_POINTER = "P"


def check_tensors(kernel: str, args: tuple[Any, ...], device: int) -> None:
    """Raise ArgumentError for a tensor that has gaps or is not on CUDA device `device`."""
    for index, tensor in enumerate(args):
        if not isinstance(tensor, torch.Tensor):
            continue
        if tensor.get_device() != device or not tensor.is_contiguous():
            state = f"on {tensor.device}" if tensor.get_device() != device else "with gaps"
            raise ArgumentError(f"{kernel}: argument {index} must be contiguous on cuda:{device}, got one {state}")


class Room:
    """Memory for the arguments of one launch at a time, and the addresses of each for the driver."""

    def __init__(self, size: int, offsets: list[int]) -> None:
        self.bytes = ctypes.create_string_buffer(size)
        start = ctypes.addressof(self.bytes)
        self._pointers = (ctypes.c_void_p * len(offsets))(*(start + offset for offset in offsets))
        self.address = ctypes.addressof(self._pointers)


class ArgumentMemory:
    """Rooms for arguments of given types; two threads never write the same one.

    Args:
        codes: letters of the module struct, one for every parameter.
    """

    def __init__(self, codes: str) -> None:
        # Native alignment, which is that of kernel parameters.
        self._struct = struct.Struct(codes)
        self.sizes = tuple(map(struct.calcsize, codes))
        self._offsets = [struct.calcsize(codes[: index + 1]) - size for index, size in enumerate(self.sizes)]
        self._free: list[Room] = []

    def take(self) -> Room:
        """A room that is the caller's until `give_back`."""
        try:
            return self._free.pop()
        except IndexError:
            return Room(self._struct.size, self._offsets)

    def pack(self, room: Room, values: tuple[Any, ...] | list[Any]) -> None:
        """Write the values; struct.error where one does not fit."""
        self._struct.pack_into(room.bytes, 0, *values)

    def give_back(self, room: Room) -> None:
        """Let another launch have the room."""
        self._free.append(room)


class ParameterLayout:
    """Writes arguments of given types where the driver reads them.

    Args:
        kernel: its name, for messages.
        types: of the arguments: tensors and None become pointers, numpy scalars keep their width, Python's int, float
            and bool become int32, float32 and bool.
        sizes: of the kernel's parameters in bytes.

    Raises:
        ArgumentError: the arguments do not match the parameters.
    """

    def __init__(self, kernel: str, types: tuple[type, ...], sizes: tuple[int, ...]) -> None:
        self._memory = ArgumentMemory("".join(_code(kernel, index, kind) for index, kind in enumerate(types)))
        if self._memory.sizes != sizes:
            raise ArgumentError(f"{kernel}: expected arguments of {sizes} bytes, got {self._memory.sizes}")
        self._kernel = kernel
        self._tensors = [index for index, kind in enumerate(types) if issubclass(kind, torch.Tensor)]
        self._nulls = [index for index, kind in enumerate(types) if kind is type(None)]

    def write(self, args: tuple[Any, ...], device: int) -> Room:
        """The arguments in memory that is the caller's until `release`.

        Raises:
            ArgumentError: a tensor has gaps or is not on CUDA device `device`, or a number does not fit.
        """
        values = list(args)
        for index in self._tensors:
            tensor = values[index]
            if tensor.get_device() != device or not tensor.is_contiguous():
                check_tensors(self._kernel, args, device)
            values[index] = tensor.data_ptr()
        for index in self._nulls:
            values[index] = 0
        memory = self._memory.take()
        try:
            self._memory.pack(memory, values)
        except struct.error as error:
            raise ArgumentError(f"{self._kernel}: a number does not fit its parameter: {error}") from error
        return memory

    def release(self, memory: Room) -> None:
        """Give back what `write` returned."""
        self._memory.give_back(memory)


def _code(kernel: str, index: int, kind: type) -> str:
    """The letter of the struct module for an argument's type."""
    if issubclass(kind, torch.Tensor) or kind is type(None):
        return _POINTER
    if issubclass(kind, np.number | np.bool_):
        return np.dtype(kind).char
    for plain, code in ((bool, "?"), (int, "i"), (float, "f")):
        if issubclass(kind, plain):
            return code
    raise ArgumentError(f"{kernel}: argument {index} must be a tensor, a number or None, got {kind.__name__}")
