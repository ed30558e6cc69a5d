"""A first avatar: flat Gaussians on the personalised mesh, without colour."""

import torch
from simple_knn import mean_squared_distance

from ..avatar import CHANNELS, DELTA_WIDTH, Avatar, materials
from ..avatar.attachment import Attachment
from ..avatar.deformation import ExpressionField, largest_growth
from ..avatar.model import bind_expressions
from ..avatar.portrait import Portrait
from ..avatar.sampling import sample_surface
from ..devices import CPU
from ..heads import HeadModel, vertex_normals
from ..heads.regions import Region
from ..rotations import matrix_to_quaternion
from ..scene import Light
from ..tensors import to_device
from .config import GaussianConfig
from .priors import birth_density, usual_roughness, usual_specular

_OPACITY = 0.7
_FLATNESS = 0.4
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
    name: str,
    head: HeadModel,
    field: ExpressionField,
    portrait: Portrait,
    config: GaussianConfig,
    seed: int,
    device: torch.device = CPU,
) -> Avatar:
    """An avatar of about `config.gaussians` uncoloured Gaussians on the neutral mesh of `head`, on the CPU as that is.

    Args:
        device: where their distances are measured and their expressions bound.
    """
    visible = (head.region[head.faces] != Region.OTHER).all(1)
    face_region, vertex_normal = head.region[head.faces[:, 0]], vertex_normals(head.vertices, head.faces)
    # A lid that unfolds must cover the eye: as many Gaussians as its largest area needs.
    density = visible * largest_growth(head) * birth_density(face_region, vertex_normal[head.faces].mean(1)[:, 2])
    face_id, barycentric = sample_surface(head.vertices, head.faces, config.gaussians, seed, density)
    attachment = Attachment(face_id, barycentric)
    position = attachment.interpolate(head.vertices, head.faces)
    spacing = mean_squared_distance(position.to(device)).to(CPU).clamp_min(1e-10).sqrt()
    normals, region = attachment.interpolate(vertex_normal, head.faces), face_region[face_id]
    count = len(position)
    scale = spacing[:, None] * torch.tensor([1.0, 1.0, _FLATNESS])
    rotation = _upright(normals)
    pairs = to_device(bind_expressions(*to_device((head, field, attachment, position, rotation), device)), CPU)
    return Avatar(
        name=name,
        head=head,
        attachment=attachment,
        neutral={
            "position": position,
            "rotation": rotation,
            "log_scale": scale.log(),
            "opacity": materials.raw_from_unit(_OPACITY).expand(count, 1).clone(),
            "albedo": torch.zeros(count, 3),
            "roughness": materials.raw_from_roughness(usual_roughness(region)),
            "specular": materials.raw_from_unit(usual_specular(region)),
            "normal_offset": torch.zeros(count, 3),
        },
        expressions=pairs,
        deltas=torch.zeros(len(pairs.expression), DELTA_WIDTH),
        delta_scale=torch.tensor([v for k, v in _DELTA_SCALE.items() for _ in range(CHANNELS[k])]),
        light=Light(torch.zeros(3, config.light_height, 2 * config.light_height)),
        portrait=portrait,
        antialias=config.antialias,
        one_bounce=config.one_bounce,
        traced_bounce=config.traced_bounce,
    )


def _upright(normals: torch.Tensor) -> torch.Tensor:
    """Quaternions [P, 4] that turn the z axis onto `normals`, so that the flat axis of a Gaussian is its third."""
    z = torch.nn.functional.normalize(normals, dim=1)
    helper = torch.where(z[:, :1].abs() > 0.9, torch.tensor([0.0, 1.0, 0.0]), torch.tensor([1.0, 0.0, 0.0]))
    x = torch.nn.functional.normalize(torch.linalg.cross(helper, z), dim=1)
    return matrix_to_quaternion(torch.stack([x, torch.linalg.cross(z, x), z], dim=2))
