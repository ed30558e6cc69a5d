"""Mattes, labels, crops and the report, on pictures whose truth is known."""

import dataclasses
import math
from pathlib import Path

import pytest
import torch

from rgb_core.data import DatasetWriter
from rgb_core.heads import HeadModel, Pose, builtin_head, with_shoulders
from rgb_core.heads.regions import Region
from rgb_core.rotations import axis_angle_to_matrix
from rgb_core.scene.labels import Label
from rgb_core.tracking import quality
from rgb_core.tracking.picture import labels as semantics
from rgb_core.tracking.picture.crop import crop_around
from rgb_core.tracking.picture.matte import foreground, refine, steady
from rgb_core.tracking.picture.views import Views
from rgb_core.tracking.solve.clip import TrackedClip
from rgb_core.tracking.writing import cut_out

from .clips import FOCAL, SIZE, spread_correspondence, talking

GREY, DARK = 200, 40


def test_a_soft_mask_snaps_to_the_edge_in_the_picture() -> None:
    """The edge lies two pixels beside the middle of the mask's soft one; the matte is much nearer and sharper."""
    columns = torch.arange(512)
    picture = torch.where(columns < 256, DARK, GREY).byte().expand(64, 512)[..., None].expand(-1, -1, 3)
    mask = (255 * ((262 - columns) / 8).clamp(0, 1)).byte().expand(64, 512)  # half at 258
    matte = refine(picture, mask)[32]
    assert float(matte[255] - matte[256]) > 0.3  # the mask falls by an eighth per pixel
    assert float(matte[:250].min()) > 0.95
    assert float(matte[264:].max()) < 0.05


def test_the_background_leaves_no_rim() -> None:
    """A dark head whose edge pixels are mixed with a white background by the matte: its own colour is found again."""
    columns = torch.arange(64)
    matte = ((40.5 - columns) / 4).clamp(0, 1).expand(32, 64)
    mixed = (DARK * matte + 255 * (1 - matte))[..., None].expand(-1, -1, 3).round().byte()
    found = foreground(mixed, matte)
    assert int((found[matte > 0].int() - DARK).abs().max()) <= 1
    assert int(mixed[0, 40, 0]) > 200
    assert torch.equal(found[:, :30], mixed[:, :30])


def test_flicker_is_averaged_where_nothing_moves() -> None:
    still = torch.full((32, 32, 3), 90, dtype=torch.uint8)
    masks = [torch.full((32, 32), value, dtype=torch.uint8) for value in (100, 160, 100, 160)]
    values = [int(mask[16, 16]) for _, mask in steady([(still, mask) for mask in masks])]
    assert len(values) == 4
    assert values[1:3] == [120, 140]


def test_what_moves_is_not_smeared() -> None:
    """A bright square jumps; its mask stays as sharp as it was."""
    samples = []
    for left in (4, 16, 4):
        picture = torch.full((32, 32, 3), DARK, dtype=torch.uint8)
        picture[:, left : left + 8] = GREY
        mask = torch.zeros(32, 32, dtype=torch.uint8)
        mask[:, left : left + 8] = 255
        samples.append((picture, mask))
    middle = [mask for _, mask in steady(samples)][1]
    assert int(middle[16, 20]) > 240
    assert int(middle[16, 7]) < 15


@pytest.mark.parametrize(("video", "longest", "size"), [((640, 480), 512, (290, 290)), ((640, 480), 146, (146, 146))])
def test_crops_are_square_inside_the_video_and_never_scaled_up(
    video: tuple[int, int], longest: int, size: tuple[int, int]
) -> None:
    outline = torch.tensor([[200.0, 100.0], [320.0, 302.0]])
    crop = crop_around(outline, video, longest)
    left, top, width, height = crop.window
    assert crop.size == size
    assert width == height == 290
    assert 0 <= left <= 200
    assert left + width <= video[0]
    assert 0 <= top <= 100
    assert top + height <= video[1]


def test_a_crop_moves_points_and_the_camera_alike() -> None:
    crop = crop_around(torch.tensor([[300.0, 100.0], [900.0, 700.0]]), (1280, 720), 256)
    point = torch.tensor([0.03, -0.02, 0.9])
    pixel = torch.tensor([1000 * 0.03 / 0.9 + 640, 1000 * -0.02 / 0.9 + 360])
    camera = crop.camera(1000.0, (1280, 720), torch.eye(4)[:3])
    torch.testing.assert_close(camera.project(point)[0], crop.points(pixel), rtol=1e-4, atol=1e-3)


def clip_of(count: int) -> TrackedClip:
    """The exact fit of a talking clip, 0.9 m away."""
    truth = talking(count)
    camera = torch.tensor([[1.0, 0, 0, 0], [0, -1, 0, 0], [0, 0, -1, 0.9]]).double()
    projected = truth.landmarks()[..., :2].double()
    return TrackedClip(truth.pose.to(torch.float64), truth.shape.double(), FOCAL, camera, projected)


@pytest.fixture(scope="module")
def parsed() -> dict[str, torch.Tensor]:
    """A painted frame, parsed for the head alone."""
    return painted(builtin_head(), False)


def painted(head: HeadModel, keep_torso: bool, wing: bool = False, collar_row: int = 206) -> dict[str, torch.Tensor]:
    """A frame: skin with dark hair that stands 8 pixels off the scalp, on a green shirt that begins at a row.

    `wing`: its collar stands up behind the jaw, with an edge that the matte blurs.
    """
    clip = clip_of(1)
    joints = torch.nn.functional.pad(clip.pose.joints, (0, 0, 0, head.joint_count - clip.pose.joints.shape[1]))
    clip = dataclasses.replace(clip, pose=Pose(clip.pose.expression, joints, clip.pose.translation))
    whole = crop_around(torch.tensor([[0.0, 0.0], [256.0, 256.0]]), SIZE, 256)
    views = Views(head, clip, whole, whole.camera(FOCAL, SIZE, clip.world_to_camera))
    view = views.view(0)
    rows = torch.arange(256.0)[:, None].expand(256, 256) + 0.5
    covered = view.face_id >= 0
    region = torch.where(covered, head.region[head.faces[view.face_id.clamp_min(0), 0]].long(), -1)
    below = rows - 196
    hair = (
        (torch.nn.functional.max_pool2d((region == Region.SCALP).float()[None], 17, 1, 8)[0] > 0)
        & (region != Region.SKIN)
        & (region != Region.EAR)
    )
    shirt = (rows > collar_row) & (region != Region.SKIN)
    beside = torch.nn.functional.max_pool2d(covered.float()[None], 13, 1, 6)[0] > 0
    collar = (rows > 170) & beside & ~covered & wing
    shirt |= collar
    picture = torch.full((256, 256, 3), 230, dtype=torch.uint8)
    picture[covered] = torch.tensor([200, 140, 110], dtype=torch.uint8)
    picture[hair & ~((region >= 0) & (region != Region.SCALP))] = torch.tensor([30, 22, 18], dtype=torch.uint8)
    picture[shirt] = torch.tensor([20, 120, 40], dtype=torch.uint8)
    noise = torch.randint(0, 12, picture.shape, generator=torch.Generator().manual_seed(0))
    picture = (picture.int() + noise - 6).clamp(0, 255).byte()
    matte = (covered | hair | shirt).float()
    if wing:
        soft = torch.nn.functional.max_pool2d(collar.float()[None], 7, 1, 3)[0] > 0
        matte = torch.where(soft & (matte == 0), 0.4, matte)
    parser = semantics.Parser(head, spread_correspondence(head), keep_torso=keep_torso)
    sight = semantics.Sight(picture, matte, view.fragments, below, 60.0)
    parser.learn([sight])
    found = parser.parse(sight)
    image = cut_out(picture, found)
    return {
        "labels": found.labels,
        "matte": found.matte,
        "picture": picture,
        "image": image,
        "region": region,
        "hair": hair & ~covered,
        "shirt": shirt,
        "collar": collar,
    }


def test_labels_follow_the_model_and_colours(parsed: dict[str, torch.Tensor]) -> None:
    labels, region = parsed["labels"], parsed["region"]
    assert float((labels[parsed["hair"]] == Label.HAIR).float().mean()) > 0.9
    assert float((labels[region == Region.SCALP] == Label.HAIR).float().mean()) > 0.9
    eyes = (region == Region.EYEBALL).nonzero()[:, 1]
    picture_left = (region == Region.EYEBALL) & (torch.arange(256)[None] < eyes.float().mean())
    assert bool((labels[picture_left] == Label.RIGHT_EYE).all())  # the head's right eye
    assert (
        float((labels[region == Region.LIPS] != Label.SKIN).float().mean()) > 0.8
    )  # by the first corner here, by the majority there


def test_the_torso_is_taken_out_of_the_matte(parsed: dict[str, torch.Tensor]) -> None:
    deep = parsed["shirt"].clone()
    deep[:220] = False
    assert float(parsed["matte"][deep].max()) == 0
    assert bool((parsed["labels"][deep] == Label.CLOTH).all())
    face = parsed["region"] == Region.SKIN
    face[190:] = False
    assert float(parsed["matte"][face].min()) == 1


def test_a_neck_ends_at_the_collar_or_fades_out_where_there_is_none() -> None:
    """An open neck fades from row 200 to 226: a shirt at row 213 keeps what is above it whole."""
    whole, open_neck = (painted(builtin_head(), False, collar_row=row) for row in (213, 240))
    middle = (whole["region"] == Region.NECK) & ((torch.arange(256) - 128).abs() < 20)
    rows = torch.arange(256)[:, None]
    assert float(whole["matte"][middle & (rows > 200) & (rows < 209)].min()) == 1
    levels = [float(open_neck["matte"][middle & (rows == row)].mean()) for row in (200, 208, 214, 224)]
    assert levels == sorted(levels, reverse=True)
    assert levels[0] > 0.95
    assert levels[-1] < 0.05


def test_a_neck_that_fades_out_keeps_its_colours() -> None:
    """Its matte falls though nothing else shines through: colours from above it would hang down in strips."""
    shown = painted(builtin_head(), False, collar_row=240)
    fading = (shown["region"] == Region.NECK) & (shown["matte"] > 0.05) & (shown["matte"] < 0.9)
    fading &= (torch.arange(256) - 128).abs() < 20
    assert int(fading.sum()) > 300
    assert torch.equal(shown["image"][..., :3][fading], shown["picture"][fading])


def test_a_collar_behind_the_jaw_leaves_nothing_in_the_matte() -> None:
    shown = painted(builtin_head(), False, wing=True)
    around = torch.nn.functional.max_pool2d(shown["collar"].float()[None], 7, 1, 3)[0] > 0
    around &= shown["region"] < 0
    around[:174] = False
    assert int(around.sum()) > 300
    assert float(shown["matte"][around].mean()) < 0.02
    face = shown["region"] == Region.SKIN
    face[164:] = False
    assert float(shown["matte"][face].mean()) > 0.99


def test_a_torso_that_is_kept_stays_in_the_matte_as_far_as_the_shoulders_go(parsed: dict[str, torch.Tensor]) -> None:
    kept = painted(with_shoulders(builtin_head()), True)
    covered = kept["region"] >= 0
    inner = kept["shirt"] & covered
    inner[225:] = False
    assert float(kept["matte"][inner].median()) == 1
    assert bool((kept["labels"][kept["shirt"]] == Label.CLOTH).float().mean() > 0.8)
    corner = kept["matte"][250:, :6]
    assert float(corner.max()) < 0.05
    head = parsed["matte"] == 1
    assert float(kept["matte"][head].min()) > 0.99


def turns(joints: torch.Tensor) -> torch.Tensor:
    return axis_angle_to_matrix(joints[:, 0])


def test_jitter_is_that_of_the_motion() -> None:
    """A head that turns by a sine of a known acceleration; a steady turn has none."""
    time = torch.arange(40.0)
    joints = torch.zeros(40, 2, 3)
    joints[:, 0, 1] = 0.01 * time
    still = torch.zeros(40, 3)
    steady_turn = quality.jitter(turns(joints), still, still, time.long())
    assert steady_turn["rotation_deg"] < 0.02  # single precision of an arc cosine
    joints[:, 0, 1] = 0.2 * (0.3 * time).sin()
    expected = math.degrees(0.2 * 2 * (1 - math.cos(0.3)) / math.sqrt(2))
    assert quality.jitter(turns(joints), still, still, time.long())["rotation_deg"] == pytest.approx(expected, rel=0.05)
    shifted = torch.stack([0.001 * (-1.0) ** time, *still.T[1:]], 1)
    assert quality.jitter(turns(joints), shifted, still, time.long())["translation_mm"] == pytest.approx(4.0, rel=1e-3)


def test_coverage_names_the_angles() -> None:
    joints = torch.zeros(3, 1, 3)
    joints[0, 0, 1], joints[1, 0, 0], joints[2, 0, 2] = 0.5, -0.3, 0.2
    found = quality.coverage(turns(joints).double())
    assert found["yaw_deg"][1] == pytest.approx(math.degrees(0.5), abs=1e-3)
    assert found["pitch_deg"][1] == pytest.approx(math.degrees(0.3), abs=1e-3)  # a negative turn about x looks up
    assert found["roll_deg"][1] == pytest.approx(math.degrees(0.2), abs=1e-3)


def test_dropped_frames_are_named_in_ranges() -> None:
    reasons = {3: "no face", 4: "no face", 5: "no face", 9: "no face", 7: "face too small"}
    assert quality.dropped(reasons) == {
        "no face": {"frames": 4, "which": "3-5, 9"},
        "face too small": {"frames": 1, "which": "7"},
    }


def test_a_small_face_at_the_edge_of_a_large_video_is_a_valid_picture(tmp_path: Path) -> None:
    """Its principal point, the middle of the video, lies far beside the picture; datasets take that."""
    crop = crop_around(torch.tensor([[1700.0, 900.0], [1850.0, 1050.0]]), (1920, 1080), 512)
    camera = crop.camera(2160.0, (1920, 1080), torch.eye(4)[:3])
    assert camera.intrinsics[2] < -2 * camera.width
    head = builtin_head()
    pose = Pose.rest(len(head.expression_names), head.joint_count)
    pose = Pose(pose.expression, pose.joints, torch.tensor([0.3, 0.2, 1.0]))
    writer = DatasetWriter(tmp_path, "edge", crop.size, 25.0, head, "world")
    picture = torch.full((crop.size[1], crop.size[0], 4), 255, dtype=torch.uint8)
    writer.add_frame("00000", "train", camera, pose, picture, None)
    assert len(writer.finish().all_frames) == 1
