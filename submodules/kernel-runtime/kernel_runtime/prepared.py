"""Kernels with parameter types that are said once: launches for callers that check their tensors themselves."""

import torch

from .cuda import Kernel, LaunchError, LoadedKernel, start
from .parameters import ArgumentMemory

Blocks = tuple[int, int, int]


class PreparedKernel:
    """A kernel for launches that cost the host little: nothing is looked at but the numbers themselves.

    Args:
        kernel: what is launched.
        codes: the types of its parameters, in order, by the letters of the module struct: P for a pointer, i and q for
            integers of 32 and 64 bits, f and d for floats, ? for bool.
    """

    def __init__(self, kernel: Kernel, codes: str) -> None:
        self.kernel = kernel
        self._memory = ArgumentMemory(codes)
        self._ready: dict[int, LoadedKernel] = {}

    def launch(self, device: int, blocks: Blocks, threads: int, *values: int | float) -> None:
        """Start the kernel on torch's current stream of CUDA device `device`, without waiting.

        Args:
            blocks: of the grid, at least one.
            values: of all parameters; a pointer is an address on the device (0: null), of memory that whoever launches
                keeps alive until the stream is done with it.

        Raises:
            LaunchError: the driver refuses the launch.
            struct.error: a value does not fit its type, or there are too many or too few.
        """
        loaded = self._ready.get(device) or self._load(device)
        room = self._memory.take()
        try:
            self._memory.pack(room, values)
            if torch._C._cuda_getDevice() == device:
                status = start(loaded, device, blocks, (threads, 1, 1), 0, room.address)
            else:
                with torch.cuda.device(device):
                    status = start(loaded, device, blocks, (threads, 1, 1), 0, room.address)
        finally:
            self._memory.give_back(room)
        if status is not loaded.success and status != loaded.success:
            raise LaunchError(f"{self.kernel.name}: {status.name} for {blocks} blocks of {threads} threads")

    def _load(self, device: int) -> LoadedKernel:
        loaded = self.kernel.load(device)
        loaded.check(self.kernel.name, self._memory.sizes)
        self._ready[device] = loaded
        return loaded
