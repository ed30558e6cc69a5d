"""The renderer draws, from packed tables and recorded graphs, what the learned tables mean."""

import math
from collections.abc import Sequence
from dataclasses import replace

import pytest
import torch
from gaussian_blendshapes import pose_head
from torch import Tensor

from rgb_core.avatar import Avatar
from rgb_core.avatar.packing import pack_avatar
from rgb_core.benchmarking.scenes import bench_avatar
from rgb_core.errors import InputError
from rgb_core.heads import HeadModel, Pose
from rgb_core.images import linear_to_srgb, to_bytes
from rgb_core.rendering import LAYERS, RenderedFrame, Renderer, Shot
from rgb_core.rendering.renderer import lit_vertices
from rgb_core.rendering.stages import (
    Shows,
    attach_learned,
    layers_of,
    light_from_head,
    pose_packed,
    splat,
    visible_to,
)
from rgb_core.rotations import axis_angle_to_matrix
from rgb_core.scene import Camera, Light
from rgb_core.scene.lamps import resample_at_lamp
from rgb_core.scene.light import turn_map
from rgb_core.shading import Bounce, SurfaceTracer, light_gaussians

DEVICES = [
    "cpu",
    pytest.param(
        "cuda",
        marks=[pytest.mark.gpu, pytest.mark.skipif(not torch.cuda.is_available(), reason="no NVIDIA GPU")],
    ),
]
SIZE = 96
NAMES = tuple(LAYERS)


def random_shots(avatar: Avatar, count: int) -> list[Shot]:
    """Strong expressions, turned heads, and cameras that are rolled and look from aside."""
    generator = torch.Generator().manual_seed(1)
    expressions = len(avatar.head.expression_names)
    shots = []
    for _ in range(count):
        expression = torch.rand(expressions, generator=generator) * (torch.rand(expressions, generator=generator) < 0.4)
        joints = 0.2 * torch.randn(avatar.head.joint_count, 3, generator=generator)
        translation = 0.01 * torch.randn(3, generator=generator)
        camera = avatar.portrait.camera.resized(SIZE, SIZE)
        turn = axis_angle_to_matrix(0.3 * torch.randn(3, generator=generator))
        place = camera.world_to_camera.clone()
        place[:, :3] = place[:, :3] @ turn
        shots.append(Shot(Pose(expression, joints, translation), replace(camera, world_to_camera=place)))
    return shots


@pytest.fixture(scope="module")
def avatar() -> Avatar:
    """An avatar with deltas, leaning normals and a light of the size that a fit makes."""
    generator = torch.Generator().manual_seed(2)
    plain = bench_avatar(1500)
    offset = 0.2 * torch.randn(plain.count, 3, generator=generator)
    return replace(
        plain,
        deltas=0.05 * torch.randn(plain.deltas.shape, generator=generator),
        neutral={**plain.neutral, "normal_offset": offset},
        focal_scale=1.05,
    )


WINDOW = Light.load("window")  # from one side, and of another size than the avatar's
LIGHTS = {
    "own": None,
    "other": WINDOW,
    "rotated": WINDOW.rotated(0.7),
    "carried": replace(WINDOW, carried=True),
    "carried and rotated": replace(WINDOW, carried=True).rotated(-1.3),
}


def correct_poses(head: HeadModel) -> HeadModel:
    """The head with pose correctives and regressed joints, as FLAME has them."""
    generator = torch.Generator().manual_seed(3)
    joints, vertices = head.joint_count, head.vertex_count
    regressor = torch.zeros(joints, vertices)
    for joint in range(joints):
        nearest = (head.vertices - head.joint_positions[joint]).norm(dim=1).argsort()[:40]
        regressor[joint, nearest] = 1 / 40
    correctives = 5e-4 * torch.randn(9 * (joints - 1), vertices, 3, generator=generator)
    return replace(head, joint_regressor=regressor, pose_basis=correctives)


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("like_flame", [False, True])
def test_poses_agree_with_the_avatar(avatar: Avatar, like_flame: bool, device: str):
    """Everything but the deltas' rounding to half precision is the same: micrometres, 1e-3 in other numbers."""
    model = replace(avatar, head=correct_poses(avatar.head)) if like_flame else avatar
    model = model.to(device)
    head, table = pack_avatar(model)
    for shot in random_shots(avatar, 2):
        pose = shot.pose.to(torch.device(device))
        mesh = pose_head(head, *pose.tensors)
        posed = model.head.pose(pose)
        torch.testing.assert_close(mesh.vertices, posed.vertices, rtol=0, atol=1e-6)
        torch.testing.assert_close(mesh.transforms.view(-1, 3, 4), posed.transforms[:, :3], rtol=0, atol=2e-6)
        mine = pose_packed(table, mesh)
        theirs = model.pose(pose.expression, pose.joints, posed.transforms)
        torch.testing.assert_close(mine.means, theirs.means, rtol=0, atol=2e-5)
        same_side = (mine.rotations * theirs.rotations).sum(1).abs()
        torch.testing.assert_close(same_side, torch.ones_like(same_side), rtol=0, atol=1e-5)
        for name in ("scales", "opacities", "albedo", "roughness", "specular_albedo"):
            torch.testing.assert_close(getattr(mine, name), getattr(theirs, name), rtol=2e-3, atol=1e-4)


def learned_frame(
    avatar: Avatar, shot: Shot, light: Light | None, layers: Sequence[str], visibility: bool
) -> RenderedFrame:
    """The frame composed of the stages that training uses, from the avatar's own tensors, traced afresh."""
    head, device = avatar.head, avatar.light.radiance.device
    pose, camera = shot.pose.to(device), shot.camera.to(device)
    shining = (avatar.light if light is None else light).to(device)
    to_world = shining.to_world(camera.world_to_camera)
    size = Renderer(avatar).light_size(shining.radiance)
    envmap, turn = resample_at_lamp(shining.radiance, *size)
    if turn is not None:
        to_world = turn if to_world is None else to_world @ turn
    posed = head.pose(pose)
    gaussians = avatar.pose(pose.expression, pose.joints, posed.transforms)
    bounce = Bounce.of(avatar) if visibility else None
    tracer = SurfaceTracer(head.faces, lit_vertices(avatar, bounce), size)
    surface = tracer.trace(posed.vertices, visibility, to_world)
    attached = attach_learned(avatar, gaussians.means, gaussians.rotations, surface, camera.world_to_camera)
    seen = visible_to(avatar.attachment, head.faces.int(), surface.visibility)
    from_head = light_from_head(bounce, avatar, gaussians, surface, envmap, to_world)
    lit = light_gaussians(gaussians, attached, seen, envmap, to_world, avatar.one_bounce, from_head)
    features = layers_of(layers, gaussians, attached, lit)
    lens = camera.with_scaled_focal(avatar.focal_scale).lens
    drawn = splat(gaussians, features, camera.world_to_camera, lens, avatar.antialias)
    color, *rest = drawn.image.split([3, *(LAYERS[name].shows.channels for name in layers)], dim=2)
    channels = {n: values if values.shape[2] == 3 else values[..., 0] for n, values in zip(layers, rest, strict=True)}
    return RenderedFrame(color, drawn.alpha, channels)


def eight_bit(frame: RenderedFrame) -> dict[str, Tensor]:
    """All pictures of a frame as they are shown or stored, by name."""
    layers = dict(frame.layers)
    pictures = {"color": to_bytes(linear_to_srgb(frame.color)), "alpha": to_bytes(frame.alpha)}
    if "normal" in layers:
        pictures["normal"] = to_bytes((layers.pop("normal") + frame.alpha[..., None]) / 2)
    return pictures | {name: to_bytes(values) for name, values in layers.items()}


@torch.no_grad()
def shots_in_order(model: Avatar, count: int) -> list[Shot]:
    """The first random shots in which no pixel lies under two Gaussians that change places."""
    shots = [shot for shot in random_shots(model, 4 * count) if not changing_places(model, shot).any()]
    assert len(shots) >= count
    return shots[:count]


def changing_places(model: Avatar, shot: Shot) -> Tensor:
    """bool [H, W]: pixels under two Gaussians of one depth, of which its last bit tells which is in front."""
    head, table = pack_avatar(model)
    pose, camera = shot.pose.to(model.light.radiance.device), shot.camera.to(model.light.radiance.device)
    learned = model.pose(pose.expression, pose.joints, model.head.pose(pose).transforms)
    packed = pose_packed(table, pose_head(head, *pose.tensors))
    axis = camera.world_to_camera[2, :3]
    orders = torch.stack([torch.argsort(gaussians.means @ axis, stable=True) for gaussians in (packed, learned)], 1)
    pairs = orders[orders[:, 0] != orders[:, 1]]
    shares = torch.zeros(model.count, pairs.numel(), device=axis.device)
    shares[pairs.flatten(), torch.arange(pairs.numel(), device=axis.device)] = 1
    lens = camera.with_scaled_focal(model.focal_scale).lens
    seen = splat(learned, shares, camera.world_to_camera, lens, model.antialias).image > 0
    return seen.unflatten(2, (-1, 2)).all(3).any(2)


def compare(model: Avatar, shots: Sequence[Shot], light: Light | None, visibility: bool) -> None:
    """Assert that no byte of any picture is off by more than a step, and that hardly any is off at all.

    Gaussians end where they cover 1 / 255 of a pixel. Where one lies on that edge, coverage differs by a step and
    light by as much of what it is there; over black, sRGB makes several steps of it, and light may be larger than 1, so
    that there the light itself is compared.
    """
    renderer = Renderer(model, visibility)
    for shot in shots:
        frame = renderer.render(shot.pose, shot.camera, light, NAMES)
        with torch.no_grad():
            learned = learned_frame(model, shot, light, NAMES, visibility)
        assert float(frame.alpha.mean()) > 0.1
        assert float(frame.color.std()) > 0.02
        mine, expected = eight_bit(frame), eight_bit(learned)
        apart = {name: (mine[name].int() - expected[name].int()).abs() for name in mine}
        lights = {"color": frame.color - learned.color} | {
            name: frame.layers[name] - learned.layers[name] for name in NAMES if LAYERS[name].shows is Shows.LIGHT
        }
        for name in lights:
            apart[name][apart["alpha"] > 0] = 0
        assert {name: int(steps.max()) for name, steps in apart.items() if int(steps.max()) > 1} == {}
        assert max(float(steps.float().mean()) for steps in apart.values()) < 0.005
        assert float(lights.pop("color").abs().max()) < 1 / 255
        brightest = max(1.0, float(learned.layers["irradiance"].max()))
        assert max(float(light.abs().max()) for light in lights.values()) < brightest / 255


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("visibility", [True, False], ids=["shadows", "none"])
@pytest.mark.parametrize("light", LIGHTS)
def test_pictures_are_those_of_the_learned_tables(avatar: Avatar, light: str, visibility: bool, device: str):
    """Every kind of picture is drawn three times: made to measure, recorded, replayed."""
    compare(avatar.to(device), shots_in_order(avatar.to(device), 3), LIGHTS[light], visibility)


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("light", ["own", "carried and rotated"])
def test_pictures_of_a_head_with_correctives_are_too(avatar: Avatar, light: str, device: str):
    model = replace(avatar, head=correct_poses(avatar.head))
    compare(model.to(device), shots_in_order(model.to(device), 3), LIGHTS[light], True)


@pytest.mark.parametrize("device", DEVICES)
def test_pictures_with_light_from_the_head_are_too(avatar: Avatar, device: str):
    model, filling = replace(avatar, traced_bounce=True), replace(avatar, traced_bounce=False)
    compare(model.to(device), random_shots(avatar, 2), WINDOW, True)
    shot = random_shots(avatar, 1)[0]
    filled, traced = (Renderer(one).render(shot.pose, shot.camera).color for one in (filling, model))
    assert float((filled - traced).abs().max()) > 1e-3


@pytest.mark.parametrize("device", DEVICES)
def test_a_turned_light_is_a_turned_map(avatar: Avatar, device: str):
    """By whole texels both shine from the same directions."""
    renderer = Renderer(avatar.to(device))
    height, width = avatar.light.size
    radiance = WINDOW.resampled(height, width).radiance
    yaw = 2 * math.pi * 5 / width
    shot = random_shots(avatar, 1)[0]
    turned, mapped, plain = (
        to_bytes(linear_to_srgb(renderer.render(shot.pose, shot.camera, light).color)).int()
        for light in (Light(radiance).rotated(yaw), Light(turn_map(radiance, yaw)), Light(radiance))
    )
    assert float((turned - mapped).abs().float().mean()) < 0.05  # rays that graze an edge go either way
    assert float((turned - plain).abs().float().mean()) > 1


def test_more_rows_come_nearer_to_a_fine_light_and_leave_the_own_light_alone(avatar: Avatar):
    shot, light = random_shots(avatar, 1)[0], Light.load("sun")
    own, *under = (
        [Renderer(avatar, light_rows=rows).render(shot.pose, shot.camera, given).color for rows in (8, 32, 128)]
        for given in (None, light)
    )
    assert torch.equal(own[0], own[1])
    assert torch.equal(own[0], own[2])
    coarse, usual, fine = under[0]
    assert float((usual - fine).abs().mean()) < 0.5 * float((coarse - fine).abs().mean())
    plain = Renderer(avatar)
    assert torch.equal(plain.render(shot.pose, shot.camera, light).color, usual)
    assert plain.light_size(light.radiance) == (32, 64)
    assert plain.light_size(light.resampled(8, 16).radiance) == avatar.light.size


def test_a_carried_light_sees_what_the_camera_sees(avatar: Avatar):
    """Camera and head turned together: the light comes along, and no pixel knows."""
    renderer = Renderer(avatar)
    light = replace(WINDOW, carried=True)
    pose = avatar.portrait.pose(len(avatar.head.expression_names))
    camera = avatar.portrait.camera.resized(SIZE, SIZE)
    turn = axis_angle_to_matrix(torch.tensor([0.3, -0.8, 0.4]))
    center = avatar.head.pose(pose).transforms[0, :3, :3] @ avatar.head.joint_positions[0]
    place = camera.world_to_camera
    turned_place = torch.cat([place[:, :3] @ turn.T, place[:, 3:]], 1)
    joints = pose.joints.clone()
    joints[0] = torch.tensor([0.3, -0.8, 0.4])
    turned = Pose(pose.expression, joints, turn @ center - center)
    together = renderer.render(turned, replace(camera, world_to_camera=turned_place), light)
    before = renderer.render(pose, camera, light)
    standing = renderer.render(turned, replace(camera, world_to_camera=turned_place), WINDOW)
    torch.testing.assert_close(together.alpha, before.alpha, rtol=0, atol=1e-3)
    assert float((together.color - before.color).abs().mean()) < 1e-3
    assert float((standing.color - before.color).abs().mean()) > 1e-2


def test_the_same_mesh_again_is_not_traced_but_the_light_and_the_camera_count(avatar: Avatar):
    """What one renderer keeps from frame to frame shows in no picture."""
    renderer = Renderer(avatar)
    first, second = random_shots(avatar, 2)
    light = WINDOW
    cases = [
        (first, light), (first, replace(light, radiance=2 * light.radiance)),
        (first, light.rotated(0.4)), (second, light.rotated(0.4)),
        (Shot(second.pose, first.camera), replace(light, carried=True)), (second, replace(light, carried=True)),
    ]  # fmt: skip
    for shot, shining in cases:
        kept = renderer.render(shot.pose, shot.camera, shining)
        fresh = Renderer(avatar).render(shot.pose, shot.camera, shining)
        assert torch.equal(kept.color, fresh.color)


def test_a_layer_that_does_not_exist_is_named(avatar: Avatar):
    shot = random_shots(avatar, 1)[0]
    with pytest.raises(InputError, match="no layer called 'depth': choose from albedo, "):
        Renderer(avatar).render(shot.pose, shot.camera, layers=("albedo", "depth"))


def test_the_mesh_of_a_pose_is_that_of_the_head(avatar: Avatar):
    shot = random_shots(avatar, 1)[0]
    vertices, faces = Renderer(avatar).posed_mesh(shot.pose)
    assert torch.equal(vertices, avatar.head.pose(shot.pose).vertices)
    assert torch.equal(faces, avatar.head.faces)


def far(camera: Camera) -> Camera:
    """The camera 20 m farther away, where a head is a few pixels."""
    place = camera.world_to_camera.clone()
    place[2, 3] += 20
    return replace(camera, world_to_camera=place)


@pytest.mark.parametrize("device", DEVICES)
def test_a_picture_that_outgrows_the_recorded_room_is_drawn_again(avatar: Avatar, device: str):
    """The first pictures, of a head far away, need next to no room; the same kind of picture then fills the frame."""
    model = avatar.to(device)
    renderer, shot = Renderer(model), random_shots(avatar, 1)[0]
    for _ in range(3):
        renderer.render(shot.pose, far(shot.camera))
    grown = renderer.render(shot.pose, shot.camera)
    fresh = Renderer(model).render(shot.pose, shot.camera)
    assert float(fresh.alpha.mean()) > 0.1
    assert torch.equal(grown.color, fresh.color)
    assert torch.equal(grown.alpha, fresh.alpha)
