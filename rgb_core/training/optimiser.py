"""Adam whose parameters may be rearranged: density control copies, splits and removes Gaussians between steps."""

import torch


class Optimiser:
    """Fused Adam over named leaf tensors, each with its own rate, all decaying geometrically over the run.

    Args:
        parameters: leaf tensors by name.
        rates: initial step size by name.
        final: share of the rates left after `steps`.
    """

    def __init__(self, parameters: dict[str, torch.Tensor], rates: dict[str, float], final: float, steps: int):
        self._rates = rates
        self._decay = final ** (1 / max(steps, 1))
        self._adam = torch.optim.Adam(
            [
                {"params": [tensor.requires_grad_()], "lr": rates[name], "name": name}
                for name, tensor in parameters.items()
            ],
            betas=(0.9, 0.99),
            eps=1e-15,
            fused=True,
        )
        for group in self._adam.param_groups:
            self._adam.state[group["params"][0]] = self._fresh(group["params"][0])

    @staticmethod
    def _fresh(tensor: torch.Tensor) -> dict[str, torch.Tensor]:
        return {
            "step": torch.zeros(()),
            "exp_avg": torch.zeros_like(tensor),
            "exp_avg_sq": torch.zeros_like(tensor),
        }

    def step(self, step: int, frozen: frozenset[str]) -> None:
        """Apply the gradients of optimisation step `step`; parameters named in `frozen` stay as they are."""
        for group in self._adam.param_groups:
            group["lr"] = self._rates[group["name"]] * self._decay**step
            if group["name"] in frozen:
                group["params"][0].grad = None
        self._adam.step()
        self._adam.zero_grad(set_to_none=True)

    def replace(self, name: str, tensor: torch.Tensor, source: torch.Tensor) -> torch.Tensor:
        """Put `tensor` in place of parameter `name`; its row r keeps the moments of row source[r], none where that
        is -1.

        Returns:
            The new leaf.
        """
        group = next(group for group in self._adam.param_groups if group["name"] == name)
        state = self._adam.state.pop(group["params"][0])
        leaf = tensor.detach().clone().requires_grad_()
        kept = (source >= 0).view(-1, *[1] * (leaf.ndim - 1))
        rows = source.clamp_min(0)
        moments = {
            key: torch.where(kept, state[key][rows], torch.zeros(())) if len(state[key]) else torch.zeros_like(leaf)
            for key in ("exp_avg", "exp_avg_sq")
        }
        group["params"][0] = leaf
        self._adam.state[leaf] = {"step": state["step"], **moments}
        return leaf

    def state_tensors(self) -> dict[str, torch.Tensor]:
        """Moments and step counts by parameter name, for a checkpoint."""
        return {
            f"{group['name']}.{key}": value
            for group in self._adam.param_groups
            for key, value in self._adam.state[group["params"][0]].items()
        }

    def load_state_tensors(self, tensors: dict[str, torch.Tensor]) -> None:
        """The inverse of `state_tensors` for the same parameters."""
        for group in self._adam.param_groups:
            state = self._adam.state[group["params"][0]]
            for key in state:
                state[key] = tensors[f"{group['name']}.{key}"].clone()
