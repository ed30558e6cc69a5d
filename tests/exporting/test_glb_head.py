"""The rigged head: driven by its own weights and joints it is our mesh, and its textures are the avatar's materials."""

import io
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from gltf_reader import Glb, khronos_issues
from PIL import Image

from rgb_core.avatar import Avatar
from rgb_core.benchmarking.scenes import bench_avatar
from rgb_core.errors import InputError
from rgb_core.exporting.glb_head import write_head_glb
from rgb_core.exporting.parts import PARTS, part_of
from rgb_core.heads import Motion, Pose
from rgb_core.images import srgb_to_linear

TENTH_OF_A_MILLIMETRE = 1e-4


@pytest.fixture(scope="module")
def avatar() -> Avatar:
    """Skin of one colour, eyes of another."""
    made = bench_avatar(3000)
    part = part_of(made.region())
    albedo = torch.full((made.count, 3), 0.5)
    albedo[part == list(PARTS).index("eyes")] = torch.tensor([0.1, 0.2, 0.8])
    return replace(made, neutral=made.neutral | {"albedo": torch.logit(albedo)})


def poses(avatar: Avatar, count: int) -> Pose:
    generator = torch.Generator().manual_seed(4)
    expression = torch.rand(count, len(avatar.head.expression_names), generator=generator)
    joints = 0.3 * torch.randn(count, avatar.head.joint_count, 3, generator=generator)
    return Pose(expression, joints, 0.05 * torch.randn(count, 3, generator=generator))


@pytest.fixture(scope="module")
def written(avatar: Avatar, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("glb") / "head.glb"
    write_head_glb(avatar, path, Motion("walk", poses(avatar, 5), 25.0))
    return path


@pytest.fixture(scope="module")
def glb(written: Path) -> Glb:
    return Glb(written)


def corner_pairs(avatar: Avatar, glb: Glb) -> tuple[np.ndarray, np.ndarray]:
    """Vertices of the file and of the head's mesh at every corner of every triangle."""
    head = avatar.head
    part = part_of(head.region[head.faces[:, 0]])
    primitives = glb.document["meshes"][0]["primitives"]
    corners = [glb.array(primitive["indices"])[:, 0] for primitive in primitives]
    vertices = [head.faces[part == number].reshape(-1).numpy() for number in range(len(PARTS))]
    return np.concatenate(corners), np.concatenate(vertices)


def test_neutral_head_stands_upright(avatar: Avatar, glb: Glb):
    place = glb.array(glb.document["meshes"][0]["primitives"][0]["attributes"]["POSITION"])
    torch.testing.assert_close(torch.from_numpy(place.max(0)), avatar.head.vertices.amax(0))
    torch.testing.assert_close(torch.from_numpy(place.min(0)), avatar.head.vertices.amin(0))


def test_animation_makes_the_posed_mesh(avatar: Avatar, glb: Glb):
    animation = glb.document["animations"][0]
    outputs = {
        (channel["target"]["node"], channel["target"]["path"]): glb.array(
            animation["samplers"][channel["sampler"]]["output"]
        )
        for channel in animation["channels"]
    }
    times = glb.array(animation["samplers"][0]["input"])[:, 0]
    np.testing.assert_allclose(times, np.arange(5) / 25)
    joints = glb.document["skins"][0]["joints"]
    corners, vertices = corner_pairs(avatar, glb)
    expected = avatar.head.pose(poses(avatar, 5)).vertices.double().numpy()
    count = len(avatar.head.expression_names)
    for frame in range(5):
        weights = outputs[0, "weights"].reshape(5, count)[frame]
        rotations = np.stack([outputs[node, "rotation"][frame] for node in joints])
        got = glb.posed(weights, rotations, outputs[joints[0], "translation"][frame])
        distance = np.linalg.norm(got[corners] - expected[frame][vertices], axis=1)
        assert distance.max() < TENTH_OF_A_MILLIMETRE


def test_corners_of_all_parts_are_the_mesh(avatar: Avatar, glb: Glb):
    primitives = glb.document["meshes"][0]["primitives"]
    names = [glb.document["materials"][primitive["material"]]["name"] for primitive in primitives]
    assert names == list(PARTS)
    corners, vertices = corner_pairs(avatar, glb)
    assert len(corners) == 3 * len(avatar.head.faces)
    place = glb.array(primitives[0]["attributes"]["POSITION"])
    np.testing.assert_array_equal(place[corners], avatar.head.vertices.numpy()[vertices])


def test_eyes_have_a_colour_of_their_own(avatar: Avatar, glb: Glb):
    document = glb.document
    png = glb.view(
        document["images"][document["materials"][0]["pbrMetallicRoughness"]["baseColorTexture"]["index"]]["bufferView"]
    )
    picture = np.asarray(Image.open(io.BytesIO(png)))
    expected = {"skin": (0.5, 0.5, 0.5), "eyes": (0.1, 0.2, 0.8)}
    for primitive in document["meshes"][0]["primitives"]:
        name = document["materials"][primitive["material"]]["name"]
        if name not in expected:
            continue
        corners = glb.array(primitive["attributes"]["TEXCOORD_0"])[glb.array(primitive["indices"])[:, 0]]
        middle = corners.reshape(-1, 3, 2).mean(1)
        column, row = (middle * picture.shape[0]).astype(int).T
        colour = srgb_to_linear(torch.from_numpy(picture[row, column] / 255)).median(0).values
        torch.testing.assert_close(colour, torch.tensor(expected[name]).double(), rtol=0.03, atol=0.01)


def test_flat_normals_are_blue_and_leaning_ones_lean(avatar: Avatar, tmp_path: Path):
    def normals(made: Avatar) -> np.ndarray:
        write_head_glb(made, tmp_path / "a.glb")
        glb = Glb(tmp_path / "a.glb")
        return np.asarray(Image.open(io.BytesIO(glb.view(glb.document["images"][2]["bufferView"]))), float)

    flat = normals(avatar)
    assert np.abs(flat - (127.5, 127.5, 255)).max() <= 1
    lean = replace(avatar, neutral=avatar.neutral | {"normal_offset": torch.full((avatar.count, 3), 0.3)})
    assert np.abs(normals(lean)[..., :2] - 127.5).mean() > 10


def test_heads_without_a_layout_have_plain_materials(avatar: Avatar, tmp_path: Path):
    bare = replace(avatar, head=replace(avatar.head, uv=None, uv_faces=None))
    write_head_glb(bare, tmp_path / "a.glb")
    glb = Glb(tmp_path / "a.glb")
    assert "images" not in glb.document
    assert "TEXCOORD_0" not in glb.document["meshes"][0]["primitives"][0]["attributes"]


def test_unwritable_target_is_named(avatar: Avatar, tmp_path: Path):
    (tmp_path / "folder").mkdir()
    with pytest.raises(InputError, match="folder"):
        write_head_glb(avatar, tmp_path / "folder")


def test_khronos_validator_finds_nothing(written: Path):
    issues = khronos_issues(written)
    assert (issues["numErrors"], issues["numWarnings"]) == (0, 0), issues["messages"]
