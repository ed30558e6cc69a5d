"""Work that repeats: done anew on a CPU, replayed from CUDA graphs on a GPU, and how much room its pictures need.

A CUDA graph holds all launches of a piece of work, so that the host hands it over in microseconds. It is recorded after
the work ran once without it, reads its inputs from fixed places and writes its results to fixed places.
"""

from collections.abc import Callable, Hashable
from contextlib import AbstractContextManager, nullcontext
from typing import Generic, Protocol, Self, TypeVar

import torch
from torch import Tensor


class Inputs(Protocol):
    """Tensors that a recorded piece of work reads."""

    def empty_like(self) -> Self:
        """Places of the same shapes."""

    def copy_(self, other: Self) -> None:
        """Take over the values of `other`, without waiting for a device."""


Given = TypeVar("Given", bound=Inputs)


class GraphRunner(Generic[Given]):
    """Runs work on a device.

    Args:
        most: recorded kinds that are kept; the oldest goes first. None keeps all.
    """

    def __init__(self, device: torch.device, most: int | None = None):
        self._graphs: dict[Hashable, _Recorded[Given] | None] = {}
        self._most = most
        self._stream = torch.cuda.Stream(device) if device.type == "cuda" else None
        self._memory = None if self._stream is None else _Memory(self._stream)

    def active(self) -> AbstractContextManager[None]:
        """Around all work and what happens between: on a GPU it goes to a stream of its own, in order with the one
        around it."""
        return nullcontext() if self._stream is None else _Stream(self._stream)

    def run(self, kind: Hashable, work: Callable[[Given], Tensor], inputs: Given) -> Tensor:
        """Do a piece of work, within `active`; those of one `kind` do the same on inputs of the same shapes.

        Returns:
            What `work` returns, in memory of its own.
        """
        if self._memory is None:
            return work(inputs)
        if kind not in self._graphs:
            if self._most is not None and len(self._graphs) >= self._most:
                del self._graphs[next(iter(self._graphs))]
            self._graphs[kind] = None
            return work(inputs)
        recorded = self._graphs[kind]
        if recorded is None:
            recorded = self._graphs[kind] = _Recorded(work, inputs, self._memory)
        return recorded.replay(inputs)

    def forget(self) -> None:
        """Throw the recorded work away: what it works on has changed its place."""
        self._graphs.clear()


class _Stream(AbstractContextManager[None]):
    """Work goes to a stream of its own, ordered behind and before that of the stream around it."""

    def __init__(self, stream: torch.cuda.Stream):
        self._inner = stream

    def __enter__(self) -> None:
        self._outer = torch.cuda.current_stream(self._inner.device)
        self._inner.wait_stream(self._outer)
        self._context = torch.cuda.stream(self._inner)
        self._context.__enter__()

    def __exit__(self, *error: object) -> None:
        self._context.__exit__(*error)
        self._outer.wait_stream(self._inner)


class _Memory:
    """Working memory for graphs that are replayed one after the other.

    With memory of its own for each, `torch.cuda.graph` gives all cached memory back to the driver before it records and
    then asks for it again. torch drops a pool together with the last graph in it, so a tiny one stays here.
    """

    def __init__(self, stream: torch.cuda.Stream):
        self.pool = torch.cuda.graph_pool_handle()
        self._keeper = torch.cuda.CUDAGraph()
        with torch.cuda.graph(self._keeper, pool=self.pool, stream=stream):
            self._kept = torch.zeros((), device=stream.device)


class _Recorded(Generic[Given]):
    """Work in a CUDA graph, the places it reads from and the tensor it writes."""

    def __init__(self, work: Callable[[Given], Tensor], inputs: Given, memory: _Memory):
        self._inputs = inputs.empty_like()
        self._inputs.copy_(inputs)
        self._graph = torch.cuda.CUDAGraph()
        self._graph.capture_begin(memory.pool)
        try:
            self._values = work(self._inputs)
        finally:
            self._graph.capture_end()

    def replay(self, inputs: Given) -> Tensor:
        self._inputs.copy_(inputs)
        self._graph.replay()
        return self._values.clone()


class Room:
    """How many pairs of a Gaussian and a tile the rasteriser makes room for, which a graph has to fix.

    The first picture without a known capacity makes its own room and tells how much it needed; later ones draw into
    `capacity`, `spare` times as much. Pairs beyond it are not drawn: `outgrown` says when that may have happened.
    """

    def __init__(self, device: torch.device, spare: float):
        self.capacity: int | None = None
        self._spare = spare
        self._least = 0
        self._most = torch.zeros((), dtype=torch.int64, device=device)

    def note(self, instances: Tensor) -> None:
        """Take note of what a picture needed, `instances` [] of the rasteriser; waits while the room is unknown."""
        torch.maximum(self._most, instances, out=self._most)
        if self.capacity is None:
            self.capacity = int(self._spare * max(int(instances), self._least)) + 1

    def outgrown(self) -> bool:
        """Whether some picture since the room was measured needed more than there is; waits for the device."""
        return self.capacity is not None and int(self._most) > self.capacity

    def measure_again(self) -> None:
        """Let the next picture find out anew, with at least the room that one since the last measurement needed."""
        self._least = int(self._most) if self.outgrown() else 0
        self.capacity = None
        self._most.zero_()
