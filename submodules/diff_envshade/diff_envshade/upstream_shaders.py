"""Upstream's brute-force shaders: forward and backward functions over `integrate`, names and order as upstream.

Shapes: normal, view_dir, albedo, specular_albedo [P, 3], roughness [P, 1], envmap [3, H, W], light2obj_rotmat [3, 3].
Backward functions return one gradient per tensor from normal to envmap, zeros where a disabled lobe leaves none.
"""

from typing import NamedTuple

import torch
from kernel_runtime import ArgumentError, check_tensor, device_of
from torch import Tensor

from . import cuda
from .ops import integrate
from .visibility import BITS, PointVisibility


def bruteforce_diffuse_shader_forward(
    normal: Tensor, albedo: Tensor, envmap: Tensor, light2obj_rotmat: Tensor
) -> Tensor:
    """Shading albedo * E [P, 3]."""
    return _shade(_diffuse(normal, albedo, envmap), light2obj_rotmat, None, True, False)[0]


def bruteforce_diffuse_shader_backward(
    grad_shading: Tensor, normal: Tensor, albedo: Tensor, envmap: Tensor, light2obj_rotmat: Tensor
) -> list[Tensor]:
    """Gradients for normal, albedo and envmap."""
    materials = _diffuse(normal, albedo, envmap)
    by_normal, _, by_albedo, _, _, by_envmap = _gradients(
        (grad_shading, None), materials, light2obj_rotmat, None, True, False
    )
    return [by_normal, by_albedo, by_envmap]


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
    materials = _Materials(normal, view_dir, albedo, specular_albedo, roughness, envmap)
    return _shade(materials, light2obj_rotmat, None, enable_diffuse, enable_specular)[0]


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
    materials = _Materials(normal, view_dir, albedo, specular_albedo, roughness, envmap)
    return _gradients((grad_shading, None), materials, light2obj_rotmat, None, enable_diffuse, enable_specular)


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
    materials = _Materials(normal, view_dir, albedo, specular_albedo, roughness, envmap)
    shading, _ = _shade(materials, light2obj_rotmat, None, enable_diffuse, enable_specular)
    return torch.where(_facing(materials), shading, 0)


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
    materials = _Materials(normal, view_dir, albedo, specular_albedo, roughness, envmap)
    seen = torch.where(_facing(materials), grad_shading, 0)
    return _gradients((seen, None), materials, light2obj_rotmat, None, enable_diffuse, enable_specular)


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
    materials = _Materials(normal, view_dir, albedo, specular_albedo, roughness, envmap)
    return list(_shade(materials, light2obj_rotmat, None, True, enable_specular))


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
    materials = _Materials(normal, view_dir, albedo, specular_albedo, roughness, envmap)
    gradients = grad_shading, grad_diffuse_shading
    return _gradients(gradients, materials, light2obj_rotmat, None, True, enable_specular)


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
    materials = _Materials(normal, view_dir, albedo, specular_albedo, roughness, envmap)
    mesh = _Planar(face_vertex_list, nearest_triangle_id, barycentric_coord, visibility)
    return list(_shade(materials, light2obj_rotmat, mesh, True, enable_specular))


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
    materials = _Materials(normal, view_dir, albedo, specular_albedo, roughness, envmap)
    mesh = _Planar(face_vertex_list, nearest_triangle_id, barycentric_coord, visibility)
    gradients = grad_shading, grad_diffuse_shading
    return _gradients(gradients, materials, light2obj_rotmat, mesh, True, enable_specular)


def _diffuse(normal: Tensor, albedo: Tensor, envmap: Tensor) -> "_Materials":
    """Materials that are diffuse alone: what the lobe would read is never used."""
    placeholder = torch.ones_like(normal)
    return _Materials(normal, placeholder, albedo, placeholder, placeholder[:, :1], envmap)


def _facing(materials: "_Materials") -> Tensor:
    """Whether the points [P, 1] face the viewer."""
    return (materials.normal * materials.view_dir).sum(-1, keepdim=True) > 0


class _Materials(NamedTuple):
    """What all shaders take."""

    normal: Tensor
    view_dir: Tensor
    albedo: Tensor
    specular_albedo: Tensor
    roughness: Tensor
    envmap: Tensor

    def checked(self) -> "_Materials":
        """The same, contiguous, or ArgumentError."""
        points = len(self.normal)
        widths = 3, 3, 3, 3, 1
        parts = [
            check_tensor(name, tensor, (points, width))
            for name, tensor, width in zip(self._fields, self, widths, strict=False)
        ]
        return _Materials(*parts, check_tensor("envmap", self.envmap, (3, None, None)))


class _Planar(NamedTuple):
    """Upstream's planar tensors of what points see."""

    faces: Tensor  # [3, F] int32
    face_id: Tensor  # [P] int64
    barycentric: Tensor  # [3, P]
    words: Tensor  # [S, V] int32

    def turned(self) -> PointVisibility:
        """With a vertex's words and a point's coordinates side by side."""
        check_tensor("face_vertex_list", self.faces, (3, None), torch.int32)
        check_tensor("barycentric_coord", self.barycentric, (3, None))
        check_tensor("visibility", self.words, (None, None), torch.int32)
        return PointVisibility(self.words.t(), self.faces.t(), self.face_id, self.barycentric.t())

    def on_gpu(self, points: int, texels: int, device: torch.device) -> cuda.Mesh:
        """As the kernels read it in this layout, or ArgumentError."""
        faces = check_tensor("face_vertex_list", self.faces, (3, None), torch.int32, device)
        barycentric = check_tensor("barycentric_coord", self.barycentric, (3, points), device=device)
        words = check_tensor("visibility", self.words, (None, None), torch.int32, device)
        face_id = check_tensor("nearest_triangle_id", self.face_id, (points,), torch.int64, device)
        if words.shape[0] * BITS < texels:
            raise ArgumentError(f"visibility: {words.shape[0]} words are too few for a map of {texels} texels")
        if points > 0 and 0 in (words.shape[1], faces.shape[1]):
            raise ArgumentError("visibility: expected vertices and faces, got none")
        return cuda.Mesh(words, faces.t(), face_id, barycentric.t(), planar=True)


def _surface(
    materials: _Materials, rotation: Tensor, mesh: _Planar | None, diffuse: bool, specular: bool
) -> cuda.Surface:
    """The kernels' arguments from tensors of one GPU."""
    normal, view_dir, albedo, specular_albedo, roughness, envmap = materials.checked()
    rotation = check_tensor("light2obj_rotmat", rotation.detach(), (3, 3))
    device_of("diff_envshade", *materials, rotation)
    seen = mesh and mesh.on_gpu(len(normal), envmap.shape[1] * envmap.shape[2], normal.device)
    albedos = albedo if diffuse else None, specular_albedo if specular else None
    return cuda.Surface(normal, view_dir, *albedos, roughness, envmap, seen, rotation)


def _shade(
    materials: _Materials,
    rotation: Tensor,
    mesh: _Planar | None,
    enable_diffuse: bool,
    enable_specular: bool,
) -> tuple[Tensor, Tensor]:
    """Shading and E, [P, 3] each."""
    if materials.normal.is_cuda:
        surface = _surface(materials, rotation, mesh, enable_diffuse, enable_specular)
        return cuda.shade(surface, enable_specular, with_reflection=False)[:2]
    normal, view_dir, albedo, specular_albedo, roughness, envmap = materials
    points = len(normal)
    seen = mesh and mesh.turned()
    irradiance, specular = integrate(normal, view_dir, roughness, envmap, seen, rotation, enable_specular)
    shading = 0 * irradiance  # part of the graph even if both lobes are off
    if enable_diffuse:
        shading = shading + check_tensor("albedo", albedo, (points, 3)) * irradiance
    if enable_specular:
        shading = shading + check_tensor("specular_albedo", specular_albedo, (points, 3)) * specular
    return shading, irradiance


def _gradients(
    gradients: tuple[Tensor, Tensor | None],
    materials: _Materials,
    rotation: Tensor,
    mesh: _Planar | None,
    enable_diffuse: bool,
    enable_specular: bool,
) -> list[Tensor]:
    """Gradients for the materials, given those for the shading and (None: 0) for E."""
    points = len(materials.normal)
    given = [g if g is None else check_tensor("grad_shading", g, (points, 3)) for g in gradients]
    if materials.normal.is_cuda:
        surface = _surface(materials, rotation, mesh, enable_diffuse, enable_specular)
        _, irradiance, specular = cuda.shade(surface, enable_specular, with_radiance=False)
        by_outputs = *given, None
        grads = cuda.shade_backward(by_outputs, (irradiance, specular), surface, enable_specular, True)
        return [torch.zeros_like(m) if grad is None else grad for grad, m in zip(grads, materials, strict=True)]
    leaves = _Materials(*(tensor.detach().requires_grad_() for tensor in materials))
    with torch.enable_grad():
        outputs = _shade(leaves, rotation, mesh, enable_diffuse, enable_specular)
    by_outputs = [torch.zeros_like(out) if g is None else g for g, out in zip(given, outputs, strict=True)]
    return list(torch.autograd.grad(outputs, leaves, by_outputs, materialize_grads=True))
