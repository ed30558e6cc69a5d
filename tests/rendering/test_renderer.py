"""The real-time path draws what the renderer draws."""

from dataclasses import replace

import pytest
import torch

from rgb_core.avatar import Avatar
from rgb_core.avatar.packing import pack_avatar
from rgb_core.benchmarking.scenes import bench_avatar
from rgb_core.heads import HeadModel
from rgb_core.images import linear_to_srgb, to_bytes
from rgb_core.rendering import AvatarRenderer, RealTimeRenderer, Shot

DEVICES = [
    "cpu",
    pytest.param(
        "cuda",
        marks=[pytest.mark.gpu, pytest.mark.skipif(not torch.cuda.is_available(), reason="no NVIDIA GPU")],
    ),
]


def random_shots(avatar: Avatar, count: int) -> list[Shot]:
    generator = torch.Generator().manual_seed(1)
    expressions = len(avatar.head.expression_names)
    shots = []
    for _ in range(count):
        expression = torch.rand(expressions, generator=generator) * (torch.rand(expressions, generator=generator) < 0.4)
        joints = 0.2 * torch.randn(avatar.head.joint_count, 3, generator=generator)
        translation = 0.01 * torch.randn(3, generator=generator)
        camera = avatar.portrait.camera.resized(96, 96)
        shots.append(Shot(expression, joints, translation, camera))
    return shots


def learned(avatar: Avatar) -> Avatar:
    """The avatar with deltas of the size that a fit makes."""
    generator = torch.Generator().manual_seed(2)
    return replace(avatar, deltas=0.05 * torch.randn(avatar.deltas.shape, generator=generator))


@pytest.fixture(scope="module")
def avatar() -> Avatar:
    return learned(bench_avatar(1500))


def correct_poses(head: HeadModel) -> HeadModel:
    """The head with pose correctives and regressed joints, as FLAME has them."""
    generator = torch.Generator().manual_seed(3)
    joints, vertices = head.joint_count, head.vertex_count
    regressor = torch.zeros(joints, vertices)
    for joint in range(joints):
        nearest = (head.vertices - head.joint_positions[joint]).norm(dim=1).argsort()[:40]
        regressor[joint, nearest] = 1 / 40
    correctives = 2e-3 * torch.randn(9 * (joints - 1), vertices, 3, generator=generator)
    return replace(head, joint_regressor=regressor, pose_basis=correctives)


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("like_flame", [False, True])
def test_poses_agree_with_the_avatar(avatar: Avatar, like_flame: bool, device: str):
    """Everything but the deltas' rounding to half precision is the same: 1 micrometre, 1e-3 in other numbers."""
    from gaussian_blendshapes import pose_gaussians, pose_head

    model = replace(avatar, head=correct_poses(avatar.head)) if like_flame else avatar
    model = model.to(device)
    head, table = pack_avatar(model)
    for shot in random_shots(avatar, 2):
        pose = [values.to(device) for values in (shot.expression, shot.joints, shot.translation)]
        mesh = pose_head(head, *pose)
        posed = model.head.pose(*(values[None] for values in pose))
        torch.testing.assert_close(mesh.vertices, posed.vertices[0], rtol=0, atol=2e-5)
        torch.testing.assert_close(mesh.transforms.view(-1, 3, 4), posed.transforms[0, :, :3], rtol=0, atol=2e-6)
        mine = pose_gaussians(table, mesh.weights, mesh.transforms)
        theirs = model.pose(*pose[:2], posed.transforms[0])
        torch.testing.assert_close(mine.means, theirs.means, rtol=0, atol=2e-5)
        same_side = (mine.rotations * theirs.rotations).sum(1).abs()
        torch.testing.assert_close(same_side, torch.ones_like(same_side), rtol=0, atol=1e-5)
        for name in ("scales", "opacities", "albedo", "roughness"):
            torch.testing.assert_close(getattr(mine, name), getattr(theirs, name), rtol=2e-3, atol=1e-4)
        torch.testing.assert_close(mine.specular, theirs.specular_albedo[:, :1], rtol=2e-3, atol=1e-4)


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("visibility", [True, False])
def test_pictures_agree_with_the_renderer(avatar: Avatar, visibility: bool, device: str):
    model = replace(avatar, focal_scale=1.05).to(device)
    renderer = AvatarRenderer(model, visibility)
    realtime = RealTimeRenderer(model, avatar.portrait.camera.resized(96, 96).lens, visibility)
    light = torch.rand(3, 32, 64, generator=torch.Generator().manual_seed(4))
    for index, shot in enumerate(random_shots(avatar, 3)):
        envmap = light if index else None
        picture = realtime.render(shot, shot.camera.world_to_camera, envmap)
        frame = renderer.render(shot, shot.camera, envmap)
        expected = torch.cat([to_bytes(linear_to_srgb(frame.color)), to_bytes(frame.alpha)[..., None]], dim=2)
        difference = (picture.int() - expected.int()).abs().float()
        assert float(frame.alpha.mean()) > 0.1
        assert float(difference.mean()) < 0.2
        assert float((difference > 3).float().mean()) < 0.01
        assert float(difference.max()) <= 40  # a vertex that just sees, or just does not see, a bright texel


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no NVIDIA GPU")
def test_a_frame_that_outgrows_the_recorded_room_is_whole_the_next_time(avatar: Avatar):
    model = avatar.to("cuda")
    realtime = RealTimeRenderer(model, avatar.portrait.camera.lens)
    shot = random_shots(avatar, 1)[0]
    far = avatar.portrait.camera.world_to_camera.clone()
    far[2, 3] += 20
    realtime.render(shot, far)
    realtime.render(shot, avatar.portrait.camera.world_to_camera)
    torch.cuda.synchronize()
    again = realtime.render(shot).clone()
    fresh = RealTimeRenderer(model, avatar.portrait.camera.lens).render(shot, avatar.portrait.camera.world_to_camera)
    assert torch.equal(again, fresh)
