"""Light on attached Gaussians: a furnace, a shadow, a bounce."""

import dataclasses

import pytest
import torch
from diff_envshade import texel_directions

from rgb_core.avatar import DELTA_WIDTH, Avatar, PosedGaussians
from rgb_core.avatar.attachment import Attachment
from rgb_core.avatar.deformation import SparseExpressions
from rgb_core.avatar.model import NEUTRAL
from rgb_core.avatar.portrait import Portrait
from rgb_core.heads import HeadModel
from rgb_core.rendering.stages import attach_learned, visible_to
from rgb_core.scene import Camera, Light
from rgb_core.shading import Surface, SurfaceTracer, light_gaussians, one_bounce_gain

SIZE = (16, 32)
FROM_THE_FRONT = torch.eye(3, 4)
FROM_THE_FRONT[2, 3] = -1.0  # the camera's centre is a metre away along z
# The pole rows of a 16 x 32 map quadrate the cosine to half a percent (kernels: white furnace).
QUADRATURE = 0.006


def everywhere(head: HeadModel) -> Attachment:
    return Attachment(torch.arange(len(head.faces)), torch.full((len(head.faces), 3), 1 / 3))


def avatar_of(head: HeadModel) -> Avatar:
    """A Gaussian without expressions on every face."""
    count = len(head.faces)
    empty = torch.zeros(0, dtype=torch.int64)
    pairs = SparseExpressions(torch.zeros(count + 1, dtype=torch.int64), empty, torch.zeros(0), torch.zeros(0, 10))
    camera = Camera((100.0, 100.0, 32.0, 32.0), torch.eye(3, 4), 64, 64)
    return Avatar(
        name="everywhere",
        head=head,
        attachment=everywhere(head),
        neutral={name: torch.zeros(count, width) for name, width in NEUTRAL.items()},
        expressions=pairs,
        deltas=torch.zeros(0, DELTA_WIDTH),
        delta_scale=torch.ones(DELTA_WIDTH),
        light=Light(torch.ones(3, *SIZE)),
        portrait=Portrait(camera, torch.zeros(1, 3), torch.zeros(3)),
    )


def diffuse(head: HeadModel, albedo: float) -> PosedGaussians:
    means = everywhere(head).interpolate(head.vertices, head.faces)
    count = len(means)
    return PosedGaussians(
        means=means,
        rotations=torch.tensor([[1.0, 0.0, 0.0, 0.0]]).repeat(count, 1),
        scales=torch.full((count, 3), 1e-3),
        opacities=torch.ones(count, 1),
        albedo=torch.full((count, 3), albedo),
        roughness=torch.full((count, 1), 0.5),
        specular_albedo=torch.zeros(count, 3),
    )


def traced(head: HeadModel, visibility: bool = True) -> Surface:
    everything = torch.ones(head.vertex_count, dtype=torch.bool)
    return SurfaceTracer(head.faces, everything, SIZE).trace(head.vertices, visibility)


def lit(
    head: HeadModel, envmap: torch.Tensor, albedo: float = 0.5, visibility: bool = True, one_bounce: bool = True
) -> torch.Tensor:
    """Radiance [F, 3] of a diffuse Gaussian on every face."""
    avatar, gaussians, surface = avatar_of(head), diffuse(head, albedo), traced(head, visibility)
    attached = attach_learned(avatar, gaussians.means, gaussians.rotations, surface, FROM_THE_FRONT)
    seen = visible_to(avatar.attachment, head.faces.int(), surface.visibility)
    return light_gaussians(gaussians, attached, seen, envmap, None, one_bounce).radiance


def test_open_surface_in_a_white_furnace_shows_its_albedo(patch: HeadModel):
    radiance = lit(patch, torch.ones(3, *SIZE), 0.5)
    torch.testing.assert_close(radiance, torch.full_like(radiance, 0.5), rtol=QUADRATURE, atol=0)


def roofed(patch: HeadModel) -> HeadModel:
    """The patch and, 2 cm above its right half, a sheet."""
    sheet = torch.tensor([[0.0, -0.06, 0.12], [0.06, -0.06, 0.12], [0.06, 0.06, 0.12], [0.0, 0.06, 0.12]])
    count = patch.vertex_count
    faces = torch.cat([patch.faces, count + torch.tensor([[0, 1, 2], [0, 2, 3]])])
    return dataclasses.replace(patch, vertices=torch.cat([patch.vertices, sheet]), faces=faces)


def test_sheet_casts_a_shadow_that_no_visibility_leaves_out(patch: HeadModel):
    head = roofed(patch)
    envmap = torch.zeros(3, *SIZE).flatten(1)
    envmap[:, (texel_directions(*SIZE) @ torch.tensor([0.0, 0.0, 1.0])).argmax()] = 50.0
    envmap = envmap.view(3, *SIZE)
    centre = head.vertices[patch.faces].mean(1)
    under, beside = centre[:, 0] > 0.012, centre[:, 0] < -0.012
    shadowed = lit(head, envmap)[: len(patch.faces), 0]
    assert float(shadowed[under].max()) == pytest.approx(0, abs=1e-6)
    assert float(shadowed[beside].min()) > 0.1
    open_ = lit(head, envmap, visibility=False)[: len(patch.faces), 0]
    assert float(open_[under].min()) > 0.1


def test_bounce_follows_its_closed_form(patch: HeadModel):
    head = roofed(patch)
    white = torch.ones(3, *SIZE)
    direct = lit(head, white, 0.8, one_bounce=False)[: len(patch.faces)]
    filled = lit(head, white, 0.8)[: len(patch.faces)]
    occlusion = 1 - direct / 0.8  # in a white furnace what is missing is what is blocked
    expected = direct / (1 - 0.8 * occlusion)
    torch.testing.assert_close(filled, expected, rtol=0.02, atol=1e-3)  # quadrature, and occlusion blended by vertex
    assert float((filled - direct).max()) > 0.1


def test_needed_vertices_alone_are_traced(patch: HeadModel):
    needed = torch.zeros(patch.vertex_count, dtype=torch.bool)
    needed[:10] = True
    surface = SurfaceTracer(patch.faces, needed, SIZE).trace(patch.vertices)
    assert bool((surface.visibility[:10] != 0).any(1).all())
    assert bool((surface.visibility[10:] == 0).all())


def test_refit_equals_a_fresh_trace(patch: HeadModel):
    everything = torch.ones(patch.vertex_count, dtype=torch.bool)
    bent = patch.vertices + 0.5 * patch.expression_basis[0]
    used = SurfaceTracer(patch.faces, everything, SIZE)
    used.trace(patch.vertices)
    assert torch.equal(used.trace(bent).visibility, SurfaceTracer(patch.faces, everything, SIZE).trace(bent).visibility)


def test_a_white_tooth_behind_shut_lips_has_a_finite_radiance_and_gradient():
    albedo = torch.ones(1, 3, requires_grad=True)
    radiance = one_bounce_gain(albedo * 0.0, albedo, torch.ones(1, 1))
    radiance.sum().backward()
    assert torch.equal(radiance, torch.zeros(1, 3))
    assert torch.isfinite(albedo.grad).all()


def test_a_normal_leans_in_the_axes_of_its_gaussian(patch: HeadModel):
    """An offset along a Gaussian's x axis, which a quarter turn about z makes the world's y."""
    surface = traced(patch)
    straight = torch.nn.functional.normalize(everywhere(patch).interpolate(surface.normals, patch.faces), dim=1)
    avatar, flat = avatar_of(patch), diffuse(patch, 0.5)
    avatar.neutral["normal_offset"][:, 0] = 0.4
    quarter = torch.tensor([0.5**0.5, 0.0, 0.0, 0.5**0.5]).expand(avatar.count, 4)
    gaussians = dataclasses.replace(flat, rotations=quarter)
    offset = torch.tensor([0.0, 0.4, 0.0]).expand(avatar.count, 3)
    normals = attach_learned(avatar, gaussians.means, gaussians.rotations, surface, FROM_THE_FRONT).normals
    torch.testing.assert_close(normals, torch.nn.functional.normalize(straight + offset, dim=1), atol=1e-6, rtol=0)
    assert float((normals * straight).sum(1).mean()) == pytest.approx((1 + 0.4**2) ** -0.5, abs=0.02)


def test_no_gradient_turns_a_gaussian_for_the_sake_of_its_normal(patch: HeadModel):
    avatar, flat = avatar_of(patch), diffuse(patch, 0.5)
    avatar.neutral["normal_offset"] = torch.full((avatar.count, 3), 0.1).requires_grad_()
    gaussians = dataclasses.replace(flat, rotations=flat.rotations.requires_grad_())
    attached = attach_learned(avatar, gaussians.means, gaussians.rotations, traced(patch), FROM_THE_FRONT)
    attached.normals[:, 0].sum().backward()
    assert flat.rotations.grad is None
    assert float(avatar.neutral["normal_offset"].grad.abs().min()) > 0
