"""From free parameters to physical materials, and back."""

import torch

# Below about 0.1 the GGX lobe is narrower than float32 and a 16 x 32 light can resolve (docs/physics.md).
MIN_ROUGHNESS = 0.1
_EDGE = 1e-3


def raw_from_unit(value: torch.Tensor | float) -> torch.Tensor:
    """The free parameter whose sigmoid is `value` in [0, 1]."""
    return torch.logit(torch.as_tensor(value, dtype=torch.float32), eps=_EDGE)


def raw_from_roughness(value: torch.Tensor | float) -> torch.Tensor:
    """The free parameter of a `roughness` in [MIN_ROUGHNESS, 1]."""
    return raw_from_unit((torch.as_tensor(value, dtype=torch.float32) - MIN_ROUGHNESS) / (1 - MIN_ROUGHNESS))
