"""Shading of points by an environment map: the contract, argument checks, dispatch by device and autograd."""

from typing import Any, NamedTuple

import torch
from kernel_runtime import check_tensor, device_of
from torch import Tensor
from torch.autograd.function import once_differentiable

from . import cpu, cuda
from .visibility import PointVisibility

_INPUTS = 6  # tensors that have gradients, from normal to envmap


class Shading(NamedTuple):
    """Light leaving P points towards the viewer; radiance = albedo * irradiance + specular_albedo * specular."""

    radiance: Tensor  # [P, 3]
    irradiance: Tensor  # [P, 3] E, the radiance of a white diffuse surface (irradiance over pi)
    specular: Tensor  # [P, 3] S, the radiance of the specular lobe for a specular albedo of 1


def shade(
    normal: Tensor,
    view_dir: Tensor,
    albedo: Tensor,
    specular_albedo: Tensor,
    roughness: Tensor,
    envmap: Tensor,
    visibility: PointVisibility | None = None,
    light_to_world: Tensor | None = None,
    enable_specular: bool = True,
) -> Shading:
    """Shade P points with every texel of an environment map, weighted by what each point sees of it.

    The material is Lambertian plus a GGX lobe (Disney: alpha = roughness^2, k = (roughness + 1)^2 / 8, Schlick's
    Fresnel with F0 = 0.04) that `specular_albedo` multiplies. Surfaces that face away still reflect; `reference.py` has
    the formulas. Gradients reach the six tensors from normal to envmap, treating normal and view_dir as free vectors;
    visibility and light_to_world have none.

    Args:
        normal: [P, 3] unit surface normals.
        view_dir: [P, 3] unit directions from the points towards the camera.
        albedo, specular_albedo: [P, 3].
        roughness: [P, 1] in (0, 1]; below about 0.08 the lobe's peak is cut off.
        envmap: [3, H, W] linear radiance, laid out as `envmap.py` says.
        visibility: what the points see; None means everything.
        light_to_world: [3, 3] rotation of the map's directions into the space of the normals; None means identity.
        enable_specular: False leaves S zero at a third of the cost; view_dir and roughness then have zero gradients.

    Raises:
        ArgumentError: an argument has the wrong shape, dtype (all are float32), device or, on the CPU, index range. To
            check indices on a CUDA device would be to wait for it: there, one out of range counts as the nearest valid.
    """
    points = len(check_tensor("normal", normal, (None, 3)))
    albedo = check_tensor("albedo", albedo, (points, 3), device=normal.device)
    specular_albedo = check_tensor("specular_albedo", specular_albedo, (points, 3), device=normal.device)
    checked = _checked(normal, view_dir, roughness, envmap, visibility, light_to_world)
    if normal.is_cuda:
        return Shading(*_shade_on_gpu(*checked, enable_specular, (albedo, specular_albedo)))
    irradiance, specular = _Integrate.apply(*checked, enable_specular)
    return Shading(albedo * irradiance + specular_albedo * specular, irradiance, specular)


def integrate(
    normal: Tensor,
    view_dir: Tensor,
    roughness: Tensor,
    envmap: Tensor,
    visibility: PointVisibility | None = None,
    light_to_world: Tensor | None = None,
    enable_specular: bool = True,
) -> tuple[Tensor, Tensor]:
    """The two integrals over the map that `shade` combines: irradiance over pi E and reflection S, [P, 3] each."""
    checked = _checked(normal, view_dir, roughness, envmap, visibility, light_to_world)
    if normal.is_cuda:
        return _shade_on_gpu(*checked, enable_specular, (None, None))[1:]
    return _Integrate.apply(*checked, enable_specular)


def _checked(
    normal: Tensor,
    view_dir: Tensor,
    roughness: Tensor,
    envmap: Tensor,
    visibility: PointVisibility | None,
    light_to_world: Tensor | None,
) -> tuple[Tensor, Tensor, Tensor, Tensor, PointVisibility | None, Tensor | None]:
    """The arguments, contiguous, or ArgumentError."""
    normal = check_tensor("normal", normal, (None, 3))
    points = len(normal)
    view_dir = check_tensor("view_dir", view_dir, (points, 3))
    roughness = check_tensor("roughness", roughness, (points, 1))
    envmap = check_tensor("envmap", envmap, (3, None, None))
    if light_to_world is not None:
        light_to_world = check_tensor("light_to_world", light_to_world.detach(), (3, 3))
    device_of("diff_envshade", normal, view_dir, roughness, envmap, light_to_world)
    if visibility is not None:
        visibility = visibility.checked(points, envmap.shape[1] * envmap.shape[2], normal.device)
    return normal, view_dir, roughness, envmap, visibility, light_to_world


def _shade_on_gpu(
    normal: Tensor,
    view_dir: Tensor,
    roughness: Tensor,
    envmap: Tensor,
    visibility: PointVisibility | None,
    light_to_world: Tensor | None,
    enable_specular: bool,
    albedos: tuple[Tensor | None, Tensor | None],
) -> tuple[Tensor, Tensor, Tensor]:
    """Radiance (None without albedos), E and S; without autograd where nothing asks for gradients."""
    surface = cuda.Surface(normal, view_dir, *albedos, roughness, envmap, cuda.Mesh.of(visibility), light_to_world)
    if torch.is_grad_enabled() and any(tensor is not None and tensor.requires_grad for tensor in surface[:_INPUTS]):
        return _ShadeOnGpu.apply(enable_specular, *surface)
    return cuda.shade(surface, enable_specular, albedos[0] is not None)


class _ShadeOnGpu(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, enable_specular, *surface):
        surface = cuda.Surface(*surface)
        radiance, irradiance, reflection = cuda.shade(surface, enable_specular, surface.albedo is not None)
        ctx.save_for_backward(*surface[:_INPUTS], irradiance, reflection)
        ctx.set_materialize_grads(False)
        ctx.constants = surface[_INPUTS:], enable_specular
        return radiance, irradiance, reflection

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients):
        *inputs, irradiance, reflection = ctx.saved_tensors
        constants, enable_specular = ctx.constants
        surface = cuda.Surface(*inputs, *constants)
        envmap_needs_grad = ctx.needs_input_grad[_INPUTS]
        grads = cuda.shade_backward(gradients, (irradiance, reflection), surface, enable_specular, envmap_needs_grad)
        return None, *grads, None, None


class _Integrate(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, normal, view_dir, roughness, envmap, visibility, light_to_world, enable_specular):
        ctx.save_for_backward(normal, view_dir, roughness, envmap)
        ctx.constants = visibility, light_to_world, enable_specular
        rotation = _or_identity(light_to_world)
        return cpu.forward(normal, view_dir, roughness, envmap, visibility, rotation, enable_specular)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad_irradiance, grad_specular):
        envmap_needs_grad = ctx.needs_input_grad[3]
        visibility, light_to_world, enable_specular = ctx.constants
        constants = visibility, _or_identity(light_to_world), enable_specular
        grads = cpu.backward(grad_irradiance, grad_specular, *ctx.saved_tensors, *constants, envmap_needs_grad)
        return *grads, None, None, None


def _or_identity(light_to_world: Tensor | None) -> Tensor:
    return torch.eye(3) if light_to_world is None else light_to_world
