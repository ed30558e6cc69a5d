"""Upstream's brute-force shaders: forward and backward functions over `integrate`, names and order as upstream.

Shapes: normal, view_dir, albedo, specular_albedo [P, 3], roughness [P, 1], envmap [3, H, W], light2obj_rotmat [3, 3].
Backward functions return one gradient per tensor from normal to envmap, zeros where a disabled lobe leaves none.
"""

from collections.abc import Callable

import torch
from kernel_runtime import check_tensor
from torch import Tensor

from .ops import integrate
from .visibility import PointVisibility


def bruteforce_diffuse_shader_forward(
    normal: Tensor, albedo: Tensor, envmap: Tensor, light2obj_rotmat: Tensor
) -> Tensor:
    """Shading albedo * E [P, 3]."""
    placeholder = torch.ones_like(normal)
    irradiance, _ = integrate(normal, placeholder, placeholder[:, :1], envmap, None, light2obj_rotmat, False)
    return check_tensor("albedo", albedo, (len(normal), 3)) * irradiance


def bruteforce_diffuse_shader_backward(
    grad_shading: Tensor, normal: Tensor, albedo: Tensor, envmap: Tensor, light2obj_rotmat: Tensor
) -> list[Tensor]:
    """Gradients for normal, albedo and envmap."""

    def forward(normal: Tensor, albedo: Tensor, envmap: Tensor) -> tuple[Tensor]:
        return (bruteforce_diffuse_shader_forward(normal, albedo, envmap, light2obj_rotmat),)

    return _gradients(forward, (normal, albedo, envmap), (grad_shading,))


def bruteforce_specular_shader_forward(
    normal: Tensor,
    view_dir: Tensor,
    albedo: Tensor,
    specular_albedo: Tensor,
    roughness: Tensor,
    envmap: Tensor,
    light2obj_rotmat: Tensor,
    enable_diffuse: bool,
    enable_specular: bool,
) -> Tensor:
    """Shading [P, 3] of the lobes that are enabled."""
    materials = (normal, view_dir, albedo, specular_albedo, roughness, envmap)
    shading, _ = _shade(*materials, light2obj_rotmat, None, enable_diffuse, enable_specular)
    return shading


def bruteforce_specular_shader_backward(
    grad_shading: Tensor,
    normal: Tensor,
    view_dir: Tensor,
    albedo: Tensor,
    specular_albedo: Tensor,
    roughness: Tensor,
    envmap: Tensor,
    light2obj_rotmat: Tensor,
    enable_diffuse: bool,
    enable_specular: bool,
) -> list[Tensor]:
    """Gradients for the six tensors from normal to envmap."""

    def forward(*materials: Tensor) -> tuple[Tensor]:
        return (bruteforce_specular_shader_forward(*materials, light2obj_rotmat, enable_diffuse, enable_specular),)

    return _gradients(forward, (normal, view_dir, albedo, specular_albedo, roughness, envmap), (grad_shading,))


def bruteforce_specular_shader_clamp_forward(
    normal: Tensor,
    view_dir: Tensor,
    albedo: Tensor,
    specular_albedo: Tensor,
    roughness: Tensor,
    envmap: Tensor,
    light2obj_rotmat: Tensor,
    enable_diffuse: bool,
    enable_specular: bool,
) -> Tensor:
    """Shading [P, 3] of the lobes that are enabled, 0 for points that face away from the viewer."""
    materials = (normal, view_dir, albedo, specular_albedo, roughness, envmap)
    shading = bruteforce_specular_shader_forward(*materials, light2obj_rotmat, enable_diffuse, enable_specular)
    facing = (normal * view_dir).sum(-1, keepdim=True) > 0
    return torch.where(facing, shading, 0)


def bruteforce_specular_shader_clamp_backward(
    grad_shading: Tensor,
    normal: Tensor,
    view_dir: Tensor,
    albedo: Tensor,
    specular_albedo: Tensor,
    roughness: Tensor,
    envmap: Tensor,
    light2obj_rotmat: Tensor,
    enable_diffuse: bool,
    enable_specular: bool,
) -> list[Tensor]:
    """Gradients for the six tensors from normal to envmap; points that face away contribute none."""

    def forward(*materials: Tensor) -> tuple[Tensor]:
        switches = enable_diffuse, enable_specular
        return (bruteforce_specular_shader_clamp_forward(*materials, light2obj_rotmat, *switches),)

    return _gradients(forward, (normal, view_dir, albedo, specular_albedo, roughness, envmap), (grad_shading,))


def bruteforce_specular_shader_forward2(
    normal: Tensor,
    view_dir: Tensor,
    albedo: Tensor,
    specular_albedo: Tensor,
    roughness: Tensor,
    envmap: Tensor,
    light2obj_rotmat: Tensor,
    enable_specular: bool,
) -> list[Tensor]:
    """Shading and diffuse shading E, [P, 3] each."""
    materials = (normal, view_dir, albedo, specular_albedo, roughness, envmap)
    return list(_shade(*materials, light2obj_rotmat, None, True, enable_specular))


def bruteforce_specular_shader_backward2(
    grad_shading: Tensor,
    grad_diffuse_shading: Tensor,
    normal: Tensor,
    view_dir: Tensor,
    albedo: Tensor,
    specular_albedo: Tensor,
    roughness: Tensor,
    envmap: Tensor,
    light2obj_rotmat: Tensor,
    enable_specular: bool,
) -> list[Tensor]:
    """Gradients for the six tensors from normal to envmap."""

    def forward(*materials: Tensor) -> tuple[Tensor, Tensor]:
        return _shade(*materials, light2obj_rotmat, None, True, enable_specular)

    materials = (normal, view_dir, albedo, specular_albedo, roughness, envmap)
    return _gradients(forward, materials, (grad_shading, grad_diffuse_shading))


def bruteforce_specularvisibility_shader_forward2(
    normal: Tensor,
    view_dir: Tensor,
    albedo: Tensor,
    specular_albedo: Tensor,
    roughness: Tensor,
    envmap: Tensor,
    light2obj_rotmat: Tensor,
    face_vertex_list: Tensor,
    nearest_triangle_id: Tensor,
    barycentric_coord: Tensor,
    visibility: Tensor,
    enable_specular: bool,
) -> list[Tensor]:
    """Shading and diffuse shading E, [P, 3] each, of points that see the map as `visibility` says.

    face_vertex_list [3, F] int32, nearest_triangle_id [P] int64, barycentric_coord [3, P], visibility [S, V] int32.
    """
    mesh = _point_visibility(face_vertex_list, nearest_triangle_id, barycentric_coord, visibility)
    materials = (normal, view_dir, albedo, specular_albedo, roughness, envmap)
    return list(_shade(*materials, light2obj_rotmat, mesh, True, enable_specular))


def bruteforce_specularvisibility_shader_backward2(
    grad_shading: Tensor,
    grad_diffuse_shading: Tensor,
    normal: Tensor,
    view_dir: Tensor,
    albedo: Tensor,
    specular_albedo: Tensor,
    roughness: Tensor,
    envmap: Tensor,
    light2obj_rotmat: Tensor,
    face_vertex_list: Tensor,
    nearest_triangle_id: Tensor,
    barycentric_coord: Tensor,
    visibility: Tensor,
    enable_specular: bool,
) -> list[Tensor]:
    """Gradients for the six tensors from normal to envmap."""
    mesh = _point_visibility(face_vertex_list, nearest_triangle_id, barycentric_coord, visibility)

    def forward(*materials: Tensor) -> tuple[Tensor, Tensor]:
        return _shade(*materials, light2obj_rotmat, mesh, True, enable_specular)

    materials = (normal, view_dir, albedo, specular_albedo, roughness, envmap)
    return _gradients(forward, materials, (grad_shading, grad_diffuse_shading))


def _shade(
    normal: Tensor,
    view_dir: Tensor,
    albedo: Tensor,
    specular_albedo: Tensor,
    roughness: Tensor,
    envmap: Tensor,
    rotation: Tensor,
    visibility: PointVisibility | None,
    enable_diffuse: bool,
    enable_specular: bool,
) -> tuple[Tensor, Tensor]:
    points = len(normal)
    irradiance, specular = integrate(normal, view_dir, roughness, envmap, visibility, rotation, enable_specular)
    shading = 0 * irradiance  # part of the graph even if both lobes are off
    if enable_diffuse:
        shading = shading + check_tensor("albedo", albedo, (points, 3)) * irradiance
    if enable_specular:
        shading = shading + check_tensor("specular_albedo", specular_albedo, (points, 3)) * specular
    return shading, irradiance


def _point_visibility(faces: Tensor, face_id: Tensor, barycentric: Tensor, words: Tensor) -> PointVisibility:
    """Upstream's planar tensors, turned so that a vertex's words and a point's coordinates are contiguous."""
    check_tensor("face_vertex_list", faces, (3, None), torch.int32)
    check_tensor("barycentric_coord", barycentric, (3, None))
    check_tensor("visibility", words, (None, None), torch.int32)
    return PointVisibility(words.t(), faces.t(), face_id, barycentric.t())


def _gradients(
    forward: Callable[..., tuple[Tensor, ...]], inputs: tuple[Tensor, ...], grads: tuple[Tensor, ...]
) -> list[Tensor]:
    """Gradients of `forward`'s outputs, weighted by `grads`, for each of `inputs`."""
    leaves = [tensor.detach().requires_grad_() for tensor in inputs]
    with torch.enable_grad():
        outputs = forward(*leaves)
    checked = [check_tensor("grad_shading", grad, tuple(out.shape)) for grad, out in zip(grads, outputs, strict=True)]
    return list(torch.autograd.grad(outputs, leaves, checked, materialize_grads=True))
