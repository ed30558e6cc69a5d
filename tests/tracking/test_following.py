"""Faces are found wherever they are in the picture, and followed forwards and backwards."""

from collections.abc import Sequence
from pathlib import Path

import pytest
import torch
from torch import Tensor

from rgb_core.images.video import write_video
from rgb_core.progress import Silent
from rgb_core.tracking.detect import detection
from rgb_core.tracking.detect.detection import Span, detect
from rgb_core.tracking.detect.following import Follower, places_of, search
from rgb_core.tracking.detect.video import open_video
from rgb_core.tracking.landmarks import COUNT

HEIGHT, WIDTH = 120, 240


def face(x: float, y: float, side: float) -> Tensor:
    """[478, 3] landmarks in a square."""
    spread = torch.rand(COUNT, 2, generator=torch.Generator().manual_seed(0)) - 0.5
    return torch.cat([torch.tensor([x, y]) + side * spread, torch.zeros(COUNT, 1)], 1)


class Squares:
    """Takes every bright square of a picture for a face, small ones only where they are large in what it is shown.

    Args:
        blind: shades, of 10s, that it does not find by itself and only recognises at their places.
    """

    def __init__(self, blind: Sequence[int] = ()):
        self.blind = blind
        self.searched = 0

    def find(self, image: Tensor) -> Tensor:
        self.searched += 1
        faces = [
            found
            for shade, found in self._squares(image)
            if shade not in self.blind and float(found[:, 1].max() - found[:, 1].min()) > 0.2 * image.shape[0]
        ]
        return places_of(torch.stack(faces)) if faces else torch.zeros(0, 4)

    def landmarks(self, image: Tensor, places: Tensor) -> Tensor:
        result = torch.full((len(places), COUNT, 3), torch.nan)
        for row, (x, y, side, _) in enumerate(places.tolist()):
            for _, found in self._squares(image):
                if max(abs(float(found[:, 0].mean()) - x), abs(float(found[:, 1].mean()) - y)) < 0.4 * side:
                    result[row] = found
        return result

    def matte(self, image: Tensor) -> Tensor:
        raise AssertionError("nobody asks")

    @staticmethod
    def _squares(image: Tensor) -> list[tuple[int, Tensor]]:
        shades = (image[..., 0].float() / 10).round().long() * 10
        found = []
        for shade in shades[shades > 60].unique().tolist():
            rows, columns = (shades == shade).nonzero().unbind(1)
            if len(rows) > 16:
                middle = columns.float().mean(), rows.float().mean()
                found.append((shade, face(float(middle[0]), float(middle[1]), float(len(rows)) ** 0.5)))
        return found


def picture(*squares: tuple[int, int, int, int]) -> Tensor:
    """A dark picture with squares of (x, y, side, shade)."""
    image = torch.zeros(HEIGHT, WIDTH, 3, dtype=torch.uint8)
    for x, y, side, shade in squares:
        image[y - side // 2 : y + side // 2, x - side // 2 : x + side // 2] = shade
    return image


def middles(faces: Tensor) -> list[int]:
    return sorted(round(float(face[:, 0].mean())) for face in faces)


def test_a_face_too_small_for_the_whole_picture_is_found_in_a_part_of_it() -> None:
    nobody = torch.zeros(0, 4)
    small = picture((200, 90, 18, 100))
    assert len(search(Squares(), small, nobody, in_tiles=False)) == 0
    assert middles(search(Squares(), small, nobody)) == pytest.approx([200], abs=3)


def test_a_face_that_is_followed_is_seen_once_and_others_come_in() -> None:
    follower = Follower(Squares())
    for step in range(12):
        seen = follower.look(picture((40 + 4 * step, 60, 30, 100), *([(190, 60, 30, 200)] if step > 3 else [])))
        expected = [40 + 4 * step] + ([190] if step >= 10 else [])  # the whole picture is searched now and then
        assert middles(seen) == pytest.approx(expected, abs=3)


def test_a_face_that_comes_after_nobody_is_found_at_once() -> None:
    follower = Follower(Squares())
    counts = [len(follower.look(picture(*([(60, 60, 30, 100)] if step in (3, 4) else [])))) for step in range(6)]
    assert counts == [0, 0, 0, 1, 1, 0]


def test_a_face_that_is_lost_is_looked_for_where_it_was() -> None:
    """The detector does not find this face any more by itself, but recognises it at its place."""
    detector = Squares()
    follower = Follower(detector)
    follower.look(picture((60, 60, 30, 100)))
    detector.blind = (100,)
    for _ in range(5):
        assert len(follower.look(picture())) == 0
    assert middles(follower.look(picture((66, 60, 30, 100)))) == pytest.approx([66], abs=3)


@pytest.mark.parametrize("interrupted", [False, True])
def test_a_face_is_followed_back_to_where_the_video_begins(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, interrupted: bool
) -> None:
    """In the first frames only somebody who knows where the face comes to can recognise it: it is darker there."""
    monkeypatch.setattr(detection, "_CHUNK", 5)
    frames = [picture((60 + 3 * n, 60, 32, 100 if n < 8 else 200)) for n in range(14)]
    write_video(tmp_path / "clip.mp4", frames, 25.0, 9.5)
    detector = Squares(blind=(100,))
    if interrupted:
        look = detector.landmarks

        def stopped(image: Tensor, places: Tensor) -> Tensor:
            if float(image.max()) < 150:  # on the way back
                raise KeyboardInterrupt
            return look(image, places)

        monkeypatch.setattr(detector, "landmarks", stopped)
        with pytest.raises(KeyboardInterrupt):
            detect(open_video(tmp_path / "clip.mp4"), Span(), detector, tmp_path, Silent())
        monkeypatch.undo()
        monkeypatch.setattr(detection, "_CHUNK", 5)
    found = detect(open_video(tmp_path / "clip.mp4"), Span(), detector, tmp_path, Silent())
    assert found.numbers == list(range(14))
    assert [middles(faces) for faces in found.faces] == [pytest.approx([60 + 3 * n], abs=3) for n in range(14)]
    searched = detector.searched
    again = detect(open_video(tmp_path / "clip.mp4"), Span(), detector, tmp_path, Silent())
    assert detector.searched == searched
    assert all(torch.equal(one, other) for one, other in zip(found.faces, again.faces, strict=True))
