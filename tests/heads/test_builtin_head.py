"""The shipped head: its size, its parts, its joints and what its expressions do."""

import math

import numpy as np
import pytest
import torch

from rgb_core.heads import Pose, builtin_head, vertex_normals
from rgb_core.heads.arkit import ARKIT_NAMES
from rgb_core.heads.builtin import BUILTIN_HEAD
from rgb_core.heads.regions import Region, in_regions

SIDES = {"Left": ("left_eye", 1), "Right": ("right_eye", -1)}


@pytest.fixture(scope="module")
def head():
    """The built-in head."""
    return builtin_head()


def posed(head, shape=None, joints=None, **expressions):
    pose = Pose.rest(len(head.expression_names), head.joint_count)
    for name, value in expressions.items():
        pose.expression[head.expression_index(name)] = value
    for name, value in (joints or {}).items():
        pose.joints[head.joint_names.index(name)] = torch.tensor(value)
    person = head if shape is None else head.with_identity(shape)
    return person.pose(pose).vertices


def eye_vertices(head, side):
    sign = SIDES[side][1]
    return (head.region == Region.EYEBALL) & (head.vertices[:, 0] * sign > 0)


def test_size_and_parts(head):
    assert BUILTIN_HEAD.stat().st_size < 1_000_000
    assert 4_500 < head.vertex_count < 5_500
    assert head.expression_names == ARKIT_NAMES
    assert len(head.shape_basis) >= 50
    assert head.joint_names == ("root", "neck", "jaw", "left_eye", "right_eye")
    assert set(head.region.tolist()) == set(Region) - {Region.OTHER}
    assert head.landmarks68.unique().numel() == 68
    torch.testing.assert_close(head.skin_weights.sum(1), torch.ones(head.vertex_count))
    assert builtin_head() is head


def test_measures_are_human(head):
    size = head.vertices.max(0).values - head.vertices.min(0).values
    chin, crown = head.vertices[head.landmarks68[8]], head.vertices[:, 1].max()
    assert 0.19 < crown - chin[1] < 0.24  # chin to crown of adults, metres
    assert 0.05 < (head.joint_positions[3] - head.joint_positions[4]).norm() < 0.075  # between the pupils
    assert size.max() < 0.4


def test_winding_is_consistent_and_outward(head):
    sides = torch.cat([head.faces[:, [0, 1]], head.faces[:, [1, 2]], head.faces[:, [2, 0]]])
    assert len(sides.unique(dim=0)) == len(sides)  # no directed edge twice: neighbours agree
    normals = vertex_normals(head.vertices, head.faces)
    for side, (joint, _) in SIDES.items():
        eye = eye_vertices(head, side)
        outward = head.vertices[eye] - head.joint_positions[head.joint_names.index(joint)]
        assert (torch.nn.functional.cosine_similarity(normals[eye], outward) > 0.9).all()
    scalp = head.region == Region.SCALP
    assert (torch.nn.functional.cosine_similarity(normals[scalp], head.vertices[scalp]) > 0.3).all()
    assert normals[head.landmarks68[30], 2] > 0.5  # the tip of the nose faces forward


def test_the_skin_is_closed_but_for_the_neck(head):
    sides = torch.cat([head.faces[:, [0, 1]], head.faces[:, [1, 2]], head.faces[:, [2, 0]]])
    edges, count = sides.sort(1).values.unique(dim=0, return_counts=True)
    assert count.max() == 2
    border = edges[count == 1].unique()
    open_parts = {Region.EYEBALL, Region.MOUTH, Region.TEETH}  # eyes behind, rows of teeth and their gums
    assert set(head.region[border].tolist()) == {Region.NECK} | open_parts
    ring = border[head.region[border] == Region.NECK]
    assert len(ring) == (head.region[edges[count == 1]] == Region.NECK).all(1).sum()  # one closed ring
    assert head.vertices[ring, 1].max() < head.vertices[head.landmarks68[8], 1]
    assert (head.skin_weights[ring, 0] == 1).all()  # where the body would begin, nothing follows the head


@pytest.mark.parametrize("side", SIDES)
def test_eyes_are_spheres_with_a_cornea_about_their_joints_for_every_identity(head, side):
    eye, joint = eye_vertices(head, side), head.joint_names.index(SIDES[side][0])
    assert (head.skin_weights[eye, joint] == 1).all()
    shape = torch.randn(len(head.shape_basis), generator=torch.Generator().manual_seed(3))
    for coefficients in (torch.zeros_like(shape), shape):
        vertices = posed(head, coefficients)
        shaped = head.vertices + torch.einsum("s,svc->vc", coefficients, head.shape_basis)
        arm = vertices[eye] - head.joint_regressor[joint] @ shaped
        angle = torch.rad2deg(torch.atan2(arm[:, :2].norm(dim=1), arm[:, 2]))
        white = arm.norm(dim=1)[angle > 26]
        # The bases lie on a 0.03 mm grid and sixty of them add up.
        assert white.max() - white.min() < 4e-4
        assert 0.010 < white.mean() < 0.014  # an adult's: 12 mm
        cornea = arm[angle < 26]
        assert 0.6e-3 < cornea.norm(dim=1).max() - white.mean() < 1.4e-3
        radius = torch.linalg.lstsq(torch.cat([2 * cornea, torch.ones(len(cornea), 1)], 1), (cornea**2).sum(1)[:, None])
        centre, constant = radius.solution[:3, 0], radius.solution[3, 0]
        assert (constant + centre @ centre).sqrt() == pytest.approx(0.65 * float(white.mean()), rel=0.1)


@pytest.mark.parametrize("side", SIDES)
@pytest.mark.parametrize("expression", ["eyeBlink", "eyeSquint", "eyeWide", "eyeLookDown", "eyeLookUp"])
def test_lids_stay_before_the_eye_however_far_they_move(head, side, expression):
    """No lid or socket dips below the foremost point of the cornea's radius, to which gaze may carry it."""
    eye, joint = eye_vertices(head, side), head.joint_names.index(SIDES[side][0])
    centre = head.joint_positions[joint]
    reach = (head.vertices[eye] - centre).norm(dim=1).max()
    around = in_regions(head.region, (Region.SKIN, Region.EYE_SOCKET)) & ((head.vertices - centre).norm(dim=1) < 0.025)
    lids = around & (head.vertices[:, 2] > centre[2])
    for strength in torch.linspace(0, 1, 9).tolist():
        vertices = posed(head, **{f"{expression}{side}": strength})
        assert (vertices[lids] - centre).norm(dim=1).min() > reach - 1e-4


@pytest.mark.parametrize("side", SIDES)
@pytest.mark.parametrize(
    ("direction", "axis", "degrees"), [("Up", 1, 20), ("Down", 1, -24), ("Out", 0, 28), ("In", 0, -28)]
)
def test_gaze_expressions_turn_the_eyeball(head, side, direction, axis, degrees):
    joint, sign = SIDES[side]
    eye, center = eye_vertices(head, side), head.joint_positions[head.joint_names.index(joint)]
    front = torch.where(eye, head.vertices[:, 2], -1).argmax()
    before = torch.nn.functional.normalize(head.vertices[front] - center, dim=0)
    after = torch.nn.functional.normalize(posed(head, **{f"eyeLook{direction}{side}": 1.0})[front] - center, dim=0)
    expected = degrees * (sign if axis == 0 else 1)
    turn = math.degrees(math.asin(after[axis]) - math.asin(before[axis]))
    assert turn == pytest.approx(expected, abs=1.0)  # the front vertex lies a little off the axis


def test_jaw_joint_opens_the_mouth(head):
    """Lower teeth and tongue turn rigidly with the jaw, upper teeth stay, the lips part, the forehead is still."""
    still, open_mouth = posed(head), posed(head, joints={"jaw": [0.3, 0.0, 0.0]})
    moved = (open_mouth - still).norm(dim=1)
    teeth = head.region == Region.TEETH
    follows = head.skin_weights[:, 2]
    assert set(follows[teeth].tolist()) == {0.0, 1.0}
    assert moved[teeth & (follows == 0)].max() < 1e-6
    assert moved[teeth & (follows == 1)].min() > 5e-3
    upper, lower = head.landmarks68[62], head.landmarks68[66]
    assert still[upper, 1] - still[lower, 1] < 4e-3
    assert open_mouth[upper, 1] - open_mouth[lower, 1] > 0.015
    assert moved[head.landmarks68[17:27]].max() < 1e-4
    assert (open_mouth[head.landmarks68[8], 1] - still[head.landmarks68[8], 1]) < -0.015


def test_teeth_lie_behind_the_lips_and_show_below_the_upper_one(head):
    """The upper row overlaps the lower one by a few millimetres, stands before it and shows in an open mouth."""
    teeth = head.region == Region.TEETH
    upper, lower = (head.vertices[teeth & (head.skin_weights[:, 2] == share)] for share in (0, 1))
    front = [row[row[:, 0].abs() < 0.012] for row in (upper, lower)]
    assert 1e-3 < front[1][:, 1].max() - front[0][:, 1].min() < 5e-3
    assert front[0][:, 2].max() - front[1][:, 2].max() > 1e-3
    lips = head.vertices[head.landmarks68[60:68]]
    assert (lips[[1, 2, 3], 2] > front[0][:, 2].max()).all()
    opened = posed(head, jawOpen=0.5)
    upper_lip, lower_lip = opened[head.landmarks68[62]], opened[head.landmarks68[66]]
    assert upper_lip[1] - front[0][:, 1].min() > 3e-3
    assert front[0][:, 1].min() > lower_lip[1]


def test_jaw_open_expression_and_jaw_joint_agree(head):
    """The joint was fitted to the sculpted expression, so one turn takes teeth and chin to the same place."""
    sculpted = posed(head, jawOpen=1.0)
    lower_teeth = (head.region == Region.TEETH) & (head.skin_weights[:, 2] == 1)

    def apart(degrees):
        turned = posed(head, joints={"jaw": [math.radians(degrees), 0.0, 0.0]})
        distance = (sculpted - turned).norm(dim=1)
        return distance[lower_teeth].max(), distance[head.landmarks68[6:11]].max()

    best = min(range(10, 35), key=lambda degrees: apart(degrees)[0])
    teeth, chin = apart(best)
    # The whole way is 35 mm; the sculpted jaw is not perfectly rigid, and the chin's skin gives way.
    assert teeth < 2e-3
    assert chin < 5e-3


@pytest.mark.parametrize("side", SIDES)
def test_blink_shuts_the_lids(head, side):
    """No slit stays open; the sculpted lids overlap by up to two millimetres."""
    first = 36 if side == "Right" else 42
    upper, lower = head.landmarks68[[first + 1, first + 2]], head.landmarks68[[first + 5, first + 4]]
    gap = (head.vertices[upper] - head.vertices[lower])[:, 1]
    shut = posed(head, **{f"eyeBlink{side}": 1.0})
    assert (gap > 5e-3).all()
    assert ((shut[upper] - shut[lower])[:, 1] < 0).all()
    assert ((shut[upper] - shut[lower])[:, 1] > -2.5e-3).all()


def test_mirrored_expressions_mirror(head):
    left = posed(head, mouthSmileLeft=1.0)[head.landmarks68[54]] - head.vertices[head.landmarks68[54]]
    right = posed(head, mouthSmileRight=1.0)[head.landmarks68[48]] - head.vertices[head.landmarks68[48]]
    mirror = torch.tensor([-1.0, 1.0, 1.0])
    assert left[0] > 2e-3
    assert left[1] > 2e-3
    # The artist's own sides differ by fractions of a millimetre.
    torch.testing.assert_close(left * mirror, right, atol=1.5e-3, rtol=0)


def test_landmarks_are_symmetric(head):
    points = head.vertices[head.landmarks68]
    pairs = [(16 - k, k) for k in range(8)] + [(26 - k, 17 + k) for k in range(5)] + [(54, 48), (35, 31), (45, 36)]
    for left, right in pairs:
        assert points[left, 0] > 0.005
        torch.testing.assert_close(points[left] * torch.tensor([-1.0, 1.0, 1.0]), points[right], atol=5e-4, rtol=0)


def test_random_identities_keep_the_surface(head):
    """Unit normal coefficients give faces, not knots: hardly a face of the visible surface turns over."""
    generator = torch.Generator().manual_seed(0)
    visible = in_regions(head.region, (Region.SKIN, Region.SCALP, Region.NECK, Region.LIPS))[head.faces].all(1)

    def normals(vertices):
        a, b, c = vertices[head.faces[visible]].unbind(1)
        return torch.nn.functional.normalize(torch.linalg.cross(b - a, c - a), dim=1)

    neutral = normals(head.vertices)
    spread = []
    for _ in range(10):
        vertices = posed(head, torch.randn(len(head.shape_basis), generator=generator))
        assert ((normals(vertices) * neutral).sum(1) < 0).float().mean() < 0.002
        spread.append((vertices - head.vertices)[head.region == Region.SKIN].norm(dim=1).mean())
    assert 0.002 < torch.stack(spread).mean() < 0.012  # people differ by millimetres


def test_texture_islands_do_not_overlap(head):
    """A fine grid of points in the unit square lies in one texture triangle at most."""
    size = 400
    assert head.uv.min() >= 0
    assert head.uv.max() <= 1
    cover = np.zeros((size, size), dtype=int)
    for triangle in head.uv.double().numpy()[head.uv_faces.numpy()] * size:
        low, high = np.floor(triangle.min(0)).astype(int), np.ceil(triangle.max(0)).astype(int)
        x, y = np.arange(low[0], high[0]) + 0.5, np.arange(low[1], high[1])[:, None] + 0.5
        sides = [
            (b[0] - a[0]) * (y - a[1]) - (b[1] - a[1]) * (x - a[0])
            for a, b in zip(triangle, np.roll(triangle, -1, axis=0), strict=True)
        ]
        cover[low[1] : high[1], low[0] : high[0]] += np.minimum.reduce(sides) > 0  # counter-clockwise ones only
    assert cover.max() == 1
    assert (cover > 0).mean() > 0.4  # and little is wasted
