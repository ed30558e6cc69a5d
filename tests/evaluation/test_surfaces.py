"""Normals under known rotations; distances, visible labels and silhouettes of spheres and planes."""

import math

import pytest
import torch
from evaluation_scenes import CAMERA, RADIUS, disc, labels, sphere
from torchoptixext_visibility import MeshBvh

from rgb_core.evaluation.normals import NormalAngles, erode
from rgb_core.evaluation.surfaces import MeshDistances, Surface, silhouette_iou, surface_distance, visible_labels
from rgb_core.rotations import axis_angle_to_matrix
from rgb_core.scene.labels import Label


def _truth():
    inside, normal = disc()
    return torch.cat([normal * inside[..., None], inside[..., None].float()], -1)


def test_tilting_every_normal_gives_the_tilt():
    # All true normals face the axis that the rotation turns about at a right angle, so the angle is the rotation's.
    truth = torch.zeros(9, 9, 4)
    truth[..., 2:] = 1.0
    tilt = axis_angle_to_matrix(torch.tensor([math.radians(10.0), 0, 0]))
    angles = NormalAngles()
    angles.add(3.0 * truth[..., :3] @ tilt.T, truth, None)  # length does not matter
    assert angles.scores() == {"mean_angle_deg": pytest.approx(10.0, abs=1e-4), "skin_deg": None, "hair_deg": None}


def test_angles_are_split_by_label():
    truth, parts = _truth(), labels()
    tilt = axis_angle_to_matrix(torch.tensor([0, 0, math.radians(30.0)]))
    predicted = torch.where((parts == Label.HAIR)[..., None], truth[..., :3] @ tilt.T, truth[..., :3])
    angles = NormalAngles()
    angles.add(predicted, truth, parts)
    # A turn by 30 degrees about z moves n by 2 asin(sin(15 deg) sqrt(nx^2 + ny^2)).
    counted = erode(truth[..., 3] >= 1) & (parts == Label.HAIR)
    sine = truth[..., :2].norm(dim=-1)[counted].double()
    expected = torch.rad2deg(2 * torch.asin(math.sin(math.radians(15)) * sine)).mean().item()
    scores = angles.scores()
    assert scores["hair_deg"] == pytest.approx(expected, rel=1e-3)  # acos near 1 keeps half of float32's digits
    assert scores["skin_deg"] == pytest.approx(0.0, abs=0.05)


def test_a_pixel_without_a_prediction_counts_ninety_degrees():
    truth = torch.zeros(5, 5, 4)
    truth[..., 2:] = 1.0
    angles = NormalAngles()
    angles.add(torch.zeros(5, 5, 3), truth, None)
    assert angles.scores()["mean_angle_deg"] == pytest.approx(90.0)


def test_erosion_keeps_the_pixels_whose_neighbours_are_set():
    mask = torch.zeros(7, 7, dtype=torch.bool)
    mask[1:5, 2:7] = True
    expected = torch.zeros(7, 7, dtype=torch.bool)
    expected[2:4, 3:6] = True  # column 6 touches the border
    assert torch.equal(erode(mask), expected)


def test_distance_to_a_shifted_plane_is_the_shift():
    vertices = torch.tensor([[-1.0, 0, -1], [1, 0, -1], [1, 0, 1], [-1, 0, 1]])
    plane = MeshBvh(vertices, torch.tensor([[0, 2, 1], [0, 3, 2]]))
    points = torch.tensor([[0.3, 0.003, 0.2], [-0.5, -0.001, 0.9], [0.0, 0.0, 0.0]])
    expected = torch.tensor([0.003, 0.001, 0.0]).double()
    torch.testing.assert_close(surface_distance(points, plane), expected, atol=1e-8, rtol=1e-6)


def _measure(fitted):
    vertices, faces = sphere()
    distances = MeshDistances()
    inside, _ = disc()
    region = torch.zeros(len(fitted.vertices), dtype=torch.uint8)
    matte = inside.to(torch.uint8) * 255
    distances.add(fitted, region, Surface(vertices, faces), CAMERA, matte, labels())
    return distances.scores()


def test_a_grown_sphere_is_as_far_as_it_grew():
    vertices, faces = sphere(RADIUS + 0.002)
    scores = _measure(Surface(vertices, faces))
    # Chords of a sphere of 48 rings sag by up to 0.1 (1 - cos(pi / 48)) = 0.2 mm.
    for name in ("mean_mm", "p95_mm", "skin_mean_mm", "hair_mean_mm", "face_to_truth_mm"):
        assert scores[name] == pytest.approx(2.0, abs=0.25), name


def test_a_shift_shows_where_it_happens():
    vertices, faces = sphere()
    lifted = vertices + torch.tensor([0.0, 0.004, 0.0]) * (vertices[:, 1:2] > 0.02)
    scores = _measure(Surface(lifted, faces))
    assert scores["hair_mean_mm"] > 1.0
    assert scores["skin_mean_mm"] == pytest.approx(0.0, abs=1e-3)


def test_the_true_surface_scores_perfectly():
    scores = _measure(Surface(*sphere()))
    assert scores["p95_mm"] == pytest.approx(0.0, abs=1e-3)
    assert scores["silhouette_iou"] > 0.95  # a polyhedron's outline lies inside the disc by a fraction of a pixel


def test_without_frames_there_are_no_scores():
    assert set(MeshDistances().scores().values()) == {None}
    assert set(NormalAngles().scores().values()) == {None}


def test_only_vertices_that_face_the_camera_get_a_label():
    vertices, faces = sphere()
    seen = visible_labels(vertices, MeshBvh(vertices, faces), CAMERA, labels())
    normal = vertices / RADIUS
    towards = torch.nn.functional.normalize(torch.tensor([0.0, 0, 1]) - vertices, dim=1)
    cosine = (normal * towards).sum(1)
    assert not seen[cosine < -0.05].any()
    front = cosine > 0.3
    assert (seen[front & (vertices[:, 1] > 0.01)] == Label.HAIR).all()
    assert (seen[front & (vertices[:, 1] < -0.01)] == Label.SKIN).all()


def test_vertices_outside_the_picture_have_no_label():
    vertices, faces = sphere()
    aside = vertices + torch.tensor([2.0, 0, 0])
    everywhere = torch.full((CAMERA.height, CAMERA.width), Label.SKIN, dtype=torch.uint8)
    assert not visible_labels(aside, MeshBvh(aside, faces), CAMERA, everywhere).any()


def test_silhouette_overlap_of_half_a_picture():
    # A wall that fills the left half of the picture, against a matte of everything and of the right half.
    wall = torch.tensor([[-9.0, -9, 0], [0, -9, 0], [0, 9, 0], [-9, 9, 0]])
    surface = Surface(wall, torch.tensor([[0, 1, 2], [0, 2, 3]]))
    matte = torch.full((CAMERA.height, CAMERA.width), 255, dtype=torch.uint8)
    assert silhouette_iou(surface, CAMERA, matte) == 0.5
    matte[:, : CAMERA.width // 2] = 0
    assert silhouette_iou(surface, CAMERA, matte) == 0.0
