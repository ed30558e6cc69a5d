"""A first avatar: flat Gaussians on the personalised mesh, coloured by what the frames show there."""

import torch
from simple_knn import mean_squared_distance

from ..avatar import CHANNELS, DELTA_WIDTH, Avatar, materials
from ..avatar.attachment import Attachment
from ..avatar.deformation import ExpressionField, largest_growth
from ..avatar.model import bind_expressions
from ..avatar.portrait import Portrait
from ..avatar.sampling import sample_surface
from ..errors import InputError
from ..heads import HeadModel, vertex_normals
from ..heads.regions import UNCHANGING, Region, in_regions
from ..images import srgb_to_linear
from ..rotations import matrix_to_quaternion
from ..scene import Light
from ..scene.harmonics import harmonics
from .config import GaussianConfig
from .frames import TrainingFrames
from .level import Level
from .light import LightParameters, mean_radiance

_OPACITY, _ROUGHNESS, _SPECULAR = 0.7, 0.5, 0.35
_FLATNESS = 0.4
_COLOUR_FRAMES = 16
_FACING = 0.3
_MATT = 0.6  # cosine to the camera from which gloss hardly counts
_COARSE_ROUNDS = 4
_LEAST_IRRADIANCE = 0.1
# Per-step change of every delta channel relative to `learning_rates.deltas`: what 3D Gaussian Blendshapes found for
# geometry, and appearance rates in place of its spherical harmonics.
_DELTA_SCALE = {
    "position": 2e-3,
    "rotation": 0.1,
    "log_scale": 0.5,
    "opacity": 0.05,
    "albedo": 2.0,
    "roughness": 0.1,
    "specular": 0.1,
}


def initial_avatar(
    name: str, head: HeadModel, field: ExpressionField, portrait: Portrait, config: GaussianConfig, seed: int
) -> Avatar:
    """An avatar of about `config.gaussians` uncoloured Gaussians on the neutral mesh of `head`."""
    visible = (head.region[head.faces] != Region.OTHER).all(1)
    # A lid that unfolds must cover the eye: as many Gaussians as its largest area needs.
    density = visible * largest_growth(head)
    face_id, barycentric = sample_surface(head.vertices, head.faces, config.gaussians, seed, density)
    attachment = Attachment(face_id, barycentric)
    position = attachment.interpolate(head.vertices, head.faces)
    spacing = mean_squared_distance(position).clamp_min(1e-10).sqrt()
    normals = attachment.interpolate(vertex_normals(head.vertices, head.faces), head.faces)
    count = len(position)
    scale = spacing[:, None] * torch.tensor([1.0, 1.0, _FLATNESS])
    rotation = _upright(normals)
    pairs = bind_expressions(head, field, attachment, position, rotation)
    return Avatar(
        name=name,
        head=head,
        attachment=attachment,
        neutral={
            "position": position,
            "rotation": rotation,
            "log_scale": scale.log(),
            "opacity": materials.raw_from_unit(_OPACITY).expand(count, 1).clone(),
            "albedo": materials.raw_from_unit(config.skin_luminance).expand(count, 3).clone(),
            "roughness": materials.raw_from_roughness(_ROUGHNESS).expand(count, 1).clone(),
            "specular": materials.raw_from_unit(_SPECULAR if config.gloss == "old" else 0.75).expand(count, 1).clone(),
            "normal_offset": torch.zeros(count, 3),
        },
        expressions=pairs,
        deltas=torch.zeros(len(pairs.expression), DELTA_WIDTH),
        delta_scale=torch.tensor([v for k, v in _DELTA_SCALE.items() for _ in range(CHANNELS[k])]),
        light=Light(torch.zeros(3, config.light_height, 2 * config.light_height)),
        portrait=portrait,
        antialias=config.antialias,
        one_bounce=config.one_bounce,
    )


def _upright(normals: torch.Tensor) -> torch.Tensor:
    """Quaternions [P, 4] that turn the z axis onto `normals`, so that the flat axis of a Gaussian is its third."""
    z = torch.nn.functional.normalize(normals, dim=1)
    helper = torch.where(z[:, :1].abs() > 0.9, torch.tensor([0.0, 1.0, 0.0]), torch.tensor([1.0, 0.0, 0.0]))
    x = torch.nn.functional.normalize(torch.linalg.cross(helper, z), dim=1)
    return matrix_to_quaternion(torch.stack([x, torch.linalg.cross(z, x), z], dim=2))


def colour_from_frames(avatar: Avatar, frames: TrainingFrames, light: LightParameters, config: GaussianConfig) -> None:
    """Set the albedo to what frames spread over the clip show at every Gaussian, and the light to one that explains it.

    Raises:
        InputError: when hardly any Gaussian falls inside the matte of any frame.
    """
    indices = torch.linspace(0, len(frames) - 1, min(_COLOUR_FRAMES, len(frames))).round().int().tolist()
    views = [_observe(avatar, frames, index) for index in indices]
    colour, seen, matt, openness, normals = (torch.stack(parts) for parts in zip(*views, strict=True))
    known = seen.any(0)[:, 0]
    if int(known.sum()) < 0.02 * avatar.count:
        raise InputError(
            "the head model hardly ever falls on the matte of the frames: the camera, the head pose or the units of "
            "the dataset do not match its pictures"
        )
    region = avatar.region()
    skin = known & (region == Region.SKIN)
    reference = skin if bool(skin.any()) else known
    inner = in_regions(region, UNCHANGING)[:, None]
    shade = openness.maximum(torch.where(inner, 0.6, 0.2)).expand_as(colour)
    if config.light_start:
        found = coarse_light(
            colour[:, reference], (seen & matt)[:, reference], shade[:, reference], normals[:, reference]
        )
        shade = shade * lit_by(found, normals)
        directions = torch.nn.functional.normalize(
            torch.randn(512, 3, generator=torch.Generator().manual_seed(0)), dim=1
        )
        directions = directions.to(region.device)
        light.start_from(directions, lit_by(found, directions))
    albedo = torch.where(seen, colour * shade, 0.0).sum(0) / torch.where(seen, shade * shade, 0.0).sum(0).clamp_min(
        1e-6
    )
    for code in region.unique().tolist():
        here = region == code
        source = here & known
        albedo[here & ~known] = albedo[source if bool(source.any()) else reference].mean(0)
    if config.likely_level:
        factor, _ = Level.of(region).most_likely(albedo, mean_radiance(light.envmap()))
        factor = factor.exp()
    else:
        factor = config.skin_luminance / albedo[reference].mean().expand(3)
    light.scale(1 / factor)
    avatar.neutral["albedo"] = materials.raw_from_unit((albedo * factor).clamp(0.005, 0.95))


def coarse_light(
    colour: torch.Tensor, seen: torch.Tensor, openness: torch.Tensor, normals: torch.Tensor
) -> torch.Tensor:
    """Harmonics [9, 3] of the irradiance that explains colours [F, S, 3] of a surface that is mostly even.

    Colour = albedo * openness * irradiance(normal), solved for irradiance and albedo in turn, from an even albedo.
    """
    basis = harmonics(normals.reshape(-1, 3), 2).view(*normals.shape[:2], 9)
    weight = torch.where(seen, openness, 0.0)
    albedo = torch.ones_like(colour[0])
    ridge = 1e-3 * torch.eye(9, device=colour.device)
    ridge[0, 0] = 0
    for _ in range(_COARSE_ROUNDS):
        columns = []
        for channel in range(3):
            rows = (basis * (weight[..., channel] * albedo[:, channel])[..., None])[seen[..., 0]]
            target = colour[..., channel][seen[..., 0]]
            columns.append(
                torch.linalg.solve(rows.T @ rows / len(rows) + ridge * albedo.mean() ** 2, rows.T @ target / len(rows))
            )
        found = torch.stack(columns, 1)
        found = found / found[:1].clamp_min(1e-6) / float(basis[0, 0, 0])  # of mean 1 in every channel
        light = weight * lit_by(found, normals)
        albedo = (light * torch.where(seen, colour, 0.0)).sum(0) / light.square().sum(0).clamp_min(1e-6)
    return found


def lit_by(found: torch.Tensor, normals: torch.Tensor) -> torch.Tensor:
    """Irradiance of harmonics [9, 3] at `normals` [..., 3], at least a tenth of its mean."""
    return (harmonics(normals.reshape(-1, 3), 2) @ found).view(normals.shape).clamp_min(_LEAST_IRRADIANCE)


def _observe(avatar: Avatar, frames: TrainingFrames, index: int) -> tuple[torch.Tensor, ...]:
    """Linear colours [P, 3] under the Gaussians of a frame, which of them it sees [P, 1], openness [P, 1], normals."""
    inputs, camera = frames.inputs(index), frames.camera(index)
    means = avatar.pose(inputs.expression, inputs.joints, inputs.transforms).means
    pixels, depth = camera.project(means)
    column, row = pixels.floor().long().unbind(1)
    inside = (depth > 0) & (column >= 0) & (column < camera.width) & (row >= 0) & (row < camera.height)
    column, row = column.clamp(0, camera.width - 1), row.clamp(0, camera.height - 1)
    normals = avatar.attachment.interpolate(inputs.normals, avatar.head.faces)
    view = torch.nn.functional.normalize(inputs.eye - means, dim=1)
    facing = (normals * view).sum(1)
    seen = inside & (facing > _FACING) & (inputs.alpha[row, column] > 0.95)
    occlusion = torch.zeros_like(means[:, :1])
    if inputs.occlusion is not None:
        occlusion = avatar.attachment.interpolate(inputs.occlusion, avatar.head.faces)
    return srgb_to_linear(inputs.image[row, column]), seen[:, None], (facing > _MATT)[:, None], 1 - occlusion, normals
