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
from ..heads.regions import Region
from ..images import srgb_to_linear
from ..rotations import matrix_to_quaternion
from ..scene import Light
from .config import GaussianConfig
from .frames import TrainingFrames

_OPACITY, _ROUGHNESS, _SPECULAR = 0.7, 0.5, 0.35
_FLATNESS = 0.4
_COLOUR_FRAMES = 16
_FACING = 0.3
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
            "specular": materials.raw_from_unit(_SPECULAR).expand(count, 1).clone(),
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


def colour_from_frames(avatar: Avatar, frames: TrainingFrames, skin_luminance: float) -> float:
    """Set the albedo to what frames spread over the clip show at every Gaussian, and return the grey light that
    explains it.

    The level of the light (radiance) makes the mean of the skin's albedo over all channels `skin_luminance`.

    Raises:
        InputError: when hardly any Gaussian falls inside the matte of any frame.
    """
    total = torch.zeros_like(avatar.neutral["position"])
    count, openness = torch.zeros_like(total[:, :1]), torch.zeros_like(total[:, :1])
    for index in torch.linspace(0, len(frames) - 1, min(_COLOUR_FRAMES, len(frames))).round().int().tolist():
        colour, seen, occlusion = _observe(avatar, frames, index)
        total += torch.where(seen, colour, 0.0)
        openness += torch.where(seen, 1 - occlusion, 0.0)
        count += seen
    known = count[:, 0] > 0
    if int(known.sum()) < 0.02 * avatar.count:
        raise InputError(
            "the head model hardly ever falls on the matte of the frames: the camera, the head pose or the units of "
            "the dataset do not match its pictures"
        )
    colour = total / count.clamp_min(1)
    shade = (openness / count.clamp_min(1)).clamp_min(0.2)
    region = avatar.region()
    skin = known & (region == Region.SKIN)
    reference = skin if bool(skin.any()) else known
    level = float((colour / shade)[reference].mean() / skin_luminance)
    albedo = colour / shade / level
    for code in region.unique().tolist():
        here = region == code
        source = here & known
        albedo[here & ~known] = albedo[source if bool(source.any()) else reference].mean(0)
    avatar.neutral["albedo"] = materials.raw_from_unit(albedo.clamp(0.02, 0.95))
    return level


def _observe(avatar: Avatar, frames: TrainingFrames, index: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Linear colours [P, 3] under the Gaussians of a frame, which of them it sees [P, 1], and their occlusion."""
    inputs, camera = frames.inputs(index), frames.camera(index)
    means = avatar.pose(inputs.expression, inputs.joints, inputs.transforms).means
    pixels, depth = camera.project(means)
    column, row = pixels.floor().long().unbind(1)
    inside = (depth > 0) & (column >= 0) & (column < camera.width) & (row >= 0) & (row < camera.height)
    column, row = column.clamp(0, camera.width - 1), row.clamp(0, camera.height - 1)
    normals = avatar.attachment.interpolate(inputs.normals, avatar.head.faces)
    view = torch.nn.functional.normalize(inputs.eye - means, dim=1)
    seen = inside & ((normals * view).sum(1) > _FACING) & (inputs.alpha[row, column] > 0.95)
    occlusion = torch.zeros_like(means[:, :1])
    if inputs.occlusion is not None:
        occlusion = avatar.attachment.interpolate(inputs.occlusion, avatar.head.faces)
    return srgb_to_linear(inputs.image[row, column]), seen[:, None], occlusion
