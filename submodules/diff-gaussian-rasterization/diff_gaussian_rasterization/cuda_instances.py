"""How many instances calls needed: the device writes it to memory that the host reads, so that nobody has to wait."""

import threading
import time
from collections import deque
from collections.abc import Hashable

import torch
from kernel_runtime import ArgumentError

_SLOTS = 256  # numbers on their way at a time
_HISTORY = 1024  # keys that are remembered
_LOOKS, _PAUSE = 2000, 20e-6  # how often, and after how many seconds, a wait looks before it asks the driver
_ROOM = 1.5  # over what was needed before


class Needed:
    """The instances that one call needs, known once the device has counted them."""

    __slots__ = ("_board", "address", "key", "slot", "value")

    def __init__(self, board: "Board", slot: int, key: Hashable) -> None:
        self._board, self.slot, self.key = board, slot, key
        self.address = board.address + 8 * slot
        self.value: int | None = None

    def wait(self) -> int:
        """The number; returns at once where the device has come that far."""
        for _ in range(_LOOKS):
            if self._board.look(self) is not None:
                break
            time.sleep(_PAUSE)
        else:
            torch.cuda.synchronize(self._board.device)
            self._board.look(self)
        if self.value is None:
            raise RuntimeError("the rasteriser's kernels did not run to their end")
        return self.value


class Board:
    """The numbers of one device."""

    def __init__(self, device: int) -> None:
        self.device = device
        self._memory = torch.empty(_SLOTS, dtype=torch.int64, pin_memory=device >= 0)
        self._numbers = self._memory.numpy()
        self.address = self._memory.data_ptr()
        self._free, self._pending = list(range(_SLOTS)), deque[Needed]()
        self._largest: dict[Hashable, int] = {}
        self._lock = threading.Lock()

    def expect(self, key: Hashable) -> tuple[Needed, int | None]:
        """A number for the device to write, and room for as many instances as calls with this key needed, or None.

        Raises:
            ArgumentError: in the capture of a graph, whose replays nobody reads the number of.
        """
        if self.device >= 0 and torch.cuda.is_current_stream_capturing():
            raise ArgumentError("capacity: a call that a CUDA graph captures needs one")
        with self._lock:
            while self._pending and self._arrived(self._pending[0]):
                self._pending.popleft()
            oldest = None if self._free else self._pending[0]
        if oldest is not None:
            oldest.wait()
            return self.expect(key)
        with self._lock:
            slot = self._free.pop()
            self._numbers[slot] = -1
            needed = Needed(self, slot, key)
            self._pending.append(needed)
            known = self._largest.get(key)
        return needed, None if known is None else int(_ROOM * known)

    def look(self, needed: Needed) -> int | None:
        """The number if it has arrived."""
        with self._lock:
            if needed.value is None and self._arrived(needed):
                self._pending.remove(needed)
            return needed.value

    def _arrived(self, needed: Needed) -> bool:
        if needed.value is None:
            number = int(self._numbers[needed.slot])
            if number < 0:
                return False
            needed.value = number
            self._free.append(needed.slot)
            if len(self._largest) >= _HISTORY and needed.key not in self._largest:
                self._largest.clear()
            self._largest[needed.key] = max(number, self._largest.get(needed.key, 1))
        return True


_boards: dict[int, Board] = {}


def board(device: int) -> Board:
    """The board of a CUDA device (below 0: of the host)."""
    if device not in _boards:
        _boards[device] = Board(device)
    return _boards[device]
