"""A low-order light and an albedo per vertex: spherical harmonics, and a first estimate of both from the pictures."""

from typing import NamedTuple

import mesh_rasterizer
import torch
from torch import Tensor

from ..images import linear_to_srgb
from ..scene.harmonics import light_basis
from .smoothing import Smoother

LIGHT_TERMS = 9
TYPICAL_ALBEDO = 0.4  # linear; fixes the scale that albedo and light share
_ROUNDS = 4  # of alternating least squares
_SPARSE = 0.01  # a vertex seen for less than this share of the average leans on what is around it
_FAINT = 1e-6  # and where nothing is seen around it, on the mean of the head
_ALBEDO_RANGE = (0.005, 2.0)  # above 1 because light and albedo share their scale
_RIDGE = 1e-3  # relative weight that keeps the light's unseen directions at zero


def shaded(normals: Tensor, log_albedo: Tensor, light: Tensor) -> Tensor:
    """Linear colour [B,V,3] of vertices with normals [B,V,3], log albedo [V,3], under light [9,3]."""
    return log_albedo.exp() * (light_basis(normals) @ light)


def encoded(linear: Tensor) -> Tensor:
    """sRGB of linear colours, which an estimate may have driven below zero."""
    return linear_to_srgb(linear.clamp_min(0))


class Samples(NamedTuple):
    """What a number of views F see of every vertex."""

    normals: Tensor
    """[F,V,3] in the light's frame."""
    weight: Tensor
    """[F,V] how much of a view shows the vertex."""
    colour: Tensor
    """[F,V,3] linear, times that weight."""


def gather(view_fragments: mesh_rasterizer.Fragments, faces: Tensor, count: int, pixels: Tensor) -> Tensor:
    """[V,C] pixels [1,H,W,C] summed over the vertices that they show, by barycentric weight."""
    values = torch.zeros(count, pixels.shape[-1], device=pixels.device, requires_grad=True)
    shown = mesh_rasterizer.interpolate(view_fragments, faces, values)
    return torch.autograd.grad(shown, values, pixels.contiguous())[0]


def estimate(samples: Samples, smoother: Smoother) -> tuple[Tensor, Tensor]:
    """Log albedo [V,3] and light [9,3] that explain the samples, by alternating linear least squares."""
    basis = light_basis(samples.normals)
    albedo = torch.full((basis.shape[1], 3), TYPICAL_ALBEDO, device=basis.device)
    light = torch.zeros(LIGHT_TERMS, 3, device=basis.device)
    for _ in range(_ROUNDS):
        light = _solve_light(samples, basis, albedo)
        albedo = _solve_albedo(samples, basis, light, smoother)
    return albedo.log(), light


def _solve_light(samples: Samples, basis: Tensor, albedo: Tensor) -> Tensor:
    columns = []
    for channel in range(3):
        rows = (basis * albedo[:, channel, None]).flatten(0, 1)
        matrix = (rows.T @ (samples.weight.flatten()[:, None] * rows)).double()
        right = (rows.T @ samples.colour[..., channel].flatten()).double()
        ridge = _RIDGE * matrix.diagonal().mean() * torch.eye(LIGHT_TERMS, device=matrix.device).double()
        columns.append(torch.linalg.solve(matrix + ridge, right))
    return torch.stack(columns, dim=1).float()


def _solve_albedo(samples: Samples, basis: Tensor, light: Tensor, smoother: Smoother) -> Tensor:
    """Weighted mean of colour over shading at every vertex; what no view shows takes its neighbours' albedo."""
    shading = (basis @ light).clamp_min(0)
    numerator = (shading * samples.colour).sum(0)
    denominator = (shading.square() * samples.weight[..., None]).sum(0)
    unit = denominator.mean()
    mean = numerator.sum(0) / denominator.sum(0).clamp_min(1e-12)
    wide = smoother.values(torch.cat([numerator, denominator], dim=1) / unit).clamp_min(0)
    around = (wide[:, :3] + _FAINT * mean) / (wide[:, 3:] + _FAINT)
    albedo = (numerator / unit + _SPARSE * around) / (denominator / unit + _SPARSE)
    return (albedo * (TYPICAL_ALBEDO / mean.mean())).clamp(*_ALBEDO_RANGE)
