"""Adam with the three habits this fit needs: updates of some rows only, one scale for a whole field, a floor."""

import torch
from torch import Tensor

_FIRST, _SECOND = 0.9, 0.98  # decay of the moments; a frame is visited some dozens of times, so short memories


class Parameter:
    """A tensor and its Adam moments; rows that a step does not touch keep value and moments as they are."""

    def __init__(self, value: Tensor, rate: float, floor: float = 1e-12, uniform: bool = False):
        """
        Args:
            value: [N,...] at the start.
            rate: length of a full step, in the value's unit.
            floor: gradients well below it make proportionally shorter steps.
            uniform: scale by the largest gradient of the field, which keeps a smoothed gradient's shape.
        """
        self.value = value
        self.rate = rate
        self._floor = floor
        self._uniform = uniform
        self._first = torch.zeros_like(value)
        self._second = value.new_zeros(1) if uniform else torch.zeros_like(value)
        self._count = value.new_zeros(len(value))

    def leaf(self) -> Tensor:
        """The value as a fresh leaf that collects a gradient."""
        return self.value.detach().requires_grad_()

    def step(self, gradient: Tensor | None, share: float, rows: Tensor | slice = slice(None)) -> None:
        """Descend along gradient[rows] with `share` of the rate; no gradient (nothing depended on it) is no step."""
        if gradient is None:
            return
        gradient = gradient[rows]
        self._count[rows] += 1
        count = self._count[rows].view(-1, *[1] * (gradient.ndim - 1))
        self._first[rows] = first = _FIRST * self._first[rows] + (1 - _FIRST) * gradient
        squared = gradient.square()
        if self._uniform:
            self._second = second = _SECOND * self._second + (1 - _SECOND) * squared.max()
        else:
            self._second[rows] = second = _SECOND * self._second[rows] + (1 - _SECOND) * squared
        scale = (second / (1 - _SECOND**count)).sqrt() + self._floor
        value = self.value.clone()
        value[rows] -= share * self.rate * first / (1 - _FIRST**count) / scale
        self.value = value

    def state(self, name: str) -> dict[str, Tensor]:
        """Everything the next step depends on, for a checkpoint, on the CPU."""
        parts = {"value": self.value, "first": self._first, "second": self._second, "count": self._count}
        return {f"{name}.{part}": tensor.to("cpu", copy=True) for part, tensor in parts.items()}

    def restore(self, name: str, tensors: dict[str, Tensor]) -> None:
        """The inverse of `state`."""
        self.value, self._first, self._second, self._count = (
            tensors[f"{name}.{part}"].clone().to(self.value.device) for part in ("value", "first", "second", "count")
        )
