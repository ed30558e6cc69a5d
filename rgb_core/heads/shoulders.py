"""A head model whose bust goes on to the shoulders, for people who are to be modelled with their clothes."""

import dataclasses
from itertools import pairwise

import torch
from torch import Tensor
from torch.nn.functional import normalize

from ..errors import InputError
from .model import HeadModel
from .pose import NECK, TORSO
from .regions import Region

_RINGS = 4
_SIDEWAYS, _DOWN = 0.016, 0.007  # metres a ring: a shoulder slopes by 24 degrees
_FRONT = 0.006  # metres a ring, down the chest and the back
_BEHIND = 1.0  # metres from the torso to its joint


def with_shoulders(head: HeadModel) -> HeadModel:
    """The head with rings of triangles around the lower edge of its neck, 64 mm to the sides and 24 mm downwards, and
    with a joint of the torso, which carries what the root did.

    New vertices come after the others, move as the edge's vertex that they continue does, and are of the neck. There
    are no texture coordinates. The joint is the last one and lies a metre behind the root, so that a turn by a
    milliradian shifts the torso by a millimetre: it needs a path of its own, because necks lean as well as turn.

    Raises:
        InputError: when the head has no neck joint, which a torso at rest needs, or no bust with one lower edge.
    """
    if NECK not in head.joint_names:
        raise InputError(f"--torso keep needs a head model with a joint called '{NECK}'; {head.name} has none")
    edge = lower_edge(head)
    rings = [edge]
    places = head.vertices[edge]
    middle = places.mean(0)
    outward = normalize((places - middle) * torch.tensor([1.0, 0.0, 1.0]), dim=1)
    sideways = outward[:, :1].square()
    step = sideways * (_SIDEWAYS * outward) + _down(sideways * _DOWN + (1 - sideways) * _FRONT)
    vertices, faces, count = [head.vertices], [head.faces], head.vertex_count
    for number in range(1, _RINGS + 1):
        vertices.append(places + number * step)
        rings.append(count + torch.arange(len(edge)))
        count += len(edge)
    for inner, outer in pairwise(rings):
        a, b, c, d = inner, inner.roll(-1), outer.roll(-1), outer
        faces += [torch.stack([b, a, d], 1), torch.stack([b, d, c], 1)]
    source = edge.repeat(_RINGS)

    def continued(values: Tensor, axis: int) -> Tensor:
        return torch.cat([values, values.index_select(axis, source)], axis)

    extended = _with_torso(head)
    regressor = extended.joint_regressor
    if regressor is not None:
        regressor = torch.cat([regressor, regressor.new_zeros(len(regressor), len(source))], 1)
    return dataclasses.replace(
        extended,
        vertices=torch.cat(vertices),
        faces=torch.cat(faces),
        shape_basis=continued(head.shape_basis, 1),
        expression_basis=continued(head.expression_basis, 1),
        pose_basis=continued(extended.pose_basis, 1),
        skin_weights=continued(extended.skin_weights, 0),
        region=continued(head.region, 0),
        joint_regressor=regressor,
        uv=None,
        uv_faces=None,
    )


def _with_torso(head: HeadModel) -> HeadModel:
    """The head with a joint behind its root that has the root's skin weights."""
    root = int((head.joint_parents < 0).nonzero()[0])
    weights = torch.cat([head.skin_weights, head.skin_weights[:, root : root + 1]], 1)
    weights[:, root] = 0
    front, back = int(head.vertices[:, 2].argmax()), int(head.vertices[:, 2].argmin())
    share = _BEHIND / float(head.vertices[front, 2] - head.vertices[back, 2])
    away = share * (head.vertices[back] - head.vertices[front])
    regressor = head.joint_regressor
    if regressor is not None:
        row = regressor[root].clone()
        row[back] += share
        row[front] -= share
        regressor = torch.cat([regressor, row[None]])
    basis = head.pose_basis
    return dataclasses.replace(
        head,
        joint_names=(*head.joint_names, TORSO),
        joint_parents=torch.cat([head.joint_parents, torch.tensor([root])]),
        joint_positions=torch.cat([head.joint_positions, head.joint_positions[root : root + 1] + away]),
        joint_regressor=regressor,
        skin_weights=weights,
        pose_basis=torch.cat([basis, basis.new_zeros(9 if len(basis) else 0, *basis.shape[1:])]),
    )


def lower_edge(head: HeadModel) -> Tensor:
    """[N] the vertices of the open edge of the neck, in the order in which the triangles beside it name them.

    Raises:
        InputError: when there is none, or it is no single loop.
    """
    sides = torch.cat([head.faces[:, [0, 1]], head.faces[:, [1, 2]], head.faces[:, [2, 0]]])
    _, inverse, times = sides.sort(1).values.unique(dim=0, return_inverse=True, return_counts=True)
    necked = (head.region[sides] == Region.NECK).all(1)
    following = dict(sides[(times[inverse] == 1) & necked].tolist())
    loop = list(following)[:1]
    while loop and following.get(loop[-1]) not in (None, loop[0]):
        loop.append(following[loop[-1]])
        if len(loop) > len(following):
            break
    if len(loop) < 3 or len(loop) != len(following) or following[loop[-1]] != loop[0]:
        raise InputError(f"--torso keep needs a head model whose neck ends in one open edge; {head.name} does not")
    return torch.tensor(loop)


def _down(metres: Tensor) -> Tensor:
    """[N, 3] of [N, 1]."""
    return metres * torch.tensor([0.0, -1.0, 0.0])
