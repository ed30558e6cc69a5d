"""How optimisation steps run: one after the other on the CPU, replayed from CUDA graphs on a GPU.

A CUDA graph holds the launches of a whole step, so that the host hands a step over in microseconds. It is recorded for
every kind of step after one of that kind ran without it, and thrown away when Gaussians are rearranged.
"""

from collections.abc import Callable, Hashable
from contextlib import AbstractContextManager, nullcontext

import torch
from torch import Tensor

from ..training.frames import FrameInputs

Step = Callable[[FrameInputs], Tensor]
"""Does a step on a frame, without waiting for a device; returns the values to be logged."""


class StepRunner:
    """Runs steps on a device."""

    def __init__(self, device: torch.device):
        self._graphs: dict[Hashable, _Recorded | None] = {}
        self._stream = torch.cuda.Stream(device) if device.type == "cuda" else None

    def active(self) -> AbstractContextManager[None]:
        """Around all steps and what happens between them."""
        return nullcontext() if self._stream is None else _Stream(self._stream)

    def run(self, kind: Hashable, step: Step, inputs: FrameInputs) -> Tensor:
        """One step; those of the same `kind` do the same work on inputs of the same shapes."""
        if self._stream is None:
            return step(inputs)
        if kind not in self._graphs:
            self._graphs[kind] = None
            return step(inputs)
        recorded = self._graphs[kind]
        if recorded is None:
            recorded = self._graphs[kind] = _Recorded(step, inputs, self._stream)
        return recorded.replay(inputs)

    def forget(self) -> None:
        """Throw the recorded steps away: what they work on has changed its place."""
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


class _Recorded:
    """A step in a CUDA graph and the places it reads its frame from and writes its values to."""

    def __init__(self, step: Step, inputs: FrameInputs, stream: torch.cuda.Stream):
        self._inputs = inputs.empty_like()
        self._inputs.copy_(inputs)
        self._graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(self._graph, stream=stream):
            self._values = step(self._inputs)

    def replay(self, inputs: FrameInputs) -> Tensor:
        self._inputs.copy_(inputs)
        self._graph.replay()
        return self._values.clone()
