"""Adam whose parameters may be rearranged: density control copies, splits and removes Gaussians between steps."""

import torch
from training_kernels import SummedRows, adam_step, adam_step_rows

_MOMENTS = ("first_moment", "second_moment")


class Optimiser:
    """Adam over named leaf tensors, each with its own rate, all decaying geometrically over the run.

    Args:
        parameters: leaf tensors by name, all on one device.
        rates: initial step size by name.
        final: share of the rates left after `steps`.
    """

    def __init__(self, parameters: dict[str, torch.Tensor], rates: dict[str, float], final: float, steps: int):
        device = next(iter(parameters.values())).device
        self._initial = torch.tensor([rates[name] for name in parameters], device=device)
        self._rates = self._initial.clone()  # rewritten in place, so that a CUDA graph finds them
        self._places = {name: place for place, name in enumerate(parameters)}
        self._decay = final ** (1 / max(steps, 1))
        self._leaves = {name: tensor.requires_grad_() for name, tensor in parameters.items()}
        self._moments = {name: self._still(tensor) for name, tensor in parameters.items()}
        self._steps = torch.zeros(len(parameters), device=device)  # that each parameter has made
        self._counts: dict[frozenset[str], torch.Tensor] = {}

    @staticmethod
    def _still(tensor: torch.Tensor) -> dict[str, torch.Tensor]:
        return {key: torch.zeros_like(tensor, requires_grad=False) for key in _MOMENTS}

    def schedule(self, step: int) -> None:
        """Set the rates of optimisation step `step`."""
        torch.mul(self._initial, self._decay**step, out=self._rates)

    @torch.no_grad()
    def step(self, frozen: frozenset[str]) -> None:
        """Apply the gradients; parameters named in `frozen` stay as they are. May be captured in a CUDA graph."""
        moving = frozenset(name for name, leaf in self._leaves.items() if leaf.grad is not None) - frozen
        self._steps += self._count(moving)
        for name, leaf in self._leaves.items():
            if name in moving:
                assert leaf.grad is not None
                adam_step(leaf, leaf.grad, *self._state(name))
            leaf.grad = None

    @torch.no_grad()
    def step_rows(self, name: str, gradient: SummedRows) -> torch.Tensor:
        """The same for one parameter whose gradient is that of its weighted sums; see `adam_step_rows`.

        Returns:
            [] the mean of its squares before the step.
        """
        self._steps += self._count(frozenset({name}))
        return adam_step_rows(self._leaves[name], gradient, *self._state(name))

    def _state(self, name: str) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
        """First and second moment of a parameter, and its rate and number of steps, which are read on the device."""
        moments, place = self._moments[name], self._places[name]
        return moments["first_moment"], moments["second_moment"], self._rates[place], self._steps[place]

    def _count(self, moving: frozenset[str]) -> torch.Tensor:
        """1 for every parameter that moves, on the device before a step is recorded."""
        if moving not in self._counts:
            counts = [float(name in moving) for name in self._leaves]
            self._counts[moving] = torch.tensor(counts, device=self._steps.device)
        return self._counts[moving]

    def replace(self, name: str, tensor: torch.Tensor, source: torch.Tensor) -> torch.Tensor:
        """Put `tensor` in place of parameter `name`; its row r keeps the moments of row source[r], none where that
        is -1.

        Returns:
            The new leaf.
        """
        leaf = tensor.detach().clone().requires_grad_()
        old, fresh = self._moments[name], self._still(leaf)
        kept = (source >= 0).view(-1, *[1] * (leaf.ndim - 1))
        rows = source.clamp_min(0)
        for key in _MOMENTS:
            if len(old[key]):
                fresh[key] = torch.where(kept, old[key][rows], 0.0)
        self._leaves[name], self._moments[name] = leaf, fresh
        return leaf

    def state_tensors(self) -> dict[str, torch.Tensor]:
        """Moments and step counts by parameter name, for a checkpoint."""
        moments = {f"{name}.{key}": self._moments[name][key] for name in self._leaves for key in _MOMENTS}
        return moments | {f"{name}.step": self._steps[place].clone() for name, place in self._places.items()}

    def load_state_tensors(self, tensors: dict[str, torch.Tensor]) -> None:
        """The inverse of `state_tensors` for the same parameters."""
        for name, leaf in self._leaves.items():
            self._moments[name] = {key: tensors[f"{name}.{key}"].to(leaf.device, copy=True) for key in _MOMENTS}
            self._steps[self._places[name]] = tensors[f"{name}.step"].to(leaf.device)
