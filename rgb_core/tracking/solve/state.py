"""The unknowns of a clip, and how the points of a rig move in the picture with them."""

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from ...rotations import axis_angle_to_matrix
from .rig import Rig


@dataclass
class State:
    """All unknowns: a rotation vector [N, 3] after `base` [3, 3], position [N, 3] in camera space, free joints
    [N, F, 3], expression [N, E], identity [S], log focal length []."""

    base: Tensor
    rotation: Tensor
    position: Tensor
    joints: Tensor
    expression: Tensor
    shape: Tensor
    log_focal: Tensor

    def rotations(self) -> Tensor:
        """[N, 3, 3] from the head to the camera."""
        return axis_angle_to_matrix(self.rotation) @ self.base

    def local(self) -> Tensor:
        """[N, P]: rotation, position, joints, expression of every frame in one row."""
        return torch.cat([self.rotation, self.position, self.joints.flatten(1), self.expression], 1)

    def shared(self) -> Tensor:
        """[G]: identity and log focal length."""
        return torch.cat([self.shape, self.log_focal[None]])

    def replaced(self, local: Tensor, shared: Tensor) -> "State":
        """The state with other values of `local` and `shared`."""
        joints = self.joints[0].numel()
        rotation, position, turned, expression = local.split([3, 3, joints, local.shape[1] - 6 - joints], 1)
        return State(
            self.base, rotation, position, turned.reshape(self.joints.shape), expression, shared[:-1], shared[-1]
        )


class Sighted(NamedTuple):
    """Points in the picture."""

    pixels: Tensor
    """[B, L, 2] from the principal point, float64."""
    depth: Tensor
    """[B, L] metres."""
    jacobian: Tensor
    """[B, L, 2, P + G] pixels per unknown, float32, which is enough for a step."""


def project(rig: Rig, state: State, rows: slice, stray: Tensor | float = 0.0) -> tuple[Tensor, Tensor]:
    """Pixels [B, L, 2] from the principal point and camera points [B, L, 3] of some frames.

    Args:
        stray: [B, L, 3] metres in the head's frame that are added to the rig's points.
    """
    points = rig.points(state.expression[rows], state.joints[rows], state.shape) + stray
    camera = points @ state.rotations()[rows].mT + state.position[rows, None]
    return state.log_focal.exp() * camera[..., :2] / camera[..., 2:], camera


def project_with_derivatives(rig: Rig, state: State, rows: slice, stray: Tensor | float = 0.0) -> Sighted:
    """The same with derivatives by all unknowns."""
    found = rig.derivatives(state.expression[rows], state.joints[rows], state.shape)
    rotation = state.rotations()[rows]
    turned = (found.points + stray) @ rotation.mT
    camera = turned + state.position[rows, None]
    focal = state.log_focal.exp()
    depth = camera[..., 2:]
    pixels = focal * camera[..., :2] / depth
    flat = torch.eye(2, dtype=torch.float64).expand(*camera.shape[:2], 2, 2) * (focal / depth)[..., None]
    by_camera = torch.cat([flat, (-pixels / depth)[..., None]], -1)  # [B, L, 2, 3]
    by_rotation = by_camera @ (-_cross(turned) @ _left_jacobian(state.rotation[rows])[:, None])
    by_head = by_camera @ rotation[:, None]
    # One product per point for all frames, not one per point and frame.
    turned_basis = (by_head @ found.linear).float().permute(1, 0, 2, 3).flatten(1, 2)
    by_basis = (turned_basis @ rig.basis).unflatten(1, (-1, 2)).permute(1, 0, 2, 3)
    ahead = torch.cat([by_rotation, by_camera, by_head @ found.joints], -1).float()
    return Sighted(pixels, depth[..., 0], torch.cat([ahead, by_basis, pixels[..., None].float()], -1))


def _cross(vectors: Tensor) -> Tensor:
    """[..., 3, 3] matrices of the cross product with vectors [..., 3]."""
    x, y, z = vectors.unbind(-1)
    zero = torch.zeros_like(x)
    return torch.stack([zero, -z, y, z, zero, -x, -y, x, zero], -1).unflatten(-1, (3, 3))


def _left_jacobian(rotation: Tensor) -> Tensor:
    """[..., 3, 3] left Jacobian of SO(3): exp(a + d) = exp(J d) exp(a) to first order (Chirikjian)."""
    angle = rotation.norm(dim=-1)[..., None, None].clamp_min(1e-6)
    cross = _cross(rotation)
    eye = torch.eye(3, dtype=rotation.dtype)
    return eye + (1 - angle.cos()) / angle**2 * cross + (angle - angle.sin()) / angle**3 * (cross @ cross)
