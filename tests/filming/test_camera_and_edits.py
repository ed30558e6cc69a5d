"""Cameras go where they are told about the head, and edits change what they name and nothing else."""

import math
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from rgb_core.avatar import Avatar
from rgb_core.benchmarking.scenes import bench_avatar
from rgb_core.errors import InputError
from rgb_core.filming.camera_moves import CameraPath, View, load_camera_path, moved, orbit_and_zoom
from rgb_core.filming.edits import PARTS, Edit, edited
from rgb_core.heads import Pose
from rgb_core.heads.regions import in_regions
from rgb_core.images.color_text import parse_color
from rgb_core.rendering import Shot, turntable
from tests.documentation.blocks import DOCS, blocks_of


@pytest.fixture(scope="module")
def avatar() -> Avatar:
    generator = torch.Generator().manual_seed(5)
    plain = bench_avatar(1500)
    neutral = {
        name: value + 0.3 * torch.randn(value.shape, generator=generator) for name, value in plain.neutral.items()
    }
    deltas = 0.1 * torch.randn(plain.deltas.shape, generator=generator)
    return replace(plain, neutral=neutral, deltas=deltas)


def through(avatar: Avatar, view: View) -> Shot:
    (shot,) = moved(turntable(avatar, 1), [view])
    return shot


def test_the_camera_turns_about_the_head_which_stays_where_it_is_in_the_picture(avatar: Avatar):
    still = through(avatar, View())
    place, head = still.camera.center, still.pose.translation
    at_rest, _ = still.camera.project(head)
    turned = through(avatar, View(azimuth=math.radians(90)))
    offset, arm = turned.camera.center - head, place - head
    # Seen from above, from +z towards +x: what was ahead of the face by the arm is now to the head's left by it.
    torch.testing.assert_close(offset, torch.stack([arm[2], arm[1], -arm[0]]), atol=1e-5, rtol=0)
    raised = through(avatar, View(elevation=math.radians(30))).camera.center - head
    assert float(raised.norm()) == pytest.approx(float(arm.norm()), rel=1e-5)
    assert float(raised[1]) > float(arm[1]) + 0.4 * float(arm.norm())
    for view in (View(azimuth=1.0), View(elevation=0.5), View(0.4, -0.7), View(zoom=1.0, distance=1.0)):
        pixel, _ = through(avatar, view).camera.project(head)
        torch.testing.assert_close(pixel, at_rest, atol=1e-2, rtol=0)


def test_distance_changes_perspective_and_zoom_does_not(avatar: Avatar):
    still = through(avatar, View())
    head = still.pose.translation
    ahead = head + 0.05 * torch.nn.functional.normalize(still.camera.center - head, dim=0)
    near, close = through(avatar, View(distance=0.5)).camera, through(avatar, View(zoom=2.0)).camera
    depths = [float(camera.project(point)[1]) for camera in (still.camera, near, close) for point in (head, ahead)]
    assert depths[2] == pytest.approx(depths[0] / 2, rel=1e-5)
    assert depths[4:] == pytest.approx(depths[:2], rel=1e-5)
    assert close.intrinsics[0] == pytest.approx(2 * still.camera.intrinsics[0])
    assert near.intrinsics == still.camera.intrinsics


def test_a_full_orbit_repeats_and_a_zoom_ends_where_it_says():
    views = orbit_and_zoom(4, 2 * math.pi, 3.0)
    assert [view.azimuth for view in views] == pytest.approx([0, math.pi / 2, math.pi, 1.5 * math.pi])
    assert [view.zoom for view in views] == pytest.approx([1, 3 ** (1 / 3), 3 ** (2 / 3), 3])


def test_keyframes_are_passed_exactly_and_never_overshot(tmp_path: Path):
    path = tmp_path / "move.yaml"
    path.write_text(
        "format: rgb-camera\nversion: 1\nkeys:\n  - {at: 0}\n  - {at: 0.5, azimuth: 40, distance: 0.8}\n"
        "  - {at: 1, azimuth: 40, zoom: 2}\n"
    )
    views = load_camera_path(path).through(21)
    assert views[0] == View()
    assert views[10].azimuth == pytest.approx(math.radians(40))
    assert views[10].distance == pytest.approx(0.8)
    assert views[20].zoom == pytest.approx(2)
    azimuths = [math.degrees(view.azimuth) for view in views]
    assert azimuths == sorted(azimuths)
    assert max(azimuths) == pytest.approx(40)
    assert CameraPath((0.3,), (View(azimuth=1),)).through(3) == [View(azimuth=1)] * 3


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("keys: [{at: 0}]", "begins with 'format: rgb-camera'"),
        ("format: rgb-camera\nversion: 1\nkeys: []", "no list of keys"),
        ("format: rgb-camera\nversion: 1\nkeys: [{azimuth: 3}]", "key 1 has no 'at'"),
        ("format: rgb-camera\nversion: 1\nkeys: [{at: 0, azimut: 3}]", "did you mean azimuth"),
        ("format: rgb-camera\nversion: 1\nkeys: [{at: 0, zoom: 0}]", "zoom '0' is no number from 0.1 to 10"),
        ("format: rgb-camera\nversion: 1\nkeys: [{at: .nan}]", "at 'nan'"),
        ("format: rgb-camera\nversion: 1\nkeys: [{at: true}]", "at 'True'"),
        ("format: rgb-camera\nversion: 1\nkeys: [{at: 1}, {at: 0}]", "comes later"),
    ],
)
def test_a_camera_path_that_is_not_written_so_is_refused(tmp_path: Path, text: str, said: str):
    (tmp_path / "a.yaml").write_text(text)
    with pytest.raises(InputError, match=said):
        load_camera_path(tmp_path / "a.yaml")


def posed(avatar: Avatar):
    """The Gaussians of a strong expression."""
    generator = torch.Generator().manual_seed(6)
    pose = Pose.rest(len(avatar.head.expression_names), avatar.head.joint_count)
    expression = torch.rand(len(avatar.head.expression_names), generator=generator)
    return avatar.pose(expression, pose.joints, avatar.head.pose(replace(pose, expression=expression)).transforms)


def test_a_roughness_holds_whatever_the_face_does_and_the_rest_stays(avatar: Avatar):
    before, after = posed(avatar), posed(edited(avatar, [Edit.parse("skin.roughness=0.4")]))
    skin = in_regions(avatar.region(), PARTS["skin"])
    assert bool(skin.any())
    assert not bool(skin.all())
    assert float((before.roughness[skin] - 0.4).abs().max()) > 0.05
    torch.testing.assert_close(after.roughness[skin], torch.full_like(after.roughness[skin], 0.4), atol=1e-5, rtol=0)
    assert torch.equal(after.roughness[~skin], before.roughness[~skin])
    for name in ("means", "albedo", "opacities", "specular_albedo"):
        assert torch.equal(getattr(after, name), getattr(before, name))


def test_a_tint_is_the_mean_albedo_of_its_part_and_keeps_its_spots(avatar: Avatar):
    after = edited(avatar, [Edit.parse("lips.tint=#aa3344")])
    lips = in_regions(avatar.region(), PARTS["lips"])
    old, new = (torch.sigmoid(each.neutral["albedo"][lips]) for each in (avatar, after))
    weight = torch.sigmoid(avatar.neutral["opacity"][lips])
    mean = (new * weight).sum(0) / weight.sum()
    torch.testing.assert_close(mean, parse_color("#aa3344", ""), rtol=0.02, atol=1e-3)
    torch.testing.assert_close(new / new.mean(0), old / old.mean(0), rtol=0.05, atol=0.05)
    assert torch.equal(after.neutral["albedo"][~lips], avatar.neutral["albedo"][~lips])


def test_brightness_opacity_and_specular_do_what_they_are_called(avatar: Avatar):
    edits = [Edit.parse(text) for text in ("all.brightness=0.5", "scalp.opacity=0", "neck.specular=0.2")]
    before, after = posed(edited(avatar, ())), posed(edited(avatar, edits))
    region = avatar.region()
    scalp, neck = in_regions(region, PARTS["scalp"]), in_regions(region, PARTS["neck"])
    plain = torch.sigmoid(edited(avatar, edits[:1]).neutral["albedo"])
    torch.testing.assert_close(plain, 0.5 * torch.sigmoid(avatar.neutral["albedo"]), atol=1e-3, rtol=1e-3)
    assert float(after.opacities[scalp].max()) < 1 / 255  # below what is drawn
    assert torch.equal(after.opacities[~scalp], before.opacities[~scalp])
    torch.testing.assert_close(after.specular_albedo[neck], torch.full_like(after.specular_albedo[neck], 0.2))


def test_the_avatar_itself_stays_as_it_is(avatar: Avatar):
    before = {name: value.clone() for name, value in avatar.neutral.items()}
    edited(avatar, [Edit.parse("all.roughness=1"), Edit.parse("all.tint=red")])
    assert all(torch.equal(avatar.neutral[name], value) for name, value in before.items())


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("skin.roughness", "write part.property=value"),
        ("roughness=1", "write part.property=value"),
        ("lip.tint=red", "did you mean lips"),
        ("lips.tind=red", "did you mean tint"),
        ("skin.roughness=rough", "is no number"),
        ("skin.roughness=0.01", "from 0.1 to 1"),
        ("skin.roughness=nan", "from 0.1 to 1"),
        ("skin.tint=0.4", "no colour"),
    ],
)
def test_an_edit_that_is_not_written_so_is_refused(text: str, said: str):
    with pytest.raises(InputError, match=said):
        Edit.parse(text)


def test_a_part_that_the_avatar_lacks_is_refused(avatar: Avatar):
    without = avatar.select((~in_regions(avatar.region(), PARTS["lips"])).nonzero()[:, 0])
    with pytest.raises(InputError, match="the avatar has no lips"):
        edited(without, [Edit.parse("lips.tint=red")])


def test_the_camera_path_that_people_copy_is_read(tmp_path: Path):
    (block,) = [block for block in blocks_of(DOCS / "relighting.md") if block.language == "yaml"]
    (tmp_path / "move.yaml").write_text(block.code)
    assert load_camera_path(tmp_path / "move.yaml").through(3)[1].azimuth == pytest.approx(math.radians(40))
