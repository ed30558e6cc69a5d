"""Light between parts of a head, inside a bowl: every point of a sphere sees all others under the same share."""

import dataclasses
import math

import pytest
import torch
from diff_envshade import texel_directions

from rgb_core.heads import HeadModel
from rgb_core.heads.regions import Region
from rgb_core.shading import Bounce, Surface, SurfaceTracer

SIZE = (16, 32)
ALBEDO = 0.6
ROWS, COLUMNS = 24, 48


@pytest.fixture
def bowl(patch: HeadModel) -> HeadModel:
    """The lower half of a sphere of 10 cm, seen from inside; region skin on the left, lips on the right."""
    latitude = math.pi / 2 * (1 + torch.arange(ROWS + 1) / ROWS)
    longitude = 2 * math.pi * torch.arange(COLUMNS) / COLUMNS
    ring = torch.stack([longitude.cos(), torch.zeros(COLUMNS), longitude.sin()], 1)
    up = torch.tensor([0.0, 1.0, 0.0])
    vertices = (latitude.sin()[:, None, None] * ring + latitude.cos()[:, None, None] * up).reshape(-1, 3)
    row, column = torch.meshgrid(torch.arange(ROWS), torch.arange(COLUMNS), indexing="ij")
    right = (column + 1) % COLUMNS
    a, b = row * COLUMNS + column, row * COLUMNS + right
    quads = torch.stack([a, b + COLUMNS, b, a, a + COLUMNS, b + COLUMNS], -1)
    region = torch.where(vertices[:, 0] > 0, int(Region.LIPS), int(Region.SKIN)).to(torch.uint8)
    return dataclasses.replace(patch, vertices=0.1 * vertices, faces=quads.reshape(-1, 3), region=region)


def inside(head: HeadModel) -> tuple[torch.Tensor, Surface]:
    """bool [V] away from the rim and the pole, where meshes are no spheres, and the traced surface."""
    surface = SurfaceTracer(head.faces, torch.ones(head.vertex_count, dtype=torch.bool), SIZE).trace(head.vertices)
    depth = -head.vertices[:, 1] / 0.1
    return (depth > 0.1) & (depth < 0.97), surface


def received(head: HeadModel, surface: Surface, envmap: torch.Tensor, of_lips: float = ALBEDO) -> torch.Tensor:
    region = torch.tensor([Region.SKIN, Region.LIPS])
    albedo = torch.tensor([[ALBEDO] * 3, [of_lips] * 3])
    return Bounce(head).irradiance(surface, albedo, region, envmap, None)


def test_normals_of_the_bowl_point_inwards(bowl: HeadModel):
    where, surface = inside(bowl)
    inwards = -bowl.vertices / bowl.vertices.norm(dim=1, keepdim=True)
    assert float((surface.normals * inwards).sum(1)[where].min()) > 0.99
    assert float(surface.occlusion[where].mean()) == pytest.approx(0.5, abs=0.03)


def test_a_bowl_in_a_white_furnace_has_the_closed_form_of_its_radiosity(bowl: HeadModel):
    where, surface = inside(bowl)
    found = received(bowl, surface, torch.ones(3, *SIZE))[where]
    # Blocked half of the hemisphere: radiosity a / 2 / (1 - a / 2), half of which arrives.
    expected = 0.5 * (ALBEDO * 0.5) / (1 - ALBEDO * 0.5)
    assert float(found.mean()) == pytest.approx(expected, rel=0.06)
    assert float(found.std()) < 0.06 * expected


def test_one_lamp_that_lights_a_side_reaches_all_of_the_bowl_evenly(bowl: HeadModel):
    where, surface = inside(bowl)
    lamp = torch.zeros(3, SIZE[0] * SIZE[1])
    lamp[:, (texel_directions(*SIZE) @ torch.tensor([0.7, 0.7, 0.0])).argmax()] = 50.0
    found = received(bowl, surface, lamp.view(3, *SIZE))[where, 0]
    left, right = found[bowl.vertices[where, 0] < -0.03], found[bowl.vertices[where, 0] > 0.03]
    assert float(left.mean()) == pytest.approx(float(right.mean()), rel=0.15)


def test_what_a_dark_part_sends_is_dark(bowl: HeadModel):
    where, surface = inside(bowl)
    white = torch.ones(3, *SIZE)
    bright, mixed = received(bowl, surface, white), received(bowl, surface, white, of_lips=0.0)
    assert float((mixed / bright)[where].max()) < 0.95
    black = bowl.region == Region.LIPS
    assert float((mixed / bright)[where & black].mean()) < float((mixed / bright)[where & ~black].mean())


def test_an_open_surface_receives_nothing(patch: HeadModel):
    everything = torch.ones(patch.vertex_count, dtype=torch.bool)
    surface = SurfaceTracer(patch.faces, everything, SIZE).trace(patch.vertices)
    bounce = Bounce(patch)
    skin = torch.full((1, 3), ALBEDO), torch.tensor([Region.SKIN])
    assert float(bounce.irradiance(surface, *skin, torch.ones(3, *SIZE), None).abs().max()) < 0.01
    assert not bounce.seen.any()
