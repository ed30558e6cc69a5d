"""The order in which a fit looks at its frames."""

import torch
from torch import Tensor


class FrameOrder:
    """Batches of frames: every pass over the clip is in an order that depends on the seed and the pass alone."""

    def __init__(self, count: int, batch: int, steps: int, seed: int, device: torch.device):
        """`count` frames, up to `batch` of them in each of `steps` steps."""
        batch = min(batch, count)
        passes = -(-steps * batch // count)
        generators = (torch.Generator().manual_seed(seed * 1_000_003 + number) for number in range(passes))
        order = torch.cat([torch.randperm(count, generator=generator) for generator in generators])
        self._numbers = [sorted(set(part.tolist())) for part in order[: steps * batch].split(batch)]
        rows = torch.tensor([number for numbers in self._numbers for number in numbers])
        self._rows = rows.to(device).split([len(numbers) for numbers in self._numbers])

    def numbers(self, step: int) -> list[int]:
        """The frames of a step, ascending."""
        return self._numbers[step]

    def rows(self, step: int) -> Tensor:
        """The same as a tensor [B] on the device."""
        return self._rows[step]
