"""Coefficients of one head drive another: by ARKit name, by vertices, or not at all."""

import dataclasses
from pathlib import Path

import pytest
import torch
from head_samples import random_head

from rgb_core.errors import InputError
from rgb_core.heads import HeadModel, builtin_head, expression_transfer, load_head
from rgb_core.heads.arkit import ARKIT_NAMES, arkit_parts

ICT_HEAD = Path(__file__).parents[3] / "shared" / "datasets" / "ict_mira" / "head.npz"


def named(*names: str, name: str = "named") -> HeadModel:
    base = random_head()
    basis = base.expression_basis[:1].repeat(len(names), 1, 1)
    return dataclasses.replace(base, name=name, expression_names=names, expression_basis=basis)


def test_52_names_in_order():
    assert len(ARKIT_NAMES) == len(set(ARKIT_NAMES)) == 52
    assert arkit_parts("mouthSmile_L") == arkit_parts("mouthSmileLeft") != arkit_parts("mouthSmileRight")
    assert arkit_parts("browInnerUp") == arkit_parts("browInnerUp_L") | arkit_parts("browInnerUp_R")
    assert arkit_parts("expression_0") == arkit_parts("tongue_L") == frozenset()


def test_suffixes_and_order():
    matrix = expression_transfer(
        named("jawOpen", "eyeBlink_L", "eyeBlink_R"), named("eyeBlinkRight", "jawOpen", name="b")
    )
    assert matrix.tolist() == [[0.0, 0.0, 1.0], [1.0, 0.0, 0.0]]


def test_merged_shapes_take_the_mean_and_split_shapes_copy():
    split, merged = named("browInnerUp_L", "browInnerUp_R", "jawOpen"), named("browInnerUp", "jawOpen", name="b")
    assert expression_transfer(split, merged).tolist() == [[0.5, 0.5, 0.0], [0.0, 0.0, 1.0]]
    assert expression_transfer(merged, split).tolist() == [[1.0, 0.0], [1.0, 0.0], [0.0, 1.0]]


def test_one_model_is_the_identity_whatever_its_names():
    head = random_head()
    moved = dataclasses.replace(head, vertices=head.vertices[:-1], expression_basis=head.expression_basis[:, :-1])
    assert torch.equal(expression_transfer(moved, head), torch.eye(3, dtype=torch.float64))


def test_unnamed_bases_on_the_same_vertices_by_least_squares():
    target = random_head()
    mixing = torch.randn(3, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    source = dataclasses.replace(
        target,
        name="mixed",
        expression_names=("x", "y"),
        expression_basis=torch.einsum("ts,tvc->svc", mixing, target.expression_basis),
    )
    torch.testing.assert_close(expression_transfer(source, target), mixing)


def test_other_meshes_without_names_are_refused():
    source = dataclasses.replace(random_head(), name="other", vertices=random_head().vertices[:-1])
    with pytest.raises(InputError, match=r"'other' cannot drive 'random'.*11 and 12 vertices"):
        expression_transfer(source, random_head())


@pytest.mark.skipif(not ICT_HEAD.is_file(), reason="the ICT dataset is not here")
def test_ict_and_the_builtin_head_drive_each_other():
    ict, ours = load_head(ICT_HEAD), builtin_head()
    there, back = expression_transfer(ict, ours), expression_transfer(ours, ict)
    assert there.shape == (52, 53)
    # Everything but the tongue, which ICT has not, is reached; each reached row and each column sums to one shape.
    reached = there.sum(1)
    assert reached[ours.expression_index("tongueOut")] == 0
    assert reached.sum() == 51
    assert torch.equal(back.sum(1), torch.ones(53))
    # ICT's sides survive the round trip, except where ARKit merges them into their mean.
    round_trip = back @ there
    merged = [index for index, name in enumerate(ict.expression_names) if "browInnerUp" in name or "cheekPuff" in name]
    expected = torch.eye(53)
    for index in merged:
        expected[index, index] = 0.5
    for left, right in (merged[:2], merged[2:]):
        expected[left, right] = expected[right, left] = 0.5
    assert torch.equal(round_trip, expected)


@pytest.mark.skipif(not ICT_HEAD.is_file(), reason="the ICT dataset is not here")
@pytest.mark.parametrize("name", ["jawOpen", "mouthSmile_L", "eyeBlink_R", "browOuterUp_L", "mouthRight", "jawLeft"])
def test_both_heads_mean_the_same_movement(name):
    """The landmarks of the two heads move the same way: sides and directions are not mixed up."""
    ict, ours = load_head(ICT_HEAD), builtin_head()
    column = expression_transfer(ict, ours)[:, ict.expression_index(name)]
    theirs = ict.expression_basis[ict.expression_index(name)][ict.landmarks68].flatten()
    mine = torch.einsum("e,evc->vc", column, ours.expression_basis[:, ours.landmarks68]).flatten()
    cosine = torch.nn.functional.cosine_similarity(theirs, mine, dim=0)
    # Two artists sculpted these: well aligned, not equal; a swapped side or sign would be at most zero.
    assert cosine > 0.5
