"""Shading and its gradients on CUDA devices: tables and buffers, launches."""

from typing import NamedTuple

import torch
from kernel_runtime.cuda import CudaModule
from kernel_runtime.prepared import PreparedKernel
from torch import Tensor

from .visibility import BITS, PointVisibility

_HEADERS = ("shading.cuh",)
_TABLES = CudaModule("diff_envshade", "light_table.cu", _HEADERS)
_LIGHT_TABLE = PreparedKernel(_TABLES.kernel("light_table"), "PPiiiPPiiP")
_SUM_SHARES = PreparedKernel(_TABLES.kernel("sum_shares"), "PiiPiP")
_OCCLUSION = PreparedKernel(CudaModule("diff_envshade", "occlusion.cu", _HEADERS).kernel("occlusion"), "PiPPiiP")
_FORWARD_MODULE = CudaModule("diff_envshade", "shade_forward.cu", _HEADERS)
_BACKWARD_MODULE = CudaModule("diff_envshade", "shade_backward.cu", _HEADERS)
# By whether the specular lobe is on.
_FORWARD = {
    specular: PreparedKernel(_FORWARD_MODULE.kernel("shade_forward", specular), "PiPPPi" + "PiiPiiiPPii" + "PPPPP")
    for specular in (False, True)
}
_BACKWARD = {
    specular: PreparedKernel(
        _BACKWARD_MODULE.kernel("shade_backward", specular), "PiPPPii" + "PiiPiiiPPii" + 7 * "P" + 6 * "P"
    )
    for specular in (False, True)
}

# As in the kernels: points and threads of a block, numbers of a texel in the table, threads that sum shares.
_BLOCK_POINTS, _THREADS, _TEXEL_NUMBERS, _SUM_THREADS = 32, 128, 8, 1024
# Blocks that write a share of the map's gradient: enough to fill any GPU evenly, few enough to bound the memory.
_MAX_SHARES, _MIN_SHARES, _SHARES_BYTES = 2560, 128, 64 << 20


class Mesh(NamedTuple):
    """What points see, in one of two layouts."""

    words: Tensor  # [V, S] int32, or planar [S, V]
    faces: Tensor  # [F, 3] int32, of any strides
    face_id: Tensor  # [P] int64
    barycentric: Tensor  # [P, 3], of any strides
    planar: bool = False

    @classmethod
    def of(cls, visibility: PointVisibility | None) -> "Mesh | None":
        """Of checked visibility."""
        if visibility is None:
            return None
        return cls(visibility.words, visibility.faces, visibility.face_id, visibility.barycentric)


class Surface(NamedTuple):
    """P points in the light; of the albedos None counts as 0 and has no gradient."""

    normal: Tensor  # [P, 3]
    view_dir: Tensor  # [P, 3]
    albedo: Tensor | None  # [P, 3]
    specular_albedo: Tensor | None  # [P, 3]
    roughness: Tensor  # [P, 1]
    envmap: Tensor  # [3, H, W]
    mesh: Mesh | None
    light_to_world: Tensor | None  # [3, 3]; None: the identity


class _Light(NamedTuple):
    """The light as the kernels read it."""

    memory: Tensor  # the table, and visibility words turned into rows
    table: int  # address: directions, radiance and solid angles [texels, 8], filled up to whole visibility words
    padded: int  # texels with those
    mesh: tuple[int, ...]  # the kernels' arguments about visibility


def shade(
    surface: Surface, enable_specular: bool, with_radiance: bool = True, with_reflection: bool = True
) -> tuple[Tensor | None, Tensor, Tensor | None]:
    """Radiance, E and S [P, 3] of checked arguments; see `ops.shade`. S is 0 without the specular lobe."""
    normal = surface.normal
    points = len(normal)
    irradiance = torch.empty_like(normal)
    reflection = torch.empty_like(normal) if with_reflection else None
    radiance = torch.empty_like(normal) if with_radiance else None
    if points > 0:
        light = _light(surface.envmap, surface.light_to_world, surface.mesh)
        _FORWARD[enable_specular].launch(
            normal.get_device(), (-(-points // _BLOCK_POINTS), 1, 1), _THREADS, *_points(surface, light), *light.mesh,
            _address(surface.albedo), _address(surface.specular_albedo), irradiance.data_ptr(), _address(reflection),
            _address(radiance),
        )  # fmt: skip
    return radiance, irradiance, reflection


def shade_backward(
    gradients: tuple[Tensor | None, Tensor | None, Tensor | None],
    outputs: tuple[Tensor | None, Tensor | None],
    surface: Surface,
    enable_specular: bool,
    envmap_needs_grad: bool,
) -> tuple[Tensor, Tensor, Tensor | None, Tensor | None, Tensor, Tensor | None]:
    """Gradients for the six tensors of `surface` from the normals to, where asked for, the map. The same bits always.

    Args:
        gradients: for radiance, E and S; None counts as 0.
        outputs: E and S, where there are albedos.
    """
    normal, _, albedo, specular_albedo, roughness, envmap, *_ = surface
    points = len(normal)
    by_normal, by_view, *by_albedos = normal.new_empty(
        2 + (albedo is not None) + (specular_albedo is not None), points, 3
    )
    by_specular_albedo = None if specular_albedo is None else by_albedos.pop()
    by_albedo = None if albedo is None else by_albedos.pop()
    grads = by_normal, by_view, torch.empty_like(roughness), by_albedo, by_specular_albedo
    if points == 0:
        return _in_order(grads, torch.zeros_like(envmap) if envmap_needs_grad else None)
    light = _light(envmap, surface.light_to_world, surface.mesh)
    share_size = 3 * light.padded
    max_blocks = min(max(_SHARES_BYTES // (4 * share_size), _MIN_SHARES), _MAX_SHARES)
    groups_per_block = -(-points // (max_blocks * _BLOCK_POINTS))
    blocks = -(-points // (groups_per_block * _BLOCK_POINTS))
    shares = normal.new_empty(blocks, share_size) if envmap_needs_grad else None
    by_outputs = [None if gradient is None else gradient.contiguous() for gradient in gradients]
    device = normal.get_device()
    _BACKWARD[enable_specular].launch(
        device, (blocks, 1, 1), _THREADS, *_points(surface, light), groups_per_block, *light.mesh,
        *map(_address, (albedo, specular_albedo, *outputs, *by_outputs, *grads, shares)),
    )  # fmt: skip
    if shares is None:
        return _in_order(grads, None)
    grad_envmap = torch.empty_like(envmap)
    _SUM_SHARES.launch(
        device, (share_size // BITS, 1, 1), _SUM_THREADS, shares.data_ptr(), blocks, light.padded,
        light.table, envmap.shape[1] * envmap.shape[2], grad_envmap.data_ptr(),
    )  # fmt: skip
    return _in_order(grads, grad_envmap)


def occlusion(normal: Tensor, words: Tensor, height: int, width: int, light_to_world: Tensor) -> Tensor:
    """Hidden share [P, 1] of every hemisphere; see `occlusion.occlusion`."""
    points = len(normal)
    hidden = normal.new_empty(points, 1)
    if points > 0:
        light = _light(None, light_to_world, None, normal, (height, width))
        _OCCLUSION.launch(
            normal.get_device(), (-(-points * BITS // _THREADS), 1, 1), _THREADS, light.table, light.padded // BITS,
            normal.data_ptr(), words.data_ptr(), words.shape[1], points, hidden.data_ptr(),
        )  # fmt: skip
    return hidden


def _light(
    envmap: Tensor | None,
    light_to_world: Tensor | None,
    mesh: Mesh | None,
    like: Tensor | None = None,
    size: tuple[int, int] = (0, 0),
) -> _Light:
    """The light of a map, or (None) of one of `size` that is 1 everywhere, on the device of `like`."""
    if envmap is not None:
        like, size = envmap, (envmap.shape[1], envmap.shape[2])
    words_of_map = -(-size[0] * size[1] // BITS)
    padded, row_words, vertices, columns = words_of_map * BITS, 0, 0, 0
    if mesh is not None:
        row_words, vertices = mesh.words.shape if mesh.planar else mesh.words.shape[::-1]
    table_bytes, turned_words = 4 * padded * _TEXEL_NUMBERS, 0
    if mesh is not None and mesh.planar:
        row_words, columns = words_of_map, mesh.words.data_ptr()
        turned_words = vertices * row_words
    memory = like.new_empty(table_bytes + 4 * turned_words, dtype=torch.uint8)
    table = memory.data_ptr()
    rows, threads = table + table_bytes, max(padded, vertices if turned_words else 0)
    _LIGHT_TABLE.launch(
        like.get_device(), (-(-threads // _THREADS), 1, 1), _THREADS, _address(envmap), _address(light_to_world), *size,
        padded, table, columns, row_words, vertices, rows,
    )  # fmt: skip
    if mesh is None:
        return _Light(memory, table, padded, (0,) * 11)
    return _Light(memory, table, padded, (
        rows if mesh.planar else mesh.words.data_ptr(), row_words, vertices, mesh.faces.data_ptr(), len(mesh.faces),
        *mesh.faces.stride(), mesh.face_id.data_ptr(), mesh.barycentric.data_ptr(), *mesh.barycentric.stride(),
    ))  # fmt: skip


def _points(surface: Surface, light: _Light) -> tuple[int, ...]:
    """Both kernels' first arguments."""
    normal, view_dir, roughness = surface.normal, surface.view_dir, surface.roughness
    places = normal.data_ptr(), view_dir.data_ptr(), roughness.data_ptr()
    return light.table, light.padded // BITS, *places, len(normal)


def _in_order(
    grads: tuple[Tensor | None, ...], grad_envmap: Tensor | None
) -> tuple[Tensor, Tensor, Tensor | None, Tensor | None, Tensor, Tensor | None]:
    """The kernel's gradients in the order of `Surface`."""
    normal, view_dir, roughness, albedo, specular_albedo = grads
    return normal, view_dir, albedo, specular_albedo, roughness, grad_envmap


def _address(tensor: Tensor | None) -> int:
    return 0 if tensor is None else tensor.data_ptr()
