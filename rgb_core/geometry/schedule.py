"""Which frames a step looks at, and when numbers are checked: both without making the host wait for a device."""

import torch
from torch import Tensor

from ..errors import DivergenceError


class Schedule:
    """Mini-batches: every pass over the clip is in an order that depends on the seed and the pass alone."""

    def __init__(self, count: int, batch: int, steps: int, seed: int, device: torch.device):
        """`count` frames, up to `batch` of them in each of `steps` steps."""
        batch = min(batch, count)
        passes = -(-steps * batch // count)
        generators = (torch.Generator().manual_seed(seed * 1_000_003 + number) for number in range(passes))
        order = torch.cat([torch.randperm(count, generator=generator) for generator in generators])
        parts = [torch.tensor(sorted(set(part.tolist()))) for part in order[: steps * batch].split(batch)]
        self._rows = torch.cat(parts).to(device).split([len(part) for part in parts])

    def __getitem__(self, step: int) -> Tensor:
        """[B] rows of the frames of a step, ascending."""
        return self._rows[step]


class Watch:
    """Remembers, on the device, the first step at which a named tensor was not finite."""

    def __init__(self) -> None:
        self._first: dict[str, Tensor] = {}

    def look(self, step: int, tensors: dict[str, Tensor]) -> None:
        """Note which of the tensors are not finite at `step`, without waiting."""
        for name, tensor in tensors.items():
            bad = torch.where(torch.isfinite(tensor).all(), torch.inf, float(step))
            self._first[name] = torch.minimum(self._first[name], bad) if name in self._first else bad

    def check(self) -> None:
        """
        Raises:
            DivergenceError: when a tensor was not finite, naming the first step and tensor.
        """
        if not self._first:
            return
        steps = torch.stack(list(self._first.values())).tolist()
        first = min(steps)
        if first != float("inf"):
            name = list(self._first)[steps.index(first)]
            raise DivergenceError(
                f"step {int(first)}: the {name} is not finite; lower the rates and run again, from the last checkpoint"
            )
