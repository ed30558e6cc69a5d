"""The order in which a fit looks at its frames."""

import torch
from torch import Tensor


class FrameOrder:
    """Batches of frames: every pass over the clip is in an order that depends on the seed and the pass alone."""

    def __init__(
        self, count: int, batch: int, steps: int, seed: int, device: torch.device, shares: Tensor | None = None
    ):
        """`count` frames, up to `batch` of them in each of `steps` steps.

        Args:
            shares: [count] how often a pass shows each frame, of mean 1; None shows every frame once.
        """
        batch = min(batch, count)
        passes = -(-steps * batch // count)
        generators = (torch.Generator().manual_seed(seed * 1_000_003 + number) for number in range(passes))
        order = torch.cat([_one_pass(count, shares, generator) for generator in generators])
        self._numbers = [sorted(set(part.tolist())) for part in order[: steps * batch].split(batch)]
        rows = torch.tensor([number for numbers in self._numbers for number in numbers])
        self._rows = rows.to(device).split([len(numbers) for numbers in self._numbers])

    def numbers(self, step: int) -> list[int]:
        """The frames of a step, ascending."""
        return self._numbers[step]

    def rows(self, step: int) -> Tensor:
        """The same as a tensor [B] on the device."""
        return self._rows[step]


def _one_pass(count: int, shares: Tensor | None, generator: torch.Generator) -> Tensor:
    """[count] frames in random order, drawn by systematic sampling: a frame comes up its share, rounded up or down."""
    shuffled = torch.randperm(count, generator=generator)
    if shares is None:
        return shuffled
    ends = (shares.double() * count / shares.double().sum()).cumsum(0)
    ends[-1] = count
    start = torch.rand((), generator=generator, dtype=torch.float64)
    times = (ends + start).floor().diff(prepend=torch.zeros(1, dtype=torch.float64)).long()
    return torch.arange(count).repeat_interleave(times)[shuffled]
