"""The ray-cast renderer against closed forms and against Mitsuba."""

import math

import numpy as np
import pytest
import torch
from synthetic_scenes import HEIGHT, WIDTH, front_camera, joined, matte, one_texel, posed, quad, sampled, sphere

from rgb_core.data import write_ply
from rgb_core.heads import Pose, builtin_head
from rgb_core.scene import BUILTIN_LIGHTS
from rgb_core.scene.labels import Label
from rgb_core.scene.light import load_map, resample
from rgb_core.synthetic.lighting import SampledLight, exposed
from rgb_core.synthetic.render import light_picture, sample_surface

WHITE = torch.ones(3, HEIGHT, WIDTH)
FLOOR = quad([(-0.15, -0.15, 0), (0.15, -0.15, 0), (0.15, 0.15, 0), (-0.15, 0.15, 0)])


def picture(surface, mesh, envmap, shadow_rays=32, seed=0):
    return light_picture(surface, SampledLight(envmap), mesh.bvh, shadow_rays, np.random.default_rng(seed))


def test_white_sphere_in_a_white_furnace_disappears():
    mesh = posed(*sphere())
    surface = sampled(mesh, front_camera())
    radiance, alpha = picture(surface, mesh, WHITE), surface.coverage()
    # A convex body shadows nothing, so only the quadrature over 32x64 texels is left: below 0.2 % (kernels.md 7.4).
    torch.testing.assert_close(radiance, alpha.expand(-1, -1, 3), atol=2e-3, rtol=0)
    assert 0.3 < alpha.mean() < 0.4  # pi / 4 of (0.2 / 0.3)^2


def test_light_from_behind_an_occluder_is_gone_and_beside_it_is_whole():
    roof = quad([(-0.05, -0.05, 0.03), (-0.05, 0.05, 0.03), (0.05, 0.05, 0.03), (0.05, -0.05, 0.03)])
    mesh, bare = posed(*joined(FLOOR, roof)), posed(*FLOOR)
    camera = front_camera(size=48)
    light = one_texel((1.0, 0.0, 1.0))
    surface = sampled(bare, camera)
    lit = picture(surface, bare, light)[..., 0]
    shadowed = picture(surface, mesh, light)[..., 0]
    # Seen from above (+z), light from 45 degrees moves the roof's shadow 0.03 m to -x; a texel is 5.6 degrees wide.
    x = (torch.arange(48) + 0.5) / 48 * 0.3 - 0.15
    inside_x = (x > -0.08 + 0.008) & (x < 0.02 - 0.008)
    outside_x = (x < -0.08 - 0.008) | (x > 0.02 + 0.008)
    inside_y, outside_y = x.abs() < 0.05 - 0.008, x.abs() > 0.05 + 0.008
    assert shadowed[inside_y][:, inside_x].abs().max() == 0
    torch.testing.assert_close(shadowed[:, outside_x], lit[:, outside_x])
    torch.testing.assert_close(shadowed[outside_y], lit[outside_y])
    assert (lit > 0).all()


def test_a_wall_takes_half_of_the_sky_at_its_foot():
    # A wall of nearly infinite size beside a floor point hides half of the cosine-weighted sky: E = 1/2.
    wall = quad([(0, -50, 0), (0, 50, 0), (0, 50, 50), (0, -50, 50)])
    floor = quad([(-0.02, -0.02, 0), (0, -0.02, 0), (0, 0.02, 0), (-0.02, 0.02, 0)])
    mesh, bare = posed(*joined(floor, wall)), posed(*floor)
    camera = front_camera(size=16, width=0.04)
    surface = sampled(bare, camera)
    at_foot = picture(surface, mesh, WHITE, shadow_rays=64)[:, 7, 0]  # within 2.5 mm of the wall
    # 16 pixels of 256 rays each: one sigma of the mean is below 0.5 %.
    assert at_foot.mean() == pytest.approx(0.5, abs=0.01)


def test_picture_is_linear_in_the_light():
    mesh = posed(*joined(FLOOR, sphere(0.06)))
    surface = sampled(mesh, front_camera())
    envmap = torch.rand(3, HEIGHT, WIDTH, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(picture(surface, mesh, 3 * envmap), 3 * picture(surface, mesh, envmap))


def test_few_shadow_rays_agree_with_many_in_the_mean():
    mesh = posed(*joined(FLOOR, sphere(0.06)))
    surface = sampled(mesh, front_camera())
    envmap = resample(load_map("window"), HEIGHT, WIDTH)
    few = torch.stack([picture(surface, mesh, envmap, 8, seed) for seed in range(16)]).mean()
    # The ratio of two estimates is biased by O(1 / rays); with 32 rays a pixel it must stay well below a grey level.
    assert few == pytest.approx(picture(surface, mesh, envmap, 1024).mean().item(), rel=3e-3)


def test_surfaces_seen_from_behind_are_shaded_on_the_near_side():
    vertices, faces = FLOOR
    flipped = posed(vertices, faces.flip(1))
    surface = sampled(flipped, front_camera())
    assert (surface.normal[:, 2] > 0.99).all()


def test_coverage_and_labels_vote_by_area():
    vertices, faces = FLOOR
    half = posed(vertices * torch.tensor([0.5, 2.0, 1.0]) - torch.tensor([0.075, 0, 0]), faces)
    surface = sampled(half, front_camera(size=8), samples=16)
    alpha, labels = surface.coverage()[..., 0], surface.labels()
    assert (alpha[:, :4] == 1).all()
    assert (alpha[:, 4:] == 0).all()
    assert (labels[:, :4] == Label.SKIN).all()
    assert (labels[:, 4:] == Label.BACKGROUND).all()


@pytest.mark.parametrize("name", sorted(BUILTIN_LIGHTS))
def test_every_light_exposes_a_face_alike(name):
    envmap = resample(load_map(name), HEIGHT, WIDTH)
    scaled = exposed(envmap, torch.tensor([0.0, 0.0, 1.0]))
    mesh = posed(*sphere())
    surface = sampled(mesh, front_camera())
    lit = picture(surface, mesh, scaled, 2).mean(-1)[surface.coverage()[..., 0] == 1]
    assert 0.3 < lit.mean() < 1.3
    assert lit.quantile(0.98) < 1.8  # so that skin of albedo 0.5 stays below white


def test_diffuse_head_agrees_with_mitsuba(tmp_path):
    mitsuba = pytest.importorskip("mitsuba")
    mitsuba.set_variant("scalar_rgb")
    head = builtin_head()
    pose = Pose.rest(len(head.expression_names), head.joint_count)
    pose.expression[head.expression_index("jawOpen")] = 0.7
    pose.joints[0, 1] = 0.5
    vertices = head.pose(pose).vertices
    mesh = posed(vertices, head.faces)
    envmap = 0.2 + torch.rand(3, 16, 32, generator=torch.Generator().manual_seed(4)) ** 4
    camera = _camera_at(vertices, 40)
    surface = sample_surface(mesh, camera, matte(0.6), 16, np.random.default_rng(0))
    ours = picture(surface, mesh, resample(envmap, HEIGHT, WIDTH), 32)
    theirs = _render_with_mitsuba(mitsuba, vertices, head.faces, envmap, camera, tmp_path / "head.ply")
    # 2 % is the promise of the project; both sides' own noise in the mean is near 0.1 %.
    assert ours.mean() == pytest.approx(theirs.mean().item(), rel=0.02)
    # Pixel by pixel: Mitsuba's 64 samples, other silhouette samples and angle-weighted vertex normals remain.
    assert (ours - theirs).abs().mean() < 0.04 * theirs[theirs > 0].mean()


def _camera_at(vertices, size):
    middle = 0.5 * (vertices.amin(0) + vertices.amax(0))
    camera = front_camera(size, distance=1.0, width=0.4)
    camera.world_to_camera[:, 3] -= camera.world_to_camera[:, :3] @ middle
    return camera


def _render_with_mitsuba(mitsuba, vertices, faces, envmap, camera, path):
    """[H,W,3] by Mitsuba's direct integrator, the map repeated 16-fold so that it is constant within each texel."""
    write_ply(path, vertices, faces)
    # Mitsuba's azimuth is atan2(x, -z): a quarter turn from ours.
    fine = resample(envmap, 256, 512).roll(128, -1).permute(1, 2, 0).contiguous()
    origin = camera.center.tolist()
    transform = mitsuba.ScalarTransform4f
    scene = mitsuba.load_dict(
        {
            "type": "scene",
            "integrator": {"type": "direct", "hide_emitters": True},
            "head": {
                "type": "ply",
                "filename": str(path),
                "bsdf": {
                    "type": "twosided",
                    "bsdf": {"type": "diffuse", "reflectance": {"type": "rgb", "value": 0.6}},
                },
            },
            "light": {"type": "envmap", "bitmap": mitsuba.Bitmap(fine.numpy())},
            "sensor": {
                "type": "perspective",
                "fov": math.degrees(2 * math.atan(0.5 * camera.width / camera.intrinsics[0])),
                "to_world": transform().look_at(origin, [origin[0], origin[1], origin[2] - 1], [0, 1, 0]),
                "film": {
                    "type": "hdrfilm",
                    "width": camera.width,
                    "height": camera.height,
                    "rfilter": {"type": "box"},
                    "pixel_format": "rgb",
                },
                "sampler": {"type": "multijitter", "sample_count": 64},
            },
        }
    )
    return torch.from_numpy(np.array(mitsuba.render(scene)))
