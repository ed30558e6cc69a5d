"""Repeated work gives what the work gives, recorded or not; room for pictures grows when they do."""

from dataclasses import dataclass

import pytest
import torch
from torch import Tensor

from rgb_core.rendering.graphs import GraphRunner, Room

DEVICES = [
    "cpu",
    pytest.param(
        "cuda",
        marks=[pytest.mark.gpu, pytest.mark.skipif(not torch.cuda.is_available(), reason="no NVIDIA GPU")],
    ),
]


@dataclass(frozen=True)
class Number:
    """The input of a piece of work."""

    value: Tensor

    def empty_like(self) -> "Number":
        return Number(torch.empty_like(self.value))

    def copy_(self, other: "Number") -> None:
        self.value.copy_(other.value)


def doubled(given: Number) -> Tensor:
    return 2 * given.value


@pytest.mark.parametrize("device", DEVICES)
def test_every_run_sees_its_own_inputs_and_keeps_its_own_result(device: str):
    runner: GraphRunner[Number] = GraphRunner(torch.device(device))
    with runner.active():
        results = [
            runner.run("double", doubled, Number(torch.full((4,), float(index), device=device))) for index in range(5)
        ]
    for index, result in enumerate(results):
        assert torch.equal(result.cpu(), torch.full((4,), 2.0 * index))


@pytest.mark.parametrize("device", DEVICES)
def test_kinds_do_not_mix_though_only_the_last_ones_are_kept(device: str):
    runner: GraphRunner[Number] = GraphRunner(torch.device(device), most=2)
    given = Number(torch.ones(3, device=device))
    with runner.active():
        for factor in (1, 2, 3, 1, 1, 1, 2, 3, 3, 3):
            result = runner.run(factor, lambda number, by=factor: by * number.value, given)
            assert torch.equal(result.cpu(), torch.full((3,), float(factor)))


@pytest.mark.parametrize("device", DEVICES)
def test_after_forgetting_the_work_is_done_anew(device: str):
    """What the work reads beside its inputs is read where it lay when the work was recorded."""
    runner: GraphRunner[Number] = GraphRunner(torch.device(device))
    given, shift = Number(torch.ones(2, device=device)), torch.full((2,), 10.0, device=device)

    def shifted(number: Number) -> Tensor:
        return number.value + shift

    with runner.active():
        for _ in range(3):
            assert torch.equal(runner.run("shift", shifted, given).cpu(), torch.full((2,), 11.0))
        shift = torch.full((2,), 20.0, device=device)
        runner.forget()
        for _ in range(3):
            assert torch.equal(runner.run("shift", shifted, given).cpu(), torch.full((2,), 21.0))


def needing(instances: int, device: str) -> Tensor:
    return torch.tensor(instances, dtype=torch.int64, device=device)


@pytest.mark.parametrize("device", DEVICES)
def test_room_is_measured_once_and_outgrown_by_more_than_its_spare(device: str):
    room = Room(torch.device(device), spare=2.0)
    assert room.capacity is None
    assert not room.outgrown()
    room.note(needing(100, device))
    assert 200 <= room.capacity <= 201
    for instances in (150, 200, 10):
        room.note(needing(instances, device))
        assert not room.outgrown()
    room.note(needing(500, device))
    room.note(needing(10, device))  # a small picture after it does not make it forgotten
    assert room.outgrown()


@pytest.mark.parametrize("device", DEVICES)
def test_new_room_holds_the_picture_that_outgrew_the_old_one(device: str):
    room = Room(torch.device(device), spare=2.0)
    room.note(needing(100, device))
    room.note(needing(500, device))
    room.measure_again()
    assert room.capacity is None
    assert not room.outgrown()
    room.note(needing(10, device))  # the picture that happens to measure is a small one
    assert room.capacity > 500
    room.note(needing(500, device))
    assert not room.outgrown()


@pytest.mark.parametrize("device", DEVICES)
def test_room_that_was_not_outgrown_may_shrink(device: str):
    room = Room(torch.device(device), spare=2.0)
    room.note(needing(1000, device))
    room.measure_again()
    room.note(needing(10, device))
    assert 20 <= room.capacity <= 21
