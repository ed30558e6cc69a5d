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
        graphable = all(tensor.is_cuda for tensor in parameters.values())
        self._decay = final ** (1 / max(steps, 1))
        self._adam = torch.optim.Adam(
            [
                {"params": [tensor.requires_grad_()], "lr": self._rate(name, tensor, graphable), "name": name}
                for name, tensor in parameters.items()
            ],
            betas=(0.9, 0.99),
            eps=1e-15,
            fused=True,
            capturable=graphable,
        )
        for group in self._adam.param_groups:
            self._adam.state[group["params"][0]] = self._fresh(group["params"][0])

    def _rate(self, name: str, parameter: torch.Tensor, graphable: bool) -> float | torch.Tensor:
        """The first rate; on a GPU as a tensor there, which a CUDA graph reads anew in every replay."""
        return torch.tensor(self._rates[name], device=parameter.device) if graphable else self._rates[name]

    @staticmethod
    def _fresh(tensor: torch.Tensor) -> dict[str, torch.Tensor]:
        return {
            "step": torch.zeros((), device=tensor.device),
            "exp_avg": torch.zeros_like(tensor),
            "exp_avg_sq": torch.zeros_like(tensor),
        }

    def schedule(self, step: int) -> None:
        """Set the rates of optimisation step `step`."""
        for group in self._adam.param_groups:
            rate = self._rates[group["name"]] * self._decay**step
            if isinstance(group["lr"], torch.Tensor):
                group["lr"].fill_(rate)
            else:
                group["lr"] = rate

    def step(self, frozen: frozenset[str]) -> None:
        """Apply the gradients; parameters named in `frozen` stay as they are. May be captured in a CUDA graph."""
        for group in self._adam.param_groups:
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
            key: torch.where(kept, state[key][rows], 0.0) if len(state[key]) else torch.zeros_like(leaf)
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
                state[key] = tensors[f"{group['name']}.{key}"].to(group["params"][0].device, copy=True)
