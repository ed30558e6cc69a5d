"""Every tensor of a record changes, and nothing else."""

from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from rgb_core.tensors import ON_HOST, map_tensors, to_device
from tests.reliability.fit_cases import tiny_avatar


@dataclass(frozen=True)
class Inner:
    value: Tensor
    name: str = "inner"


@dataclass
class Outer:
    value: Tensor
    inner: Inner
    kept: Inner = field(metadata=ON_HOST)
    by_name: dict[str, Any]
    parts: tuple[Any, ...]
    nothing: None = None


def outer() -> Outer:
    inner = Inner(torch.tensor([2.0]))
    return Outer(
        torch.tensor([1.0]),
        inner,
        Inner(torch.tensor([3.0]), "kept"),
        {"tensor": torch.tensor([4.0]), "record": inner, "number": 5},
        (torch.tensor([6.0]), (torch.tensor([7.0]), inner), "text"),
    )


def test_tensors_change_however_deep_and_what_stays_on_the_host_does_not():
    before = outer()
    after = map_tensors(before, lambda tensor: 10 * tensor)
    assert isinstance(after, Outer)
    assert float(after.value) == 10
    assert (float(after.inner.value), after.inner.name) == (20, "inner")
    assert after.kept is before.kept
    assert (float(after.by_name["tensor"]), float(after.by_name["record"].value)) == (40, 20)
    assert after.by_name["number"] == 5
    assert (float(after.parts[0]), float(after.parts[1][0]), float(after.parts[1][1].value)) == (60, 70, 20)
    assert after.parts[2] == "text"
    assert after.nothing is None


def test_the_record_itself_stays_as_it_was():
    before = outer()
    map_tensors(before, lambda tensor: 10 * tensor)
    assert (float(before.value), float(before.inner.value), float(before.by_name["tensor"])) == (1, 2, 4)


def test_an_avatar_moves_but_for_its_portrait_and_the_order_of_its_joints():
    avatar = tiny_avatar()
    moved = to_device(avatar, "meta")
    places: list[tuple[str, str]] = []

    def note(tensor: Tensor) -> Tensor:
        places.append((tensor.device.type, str(tuple(tensor.shape))))
        return tensor

    map_tensors(moved, note)
    assert len(places) > 15
    assert {device for device, _ in places} == {"meta"}
    assert moved.head.joint_parents.device.type == "cpu"
    assert moved.portrait is avatar.portrait
    assert moved.portrait.joints.device.type == "cpu"
