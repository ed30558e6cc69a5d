"""The shading integrals and their gradients on the CPU: tables for the numba kernels, launches, sums over chunks."""

import math

import numpy as np
import torch
from kernel_runtime import as_numpy
from torch import Tensor

from .cpu_kernels import CHUNKS, LANES, ROWS, backward_kernel, forward_kernel
from .envmap import texel_directions, texel_solid_angles
from .visibility import PointVisibility


def forward(
    normal: Tensor,
    view_dir: Tensor,
    roughness: Tensor,
    envmap: Tensor,
    visibility: PointVisibility | None,
    light_to_world: Tensor,
    enable_specular: bool,
) -> tuple[Tensor, Tensor]:
    """E and S [P, 3] of checked arguments; see `ops.integrate`."""
    irradiance, reflection = torch.empty_like(normal), torch.empty_like(normal)
    forward_kernel(
        _light_table(envmap, light_to_world),
        _point_arrays(normal, view_dir, roughness),
        _mesh_arrays(visibility),
        enable_specular,
        irradiance.numpy(),
        reflection.numpy(),
    )
    return irradiance, reflection


def backward(
    grad_irradiance: Tensor,
    grad_reflection: Tensor,
    normal: Tensor,
    view_dir: Tensor,
    roughness: Tensor,
    envmap: Tensor,
    visibility: PointVisibility | None,
    light_to_world: Tensor,
    enable_specular: bool,
    envmap_needs_grad: bool,
) -> tuple[Tensor, Tensor, Tensor, Tensor | None]:
    """Gradients for normal, view_dir, roughness and, where asked for, the map."""
    light = _light_table(envmap, light_to_world)
    grads = torch.empty_like(normal), torch.empty_like(normal), torch.empty_like(roughness)
    shares = np.zeros((CHUNKS if envmap_needs_grad else 0, len(light), 3 * LANES), np.float32)
    backward_kernel(
        light,
        _point_arrays(normal, view_dir, roughness),
        _mesh_arrays(visibility),
        enable_specular,
        (as_numpy(grad_irradiance * (1 / math.pi)), as_numpy(grad_reflection)),
        (grads[0].numpy(), grads[1].numpy(), grads[2].view(-1).numpy()),
        shares,
    )
    if not envmap_needs_grad:
        return *grads, None
    height, width = envmap.shape[1:]
    blocks = torch.from_numpy(shares.sum(axis=0, dtype=np.float64)).view(len(light), 3, LANES)
    texels = blocks.transpose(0, 1).reshape(3, -1)[:, : height * width]
    grad_envmap = texels * texel_solid_angles(height, width, torch.float64)
    return *grads, grad_envmap.float().view(3, height, width)


def _light_table(envmap: Tensor, light_to_world: Tensor) -> np.ndarray:
    """Blocks [ceil(H W / LANES), ROWS * LANES] of rotated directions and radiance times solid angle."""
    height, width = envmap.shape[1:]
    light = texel_directions(height, width, torch.float64) @ light_to_world.double().T
    radiance = envmap.detach().flatten(1).double() * texel_solid_angles(height, width, torch.float64)
    rows = torch.cat((light.T, radiance)).float()
    blocks = -(-height * width // LANES)
    padded = torch.nn.functional.pad(rows, (0, blocks * LANES - height * width))
    return as_numpy(padded.view(ROWS, blocks, LANES).transpose(0, 1).reshape(blocks, ROWS * LANES))


def _point_arrays(normal: Tensor, view_dir: Tensor, roughness: Tensor) -> tuple[np.ndarray, ...]:
    return as_numpy(normal), as_numpy(view_dir), as_numpy(roughness).reshape(-1)


def _mesh_arrays(visibility: PointVisibility | None) -> tuple[np.ndarray, ...]:
    """The arrays of `visibility`; without one, no words, by which the kernels know."""
    if visibility is None:
        faces = np.zeros((0, 3), np.int32)
        return np.zeros((0, 0), np.int32), faces, np.zeros(0, np.int64), np.zeros((0, 3), np.float32)
    arrays = (visibility.words, visibility.faces, visibility.face_id, visibility.barycentric)
    return tuple(as_numpy(array) for array in arrays)
