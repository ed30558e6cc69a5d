"""The avatar as the tables of `gaussian_blendshapes`: what rendering without gradients reads, in half precision."""

import torch
from gaussian_blendshapes import GaussianTable, HeadTable, pack_gaussians, pack_head

from ..heads import HeadModel
from .materials import MIN_ROUGHNESS
from .model import CHANNELS, Avatar


def pack_avatar(avatar: Avatar) -> tuple[HeadTable, GaussianTable]:
    """The tables of an avatar, on its device; poses agree with `Avatar.pose` within the rounding of the deltas."""
    head = avatar.head
    pairs = avatar.expressions
    learned = avatar.deltas * avatar.delta_scale * pairs.consistency[:, None]
    deltas = dict(zip(CHANNELS, learned.split(list(CHANNELS.values()), dim=1), strict=True))
    deltas["position"] = deltas["position"] + pairs.initial[:, :3]
    deltas["turn"] = pairs.initial[:, 3:7]
    deltas["log_scale"] = deltas["log_scale"] + pairs.initial[:, 7:]
    faces, attachment = head.faces, avatar.attachment
    correctives = [attachment.interpolate(basis.float(), faces) for basis in head.pose_basis]
    table = pack_gaussians(
        neutral=avatar.neutral,
        offsets=pairs.offsets,
        expression=pairs.expression,
        deltas=deltas,
        corrective=torch.stack(correctives) if correctives else avatar.deltas.new_zeros(0, avatar.count, 3),
        skin_weights=attachment.interpolate(head.skin_weights, faces),
        corners=faces[attachment.face_id],
        barycentric=attachment.barycentric,
        normal_offset=avatar.neutral["normal_offset"],
        least_roughness=MIN_ROUGHNESS,
    )
    return _pack_head(head), table


def _pack_head(head: HeadModel) -> HeadTable:
    joint_rest, joint_basis = head.joint_positions, None
    if head.joint_regressor is not None:
        joint_rest = head.joint_regressor @ head.vertices
        joint_basis = torch.einsum("jv,evc->ejc", head.joint_regressor, head.expression_basis.float())
    return pack_head(
        head.vertices,
        head.faces,
        head.expression_basis.float(),
        head.pose_basis.float(),
        head.skin_weights,
        joint_rest,
        head.joint_parents,
        joint_basis,
    )
