"""Where landmarks lie on a head, with a detector that knows where it was looked at from."""

import math

import pytest
import torch
from torch import Tensor

from rgb_core.errors import InputError
from rgb_core.heads import HeadModel, Pose, builtin_head
from rgb_core.tracking import landmarks
from rgb_core.tracking.detect import correspondence
from rgb_core.tracking.detect.painted_head import View, draw, eyeballs

from .clips import spread_correspondence


class Onlooker:
    """Sees a head's true points, moved by `habit(yaw)` metres to the head's left, through the views it is shown."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, habit: float = 0.0):
        self._view: View | None = None
        self._points = torch.zeros(0)
        self._habit = habit
        self._yaw = 0.0

        def remembered(head: HeadModel, vertices: Tensor, yaw: float, pitch: float) -> View:
            self._view, self._yaw = draw(head, vertices, yaw, pitch), yaw
            self._points = spread_correspondence(head).points(vertices)
            return self._view

        monkeypatch.setattr(correspondence, "draw", remembered)

    def find(self, image: Tensor) -> Tensor:
        """[1, 4] somewhere."""
        return torch.tensor([[192.0, 192.0, 300.0, 0.0]])

    def matte(self, image: Tensor) -> Tensor:
        raise AssertionError("no matte is needed")

    def landmarks(self, image: Tensor, places: Tensor) -> Tensor:
        """[1, 478, 3]."""
        view = self._view
        assert view is not None
        points = self._points + torch.tensor([self._habit * self._yaw, 0.0, 0.0])
        camera = (points - view.origin) @ view.to_head
        focal = 384 * 0.7 / 0.34
        pixels = focal * camera[:, :2] / camera[:, 2:] + 192
        return torch.cat([pixels, camera[:, 2:]], 1)[None]


def skin_landmarks() -> Tensor:
    """[478] bool: neither lips, which are found with the mouth open, nor irises, which are geometry."""
    chosen = torch.ones(landmarks.COUNT, dtype=torch.bool)
    chosen[list(landmarks.LIPS + landmarks.LEFT_IRIS + landmarks.RIGHT_IRIS)] = False
    return chosen


def test_points_are_found_on_the_surface(monkeypatch: pytest.MonkeyPatch) -> None:
    head = builtin_head()
    found = correspondence.find_correspondence(head, Onlooker(monkeypatch))
    truth = spread_correspondence(head).points(head.vertices)
    distance = (found.points(head.vertices) - truth).norm(dim=1)[skin_landmarks()]
    assert float(distance.max()) < 1e-4  # metres: single precision of pixels and triangles
    assert float(found.habits[:, skin_landmarks()].abs().max()) < 1e-3


def test_lips_are_told_apart_with_an_open_mouth(monkeypatch: pytest.MonkeyPatch) -> None:
    """A point of a lip follows it when the mouth opens, as it did when the detector saw it."""
    head = builtin_head()
    found = correspondence.find_correspondence(head, Onlooker(monkeypatch))
    pose = Pose.rest(len(head.expression_names), head.joint_count)
    pose.expression[head.expression_index("jawOpen")] = 0.8
    opened = head.pose(pose).vertices
    lips = list(landmarks.LIPS)
    distance = (found.points(opened) - spread_correspondence(head).points(opened)).norm(dim=1)[lips]
    assert float(distance.median()) < 1e-4


def test_habits_of_turned_views_are_learnt(monkeypatch: pytest.MonkeyPatch) -> None:
    """A detector that strays by a centimetre per radian of yaw to the head's left is met at least a third of the way.

    No view shows depth, and that counts as no stray, so habits are learnt cautiously: too little, never too much.
    """
    head = builtin_head()
    found = correspondence.find_correspondence(head, Onlooker(monkeypatch, habit=0.01))
    for degrees in (-30, 30):
        yaw = math.radians(degrees)
        towards = torch.tensor([-math.sin(yaw), 0.0, math.cos(yaw)], dtype=torch.float64)
        stray = torch.einsum("f,flc->lc", correspondence.habit_features(towards), found.habits)[skin_landmarks()]
        across = torch.tensor([math.cos(yaw), 0.0, math.sin(yaw)], dtype=torch.float64)
        share = float((stray @ across).median()) / (0.01 * yaw * math.cos(yaw))
        assert 1 / 3 < share < 1


def test_irises_lie_on_the_eyeballs_straight_ahead(monkeypatch: pytest.MonkeyPatch) -> None:
    head = builtin_head()
    found = correspondence.find_correspondence(head, Onlooker(monkeypatch)).points(head.vertices)
    for eye, indices in zip(eyeballs(head), (landmarks.LEFT_IRIS, landmarks.RIGHT_IRIS), strict=True):
        iris = found[list(indices)]
        assert float((iris[0] - eye.center)[:2].norm()) < 5e-4
        assert float((iris[1:] - iris[0]).norm(dim=1).mean()) == pytest.approx(0.006, abs=6e-4)
        assert float((iris - eye.center).norm(dim=1).min()) > 0.97 * eye.radius


def test_a_head_that_is_no_face_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    onlooker = Onlooker(monkeypatch)
    monkeypatch.setattr(onlooker, "find", lambda image: torch.zeros(0, 4))
    with pytest.raises(InputError, match="sees no face in the head model 'makehuman'"):
        correspondence.find_correspondence(builtin_head(), onlooker)
