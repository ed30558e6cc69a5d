"""The device option: what it means in this version."""

from rgb_core.errors import InputError

from .options import Device


def check_device(device: Device) -> None:
    """Accept the CPU.

    Raises:
        InputError: for a GPU, for which this version has no kernels.
    """
    if device is Device.cuda:
        raise InputError("this version computes on the CPU: its CUDA kernels are not written yet; use --device cpu")
