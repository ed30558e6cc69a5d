"""The shading integrals and their gradients on CUDA devices: tables and buffers, launches."""

import torch
from kernel_runtime.cuda import CudaModule
from torch import Tensor

from .visibility import BITS, PointVisibility

_HEADERS = ("shading.cuh",)
_TABLES = CudaModule("diff_envshade", "light_table.cu", _HEADERS)
_LIGHT_TABLE, _SUM_SHARES = _TABLES.kernel("light_table"), _TABLES.kernel("sum_shares")
_OCCLUSION = CudaModule("diff_envshade", "occlusion.cu", _HEADERS).kernel("occlusion")
_FORWARD_MODULE = CudaModule("diff_envshade", "shade_forward.cu", _HEADERS)
_BACKWARD_MODULE = CudaModule("diff_envshade", "shade_backward.cu", _HEADERS)
# By whether the specular lobe is on.
_FORWARD = {specular: _FORWARD_MODULE.kernel("shade_forward", specular) for specular in (False, True)}
_BACKWARD = {specular: _BACKWARD_MODULE.kernel("shade_backward", specular) for specular in (False, True)}

# As in the kernels: points and threads of a block, numbers of a texel in the table, threads that sum shares.
_BLOCK_POINTS, _THREADS, _TEXEL_NUMBERS, _SUM_THREADS = 32, 128, 8, 1024
# Blocks that write a share of the map's gradient: enough to fill any GPU evenly, few enough to bound the memory.
_MAX_SHARES, _MIN_SHARES, _SHARES_BYTES = 2560, 128, 64 << 20


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
    if len(normal) > 0:
        table = _light_table(envmap, light_to_world)
        _FORWARD[enable_specular].launch(
            -(-len(normal) // _BLOCK_POINTS), _THREADS,
            (table, len(table) // BITS, normal, view_dir, roughness, len(normal), *_mesh_arguments(visibility),
             irradiance, reflection),
        )  # fmt: skip
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
    """Gradients for normal, view_dir, roughness and, where asked for, the map. Bit for bit repeatable."""
    grads = torch.empty_like(normal), torch.empty_like(view_dir), torch.empty_like(roughness)
    if len(normal) == 0:
        return *grads, torch.zeros_like(envmap) if envmap_needs_grad else None
    table = _light_table(envmap, light_to_world)
    share_size = 3 * len(table)
    max_blocks = min(max(_SHARES_BYTES // (4 * share_size), _MIN_SHARES), _MAX_SHARES)
    groups_per_block = -(-len(normal) // (max_blocks * _BLOCK_POINTS))
    blocks = -(-len(normal) // (groups_per_block * _BLOCK_POINTS))
    shares = normal.new_empty(blocks, share_size) if envmap_needs_grad else None
    _BACKWARD[enable_specular].launch(
        blocks, _THREADS,
        (table, len(table) // BITS, normal, view_dir, roughness, len(normal), groups_per_block,
         *_mesh_arguments(visibility), grad_irradiance.contiguous(), grad_reflection.contiguous(), *grads, shares),
    )  # fmt: skip
    if shares is None:
        return *grads, None
    grad_envmap = torch.empty_like(envmap)
    texels = envmap.shape[1] * envmap.shape[2]
    _SUM_SHARES.launch(share_size // BITS, _SUM_THREADS, (shares, blocks, len(table), table, texels, grad_envmap))
    return *grads, grad_envmap


def occlusion(normal: Tensor, words: Tensor, height: int, width: int, light_to_world: Tensor) -> Tensor:
    """Hidden share [P, 1] of every hemisphere; see `occlusion.occlusion`."""
    table = _light_table(normal.new_ones(3, height, width), light_to_world)
    hidden = normal.new_empty(len(normal), 1)
    blocks = -(-len(normal) * BITS // _THREADS)
    _OCCLUSION.launch(blocks, _THREADS, (table, len(table) // BITS, normal, words, words.shape[1], len(normal), hidden))
    return hidden


def _light_table(envmap: Tensor, light_to_world: Tensor) -> Tensor:
    """Directions, radiance and solid angles [texels, 8] of the map, filled up to whole visibility words."""
    height, width = envmap.shape[1:]
    padded = -(-height * width // BITS) * BITS
    table = envmap.new_empty(padded, _TEXEL_NUMBERS)
    _LIGHT_TABLE.launch(-(-padded // _THREADS), _THREADS, (envmap, light_to_world, height, width, padded, table))
    return table


def _mesh_arguments(visibility: PointVisibility | None) -> tuple[Tensor | int | None, ...]:
    """Words, words per vertex, vertices, faces, their number, face ids, barycentrics; nulls without visibility."""
    if visibility is None:
        return None, 0, 0, None, 0, None, None
    words, faces = visibility.words, visibility.faces
    return words, words.shape[1], len(words), faces, len(faces), visibility.face_id, visibility.barycentric
