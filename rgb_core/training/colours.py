"""The first colours: albedos and a coarse light that explain what frames spread over the clip show."""

from typing import NamedTuple

import torch
from diff_envshade import texel_directions

from ..avatar import Avatar, materials
from ..errors import InputError
from ..heads.regions import UNCHANGING, Region, in_regions
from ..images import srgb_to_linear
from ..scene.harmonics import light_basis
from .frames import TrainingFrames
from .level import Level, SkinPrior
from .light import LightParameters, mean_radiance

_FRAMES = 16
_FACING = 0.3  # least cosine to the camera of what counts as seen
_MATT = 0.6  # the same where gloss, which grows towards grazing angles, hardly counts
_LEAST_OPENNESS, _LEAST_INNER_OPENNESS = 0.2, 0.6  # lids and lips block less of what is seen than the mesh says
_LEAST_SEEN = 0.02  # share of the Gaussians
_ROUNDS = 4
_RIDGE = 0.1  # of the mean light, against what a turning head hardly shows
_LEAST_IRRADIANCE = 0.1  # of the mean
_DIRECTIONS = (16, 32)
_ALBEDO_RANGE = (0.005, 0.95)
_COEFFICIENTS = 9


class View(NamedTuple):
    """The Gaussians in one frame, or with a first dimension in several."""

    colour: torch.Tensor
    """[P, 3] linear, of the pixel."""
    seen: torch.Tensor
    """[P, 1] bool."""
    matt: torch.Tensor
    """[P, 1] bool, seen from where gloss hardly counts."""
    openness: torch.Tensor
    """[P, 1] share of the hemisphere that the head does not block."""
    normals: torch.Tensor
    """[P, 3] in the axes of the light's map."""


def colour_from_frames(avatar: Avatar, frames: TrainingFrames, light: LightParameters, prior: SkinPrior) -> None:
    """Set the albedo of every Gaussian and the light to ones that explain what the frames show, at the most likely
    level.

    Raises:
        InputError: when hardly any Gaussian falls inside the matte of any frame.
    """
    indices = torch.linspace(0, len(frames) - 1, min(_FRAMES, len(frames))).round().int().tolist()
    views = View(*map(torch.stack, zip(*(_observe(avatar, frames, index) for index in indices), strict=True)))
    known = views.seen.any(0)[:, 0]
    if int(known.sum()) < _LEAST_SEEN * avatar.count:
        raise InputError(
            "the head model hardly ever falls on the matte of the frames: the camera, the head pose or the units of "
            "the dataset do not match its pictures"
        )
    region = avatar.region()
    skin = known & (region == Region.SKIN)
    reference = skin if bool(skin.any()) else known
    found = coarse_light(View(*(values[:, reference] for values in views)))
    directions = texel_directions(*_DIRECTIONS, device=region.device)
    light.start_from(directions, lit_by(found, directions))

    inner = in_regions(region, UNCHANGING)[:, None]
    openness = views.openness.maximum(torch.where(inner, _LEAST_INNER_OPENNESS, _LEAST_OPENNESS))
    albedo = _explained(views.colour, views.seen * openness * lit_by(found, views.normals))
    for code in region.unique().tolist():
        here = region == code
        source = here & known
        albedo[here & ~known] = albedo[source if bool(source.any()) else reference].mean(0)
    likely = Level.of(region, prior).most_likely(albedo, mean_radiance(light.envmap()))
    factor = likely.log_factor.exp()
    light.scale(1 / factor)
    avatar.neutral["albedo"] = materials.raw_from_unit((albedo * factor).clamp(*_ALBEDO_RANGE))


def coarse_light(views: View) -> torch.Tensor:
    """Harmonics [9, 3] of the irradiance, of mean 1 in every channel, that explains [F, S] views of an even surface.

    Colour = albedo * openness * irradiance(normal), solved for irradiance and albedo in turn, from an even albedo.
    """
    basis = light_basis(views.normals.reshape(-1, 3)).view(*views.normals.shape[:2], _COEFFICIENTS)
    weight = views.matt * views.openness.clamp_min(_LEAST_OPENNESS)
    albedo = torch.ones_like(views.colour[0])
    ridge = _RIDGE * torch.eye(_COEFFICIENTS, device=basis.device)
    ridge[0, 0] = 0
    for _ in range(_ROUNDS):
        lit = basis[..., None] * (weight * albedo)[:, :, None]  # [F, S, 9, 3]
        squares = torch.einsum("fsic,fsjc->cij", lit, lit)
        size = squares[:, 0, 0]
        wanted = torch.einsum("fsic,fsc->ci", lit, views.colour * views.matt)
        found = torch.linalg.solve(squares + size[:, None, None] * ridge, wanted).T
        found = found / (found[0].clamp_min(1e-6) * basis[0, 0, 0])
        albedo = _explained(views.colour, weight * lit_by(found, views.normals))
    return found


def lit_by(found: torch.Tensor, normals: torch.Tensor) -> torch.Tensor:
    """Irradiance of harmonics [9, 3] at `normals` [..., 3], at least a tenth of its mean."""
    return (light_basis(normals.reshape(-1, 3)) @ found).view(normals.shape).clamp_min(_LEAST_IRRADIANCE)


def _explained(colour: torch.Tensor, light: torch.Tensor) -> torch.Tensor:
    """Albedo [P, 3] that explains colours [F, P, 3] under `light` [F, P, 3] best; 0 where no light is."""
    return (colour * light).sum(0) / light.square().sum(0).clamp_min(1e-6)


def _observe(avatar: Avatar, frames: TrainingFrames, index: int) -> View:
    """What a frame shows of the Gaussians."""
    inputs, camera = frames.inputs(index), frames.camera(index)
    means = avatar.pose(inputs.expression, inputs.joints, inputs.transforms).means
    pixels, depth = camera.project(means)
    column, row = pixels.floor().long().unbind(1)
    inside = (depth > 0) & (column >= 0) & (column < camera.width) & (row >= 0) & (row < camera.height)
    column, row = column.clamp(0, camera.width - 1), row.clamp(0, camera.height - 1)
    normals = avatar.attachment.interpolate(inputs.normals, avatar.head.faces)
    view = torch.nn.functional.normalize(inputs.eye - means, dim=1)
    facing = (normals * view).sum(1, keepdim=True)
    seen = (inside & (inputs.alpha[row, column] > 0.95))[:, None] & (facing > _FACING)
    openness = torch.ones_like(facing)
    if inputs.occlusion is not None:
        openness = 1 - avatar.attachment.interpolate(inputs.occlusion, avatar.head.faces)
    if inputs.light_to_world is not None:
        normals = normals @ inputs.light_to_world
    return View(srgb_to_linear(inputs.image[row, column]), seen, seen & (facing > _MATT), openness, normals)
