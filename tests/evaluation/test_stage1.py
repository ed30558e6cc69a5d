"""Scores of a stage-1 mesh against a sphere whose distances and angles are known, and of tracking that is off."""

import dataclasses
import math

import pytest
import torch

from rgb_core.data import TrueMotion
from rgb_core.evaluation.stage1 import measure_geometry, tracking_error
from rgb_core.geometry import Geometry, unrefined
from rgb_core.heads import Pose
from rgb_core.progress import Silent
from rgb_core.units import MILLIMETRE


def test_a_larger_sphere_is_off_by_its_radius(dataset):
    head = dataset.head
    grown = dataclasses.replace(head, vertices=1.02 * head.vertices)  # 2 mm on a radius of 100 mm
    exact, larger = (measure_geometry(dataset, Geometry(each), Silent()) for each in (head, grown))
    assert exact["mean_mm"] == pytest.approx(0, abs=1e-3)
    assert larger["mean_mm"] == pytest.approx(2.0, rel=0.01)
    assert larger["face_to_truth_mm"] == pytest.approx(2.0, rel=0.01)
    assert larger["silhouette_iou"] < exact["silhouette_iou"]
    # a pixel's true normal is that of its centre, quantised to 8 bits: up to a third of a degree
    assert exact["normal_skin_deg"] < 0.4
    # at distance b from the axis the larger sphere's normal is asin(b / 1.02) instead of asin(b): on average a degree
    assert 0.5 < larger["normal_skin_deg"] - exact["normal_skin_deg"] < 2


def test_parts_without_truth_are_left_out(dataset):
    scores = measure_geometry(dataset, unrefined(dataset), Silent())
    assert "neck_mean_mm" not in scores  # no pixel is labelled neck
    assert "rotation_deg" not in scores  # the clip has no exact coefficients


def test_tracking_errors_have_their_units(dataset):
    (frame,) = dataset.frames("train")
    head = dataclasses.replace(
        dataset.head, expression_basis=torch.full_like(dataset.head.expression_basis, MILLIMETRE)
    )
    moved = dataclasses.replace(dataset, head=head)
    turned = Pose(torch.tensor([2.0]), torch.tensor([[0, math.radians(3), 0]]), torch.tensor([0, 0.003, 0.004]))
    exact = TrueMotion(torch.zeros(0), torch.zeros(3), *({frame.id: torch.zeros(n)} for n in (1, 3, 3)))
    error = tracking_error(moved, Geometry(head, tracking={frame.id: turned}), exact)
    assert error["rotation_deg"] == pytest.approx(3.0, rel=1e-4)
    assert error["translation_mm"] == pytest.approx(5.0, rel=1e-5)
    assert error["expression_mm"] == pytest.approx(2 * math.sqrt(3), rel=1e-5)
