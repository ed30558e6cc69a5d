"""Adam whose parameters may be rearranged: density control copies, splits and removes Gaussians between steps."""

import torch
from training_kernels import adam_step

_STATE = ("step", "first_moment", "second_moment")


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
        self._decay = final ** (1 / max(steps, 1))
        self._leaves = {name: tensor.requires_grad_() for name, tensor in parameters.items()}
        self._state = {name: self._fresh(tensor) for name, tensor in parameters.items()}

    @staticmethod
    def _fresh(tensor: torch.Tensor) -> dict[str, torch.Tensor]:
        return {
            "step": torch.zeros((), device=tensor.device),
            "first_moment": torch.zeros_like(tensor, requires_grad=False),
            "second_moment": torch.zeros_like(tensor, requires_grad=False),
        }

    def schedule(self, step: int) -> None:
        """Set the rates of optimisation step `step`."""
        torch.mul(self._initial, self._decay**step, out=self._rates)

    @torch.no_grad()
    def step(self, frozen: frozenset[str]) -> None:
        """Apply the gradients; parameters named in `frozen` stay as they are. May be captured in a CUDA graph."""
        for rate, (name, leaf) in zip(self._rates.unbind(), self._leaves.items(), strict=True):
            if leaf.grad is not None and name not in frozen:
                state = self._state[name]
                state["step"] += 1
                adam_step(leaf, leaf.grad, state["first_moment"], state["second_moment"], rate, state["step"])
            leaf.grad = None

    def replace(self, name: str, tensor: torch.Tensor, source: torch.Tensor) -> torch.Tensor:
        """Put `tensor` in place of parameter `name`; its row r keeps the moments of row source[r], none where that
        is -1.

        Returns:
            The new leaf.
        """
        leaf = tensor.detach().clone().requires_grad_()
        old, fresh = self._state[name], self._fresh(leaf)
        kept = (source >= 0).view(-1, *[1] * (leaf.ndim - 1))
        rows = source.clamp_min(0)
        for key in ("first_moment", "second_moment"):
            if len(old[key]):
                fresh[key] = torch.where(kept, old[key][rows], 0.0)
        self._leaves[name] = leaf
        self._state[name] = {**fresh, "step": old["step"]}
        return leaf

    def state_tensors(self) -> dict[str, torch.Tensor]:
        """Moments and step counts by parameter name, for a checkpoint."""
        return {f"{name}.{key}": self._state[name][key] for name in self._leaves for key in _STATE}

    def load_state_tensors(self, tensors: dict[str, torch.Tensor]) -> None:
        """The inverse of `state_tensors` for the same parameters."""
        for name, leaf in self._leaves.items():
            self._state[name] = {key: tensors[f"{name}.{key}"].to(leaf.device, copy=True) for key in _STATE}
