"""One way to change every tensor of a record: what moving to a device, or to host memory, means for all of them."""

import dataclasses
from collections.abc import Callable
from typing import Any, TypeVar

import torch
from torch import Tensor

ON_HOST = {"on_host": True}
"""Metadata of a dataclass field that stays in the memory of the host whatever happens to the rest of its record."""

Record = TypeVar("Record")


def map_tensors(record: Record, change: Callable[[Tensor], Tensor]) -> Record:
    """A copy of a dataclass, a dict or a tuple with `change` applied to every tensor in it, however deep.

    Fields with the metadata `ON_HOST`, and values that hold no tensor, stay as they are.
    """
    return _mapped(record, change)


def to_device(record: Record, device: torch.device | str) -> Record:
    """A copy of a record with every tensor on `device`; see `map_tensors`."""
    return _mapped(record, lambda tensor: tensor.to(device))


def _mapped(value: Any, change: Callable[[Tensor], Tensor]) -> Any:
    if isinstance(value, Tensor):
        return change(value)
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        fields = [field for field in dataclasses.fields(value) if not field.metadata.get("on_host")]
        return dataclasses.replace(value, **{f.name: _mapped(getattr(value, f.name), change) for f in fields})
    if isinstance(value, dict):
        return {key: _mapped(item, change) for key, item in value.items()}
    if type(value) is tuple:
        return tuple(_mapped(item, change) for item in value)
    return value
