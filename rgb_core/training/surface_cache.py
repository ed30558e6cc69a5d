"""Traced surfaces of the training frames, kept while memory lasts: on the device, then on the host, then not at all."""

from collections.abc import Callable

import torch

from ..shading import Surface
from ..tensors import map_tensors


class SurfaceCache:
    """Surfaces by frame.

    Args:
        budget_mb: memory on the device, and as much again on the host where that is another.
        device: where surfaces are made and wanted.
    """

    def __init__(self, budget_mb: int, device: torch.device):
        self._device = device
        self._left = {"near": budget_mb * 2**20, "host": budget_mb * 2**20}
        self._kept: dict[int, Surface] = {}

    def get(self, frame: int, trace: Callable[[], Surface]) -> Surface:
        """The surface of `frame`, traced where it is not kept."""
        if frame in self._kept:
            return map_tensors(self._kept[frame], lambda tensor: tensor.to(self._device, non_blocking=True))
        surface = trace()
        if surface.nbytes <= self._left["near"]:
            self._left["near"] -= surface.nbytes
            self._kept[frame] = surface
        elif self._device.type == "cuda" and surface.nbytes <= self._left["host"]:
            self._left["host"] -= surface.nbytes
            self._kept[frame] = map_tensors(surface, lambda tensor: tensor.cpu().pin_memory())
        return surface
