"""Fingerprints are equal exactly when what they stand for is, however it lies in memory."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from rgb_core.errors import InputError
from rgb_core.fingerprints import files_in, fingerprint
from rgb_core.heads import HeadModel

VALUES = torch.tensor([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]])


@pytest.mark.parametrize(
    "same",
    [
        VALUES.clone(),
        VALUES.T.contiguous().T,
        VALUES.repeat_interleave(2, 1)[:, ::2],
        VALUES.clone().requires_grad_(),
    ],
    ids=["copy", "transposed", "strided", "leaf"],
)
def test_only_the_values_of_a_tensor_count(same: torch.Tensor):
    assert fingerprint(tensor=same) == fingerprint(tensor=VALUES)


def test_tensors_of_one_value_and_of_one_column_have_fingerprints_too():
    assert fingerprint(a=torch.tensor(2.0)) != fingerprint(a=torch.tensor(3.0))
    assert fingerprint(a=torch.ones(1).expand(3, 1)) == fingerprint(a=torch.ones(3, 1))
    assert fingerprint(a=torch.zeros(0, 3)) != fingerprint(a=torch.zeros(0, 4))


@pytest.mark.parametrize(
    "other",
    [VALUES + 1e-6, VALUES.double(), VALUES.view(3, 2), VALUES.flatten(), VALUES.tolist(), {"tensor": VALUES}],
    ids=["value", "type", "shape", "dimensions", "list", "name"],
)
def test_whatever_else_differs_shows(other: object):
    assert fingerprint(tensor=other) != fingerprint(tensor=VALUES)


def test_a_file_stands_for_its_contents_and_a_folder_for_its_files(tmp_path: Path):
    for name in ("a", "b"):
        (tmp_path / name / "inner").mkdir(parents=True)
        (tmp_path / name / "inner/x.txt").write_text("same")
        (tmp_path / name / ".hidden").write_text(name)
    assert fingerprint(of=files_in(tmp_path / "a")) == fingerprint(of=files_in(tmp_path / "b"))
    (tmp_path / "b/inner/x.txt").write_text("other")
    assert fingerprint(of=files_in(tmp_path / "a")) != fingerprint(of=files_in(tmp_path / "b"))
    with pytest.raises(InputError, match=r"cannot read .*missing"):
        fingerprint(of=tmp_path / "missing")


def test_every_part_of_a_head_counts_but_not_where_it_came_from(patch: HeadModel):
    known = fingerprint(head=patch.parts())
    assert fingerprint(head=replace(patch, meta="converted elsewhere").parts()) == known
    moved = {
        name: value + 1 for name, value in vars(patch).items() if isinstance(value, torch.Tensor) and value.numel()
    }
    assert {"region", "skin_weights", "joint_positions", "faces"} <= set(moved)
    for name, value in moved.items():
        assert fingerprint(head={**patch.parts(), name: value}) != known, name
