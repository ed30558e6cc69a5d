"""How much of its own hemisphere a surface point does not see."""

import torch
from kernel_runtime import ArgumentError, check_tensor, device_of
from torch import Tensor

from . import cpu, cuda
from .visibility import BITS, PointVisibility

_LEAST_LIGHT = 1e-6  # E_open below which a normal is degenerate; the share then comes out as 1


def occlusion(normal: Tensor, words: Tensor, height: int, width: int, light_to_world: Tensor | None = None) -> Tensor:
    """Cosine-weighted share [P, 1] of the hemisphere above every point that is hidden: 1 - E / E_open in white light.

    Args:
        normal: [P, 3] unit, float32.
        words: [P, S] int32 visibility of each point itself, S >= ceil(height * width / 32), bits as in
            `PointVisibility`.
        height, width: of the map the bits belong to.
        light_to_world: [3, 3] rotation of the map's directions into the space of the normals; None means identity.

    Raises:
        ArgumentError: for a wrong shape, dtype or device.
    """
    normal = check_tensor("normal", normal.detach(), (None, 3))
    words = check_tensor("words", words, (len(normal), None), torch.int32)
    if words.shape[1] * BITS < height * width:
        raise ArgumentError(f"words: {words.shape[1]} words are too few for a map of {height} x {width}")
    if light_to_world is None:
        light_to_world = torch.eye(3, device=normal.device)
    light_to_world = check_tensor("light_to_world", light_to_world.detach(), (3, 3))
    if device_of("occlusion", normal, words, light_to_world) == "cuda":
        return cuda.occlusion(normal, words, height, width, light_to_world)
    return _by_integrals(normal, words, height, width, light_to_world)


def _by_integrals(normal: Tensor, words: Tensor, height: int, width: int, light_to_world: Tensor) -> Tensor:
    """Two diffuse integrals over a white map, with and without the bits."""
    index = torch.arange(len(normal))
    corners = index.to(torch.int32)[:, None].expand(-1, 3).contiguous()
    itself = PointVisibility(words, corners, index, torch.eye(3)[:1].expand(len(normal), 3).contiguous())
    white, unused = torch.ones(3, height, width), torch.zeros(len(normal), 1)
    seen, whole = (
        cpu.forward(normal, normal, unused, white, bits, light_to_world, False)[0][:, :1] for bits in (itself, None)
    )
    return (1 - seen / whole.clamp_min(_LEAST_LIGHT)).clamp(0, 1)
