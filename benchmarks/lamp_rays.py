"""The lamp of a light map as directions beside its texels, for `relit_surface.py`."""

import math
from typing import NamedTuple

import torch
from diff_envshade import texel_directions, texel_solid_angles
from diff_envshade.reference import specular_lobe
from torch import Tensor
from torch.nn.functional import normalize
from torchoptixext_visibility import MeshBvh

from rgb_core.scene.lamps import main_direction
from rgb_core.scene.light import resample

ROWS = 256  # that a map is read at
RADIUS = math.radians(10.0)  # around a lamp's direction
CELLS = 8  # a side of the square about the lamp in which directions are gathered
LEAVE_SURFACE = 5e-4  # metres above a point at which its rays start


class Lamp(NamedTuple):
    """A light in two parts."""

    rest: Tensor
    """[3, H, W] the map without its lamp."""
    directions: Tensor
    """[N, 3] unit, towards parts of the lamp."""
    energy: Tensor
    """[N, 3] radiance times solid angle of each part."""

    def seen(self, bvh: MeshBvh, points: Tensor, normals: Tensor) -> Tensor:
        """[P, N] 1 where a point sees that part of the lamp."""
        shape = len(points), len(self.directions), 3
        origins = (points + LEAVE_SURFACE * normals)[:, None].expand(shape).reshape(-1, 3).contiguous()
        towards = self.directions.expand(shape).reshape(-1, 3).contiguous()
        return (~bvh.occluded(origins, towards)).view(shape[:2]).float()

    def shine(self, seen: Tensor, normals: Tensor, views: Tensor, roughness: float) -> tuple[Tensor, Tensor]:
        """Irradiance over pi and specular reflection [P, 3] of points [P, 3], as `diff_envshade.integrate` has them."""
        facing = normals @ self.directions.T
        lobe = specular_lobe(
            facing,
            (normals * views).sum(1, keepdim=True),
            views @ self.directions.T,
            torch.ones(len(self.directions)),
            torch.ones(len(views), 1),
            torch.full((len(views), 1), roughness),
        )
        return (seen * facing.relu() / math.pi) @ self.energy, (seen * lobe) @ self.energy


def split_lamp(radiance: Tensor) -> Lamp | None:
    """A map's main lamp, what it has above its surroundings, apart from the rest; None where there is none."""
    fine = resample(radiance, ROWS, 2 * ROWS)
    middle = main_direction(fine)
    if middle is None:
        return None
    directions, texels = texel_directions(ROWS, 2 * ROWS), fine.flatten(1)
    from_middle = (directions @ middle).clamp(-1, 1).acos()
    around = (from_middle > RADIUS) & (from_middle < 1.5 * RADIUS)
    near = from_middle <= RADIUS
    excess = (texels - texels[:, around].median(1, keepdim=True).values).clamp_min(0) * near
    helper = torch.eye(3)[middle.abs().argmin()]
    right = normalize(torch.linalg.cross(helper, middle), dim=0)
    across = directions @ torch.stack([right, torch.linalg.cross(middle, right)]).T / math.sin(RADIUS)
    cell = ((across + 1) * (CELLS / 2)).long().clamp(0, CELLS - 1) @ torch.tensor([CELLS, 1])
    energy = (excess * texel_solid_angles(ROWS, 2 * ROWS)).T
    gathered = torch.zeros(CELLS * CELLS, 3).index_add_(0, cell, energy)
    leaning = torch.zeros(CELLS * CELLS, 3).index_add_(0, cell, energy.mean(1, keepdim=True) * directions)
    lit = gathered.sum(1) > 0
    return Lamp((texels - excess).view_as(fine), normalize(leaning[lit], dim=1), gathered[lit])
