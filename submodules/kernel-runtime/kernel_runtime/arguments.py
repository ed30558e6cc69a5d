"""Argument checks: a wrong shape, dtype or device is reported once, by name, before a kernel runs."""

from typing import Literal

import numpy as np
import torch


class ArgumentError(ValueError):
    """A kernel argument has the wrong shape, dtype, device or range."""


class UnsupportedDevice(ArgumentError):
    """The operation has no kernel for the device of its tensors."""


def check_tensor(
    name: str,
    tensor: torch.Tensor,
    shape: tuple[int | None, ...],
    dtype: torch.dtype = torch.float32,
    device: torch.device | None = None,
) -> torch.Tensor:
    """Return `tensor` contiguous if it has `shape` (None matches any size), `dtype` and `device` (None: any).

    Raises:
        ArgumentError: naming the argument, what it is and what was expected.
    """
    if not isinstance(tensor, torch.Tensor):
        raise ArgumentError(f"{name}: expected a tensor, got {type(tensor).__name__}")
    have = tensor.shape
    # The comparison of whole shapes is the quick one.
    if have != shape and not _matches(have, shape):
        expected = ", ".join("*" if size is None else str(size) for size in shape)
        raise ArgumentError(f"{name}: expected shape [{expected}], got {list(tensor.shape)}")
    if tensor.dtype != dtype:
        raise ArgumentError(f"{name}: expected {dtype}, got {tensor.dtype}")
    if device is not None and tensor.device != device:
        raise ArgumentError(f"{name}: expected a tensor on {device}, got one on {tensor.device}")
    return tensor.contiguous()


def _matches(have: tuple[int, ...], shape: tuple[int | None, ...]) -> bool:
    if len(have) != len(shape):
        return False
    return not [size for size, want in zip(have, shape, strict=True) if want is not None and want != size]


def require_cpu(operation: str, *tensors: torch.Tensor | None) -> None:
    """Raise UnsupportedDevice unless every tensor given is on the CPU."""
    for tensor in tensors:
        if tensor is not None and tensor.device.type != "cpu":
            raise UnsupportedDevice(
                f"{operation} has no {tensor.device.type} kernel in this version: move its tensors to the CPU"
            )


def device_of(operation: str, *tensors: torch.Tensor | None) -> Literal["cpu", "cuda"]:
    """The kind of device that holds every tensor given, for dispatch; None is skipped.

    Raises:
        UnsupportedDevice: the tensors lie on several devices, or on one that is neither a CPU nor a CUDA device.
    """
    present = [tensor for tensor in tensors if tensor is not None]
    if not present:
        return "cpu"
    if present[0].is_cuda:  # the numbers of devices are quick to compare
        number = present[0].get_device()
        if not [tensor for tensor in present if tensor.get_device() != number]:
            return "cuda"
    given = [tensor.device for tensor in present]
    first = given[0]
    if any(device != first for device in given):
        devices = sorted(set(map(str, given)))
        raise UnsupportedDevice(f"{operation} got tensors on {' and '.join(devices)}: move them to one device")
    if first.type == "cpu":
        return "cpu"
    if first.type == "cuda":
        return "cuda"
    raise UnsupportedDevice(f"{operation} has no {first.type} kernel: move its tensors to the CPU or to a CUDA device")


def as_numpy(tensor: torch.Tensor) -> np.ndarray:
    """The tensor's memory as a contiguous numpy array, without autograd."""
    return tensor.detach().contiguous().numpy()
