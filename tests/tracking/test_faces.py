"""Who is followed, and which frames have no usable face."""

import pytest
import torch
from torch import Tensor

from rgb_core.errors import InputError
from rgb_core.tracking.detect.faces import follow_person
from rgb_core.tracking.landmarks import COUNT

SIZE = (400, 300)


def face(x: float, y: float, side: float, mouth: float = 0.0) -> Tensor:
    """[1, 478, 3] landmarks that fill a square, the lowest third opened by `mouth` of its side."""
    spread = torch.rand(COUNT, 2, generator=torch.Generator().manual_seed(0)) - 0.5
    spread[spread[:, 1] > 1 / 6, 1] += mouth
    return torch.cat([torch.tensor([x, y]) + side * spread, torch.zeros(COUNT, 1)], 1)[None]


NOBODY = torch.zeros(0, COUNT, 3)


def test_the_largest_of_two_faces_is_kept_whatever_their_order() -> None:
    large = [face(100 + n, 150, 90, 0.02 * n) for n in range(10)]
    small = [face(300 - n, 150, 60, 0.02 * n) for n in range(10)]
    both = [
        torch.cat(pair) if n % 2 else torch.cat(pair[::-1]) for n, pair in enumerate(zip(large, small, strict=True))
    ]
    person = follow_person(both, range(10), SIZE)
    torch.testing.assert_close(person.points, torch.cat(large))
    assert person.others == 10
    assert not person.dropped


def test_a_person_is_followed_where_another_face_is_larger_for_a_moment() -> None:
    steady = [face(100, 150, 80) for _ in range(9)]
    visitor = {4: face(300, 150, 140)}
    faces = [torch.cat([found, visitor[n]]) if n in visitor else found for n, found in enumerate(steady)]
    person = follow_person(faces, range(9), SIZE)
    torch.testing.assert_close(person.points, torch.cat(steady))
    assert person.others == 0


def test_a_picture_on_the_wall_is_nobody_however_large() -> None:
    """It moves in front of a camera that moves, but its mouth does not."""
    person = [face(100 + 2 * n, 150, 60, 0.02 * (n % 3)) for n in range(20)]
    portrait = [face(280 + 2 * n, 150, 100 + n) for n in range(20)]
    both = [torch.cat([picture, living]) for picture, living in zip(portrait, person, strict=True)]
    found = follow_person(both, range(20), SIZE)
    torch.testing.assert_close(found.points, torch.cat(person))
    assert found.others == 0
    assert not found.dropped


def test_a_picture_is_followed_where_nobody_lives() -> None:
    still = [face(100, 150, 60) for _ in range(12)]
    torch.testing.assert_close(follow_person(still, range(12), SIZE).points, torch.cat(still))


def test_short_gaps_are_bridged_and_long_ones_left_out() -> None:
    here = face(200, 150, 90)
    faces = [here, NOBODY, here, here, *[NOBODY] * 6, here]
    person = follow_person(faces, [10 + 2 * n for n in range(len(faces))], SIZE)
    assert person.rows.tolist() == [0, 1, 2, 3, 10]
    assert person.points[:, 0, 0].isnan().tolist() == [False, True, False, False, False]
    assert person.dropped == {10 + 2 * n: "no face" for n in range(4, 10)}


def test_a_face_that_leaves_the_picture_is_left_out_by_that_name() -> None:
    person = follow_person([face(x, 150, 90) for x in (200, 260, 320, 380)], range(4), SIZE)
    assert person.rows.tolist() == [0, 1, 2]
    assert person.dropped == {3: "face leaves the picture"}


def test_a_face_that_is_too_small_is_left_out_by_that_name() -> None:
    person = follow_person([face(200, 150, 90), face(200, 150, 12)], range(2), SIZE)
    assert person.dropped == {1: "face too small"}


def test_a_gap_at_an_end_is_not_bridged() -> None:
    person = follow_person([NOBODY, face(200, 150, 90), NOBODY], range(3), SIZE)
    assert person.rows.tolist() == [1]


def test_no_face_at_all_is_one_sentence() -> None:
    with pytest.raises(InputError, match=r"no frame shows a usable face \(no face\)"):
        follow_person([NOBODY, NOBODY], range(2), SIZE)
