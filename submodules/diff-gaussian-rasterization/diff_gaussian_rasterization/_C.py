"""The functions of the original's extension module, for code that calls them without autograd.

What the original keeps in its opaque buffers is rendered again by the backward function: the geometry buffer holds the
opacities, which that function does not get, and the other buffers are empty.
"""

import torch

from .upstream import GaussianRasterizationSettings, render, visible


def rasterize_gaussians(
    background: torch.Tensor,
    means3D: torch.Tensor,
    colors: torch.Tensor,
    opacity: torch.Tensor,
    scales: torch.Tensor,
    rotations: torch.Tensor,
    scale_modifier: float,
    cov3D_precomp: torch.Tensor,
    viewmatrix: torch.Tensor,
    projmatrix: torch.Tensor,
    tan_fovx: float,
    tan_fovy: float,
    image_height: int,
    image_width: int,
    sh: torch.Tensor,
    degree: int,
    campos: torch.Tensor,
    prefiltered: bool,
    debug: bool,
) -> tuple[int, torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
    """Number of instances, colour [3,H,W], radii [P], and the buffers of geometry, binning and image.

    Absent ones among colors, sh, scales, rotations and cov3D_precomp are empty tensors.
    """
    settings = GaussianRasterizationSettings(
        image_height, image_width, tan_fovx, tan_fovy, background, scale_modifier, viewmatrix, projmatrix, degree,
        campos, prefiltered, debug,
    )  # fmt: skip
    with torch.no_grad():
        result = render(
            means3D, torch.zeros_like(means3D), sh, colors, opacity, scales, rotations, cov3D_precomp, settings, 0
        )
    geometry = opacity.detach().contiguous().clone().view(torch.uint8)
    empty = geometry.new_empty(0)
    return int(result.instances), result.image.contiguous(), result.radii, geometry, empty, empty


def rasterize_gaussians_backward(
    background: torch.Tensor,
    means3D: torch.Tensor,
    radii: torch.Tensor,
    colors: torch.Tensor,
    scales: torch.Tensor,
    rotations: torch.Tensor,
    scale_modifier: float,
    cov3D_precomp: torch.Tensor,
    viewmatrix: torch.Tensor,
    projmatrix: torch.Tensor,
    tan_fovx: float,
    tan_fovy: float,
    grad_color: torch.Tensor,
    sh: torch.Tensor,
    degree: int,
    campos: torch.Tensor,
    geometry_buffer: torch.Tensor,
    instances: int,
    binning_buffer: torch.Tensor,
    image_buffer: torch.Tensor,
    debug: bool,
) -> tuple[torch.Tensor, ...]:
    """Gradients of means2D [P,3], colors [P,3], opacity [P,1], means3D, cov3D [P,6], sh, scales and rotations.

    Those of absent inputs are zeros of the shape that the input has in the original.
    """
    _, height, width = grad_color.shape
    settings = GaussianRasterizationSettings(
        height, width, tan_fovx, tan_fovy, background, scale_modifier, viewmatrix, projmatrix, degree, campos, False,
        debug,
    )  # fmt: skip
    opacity = geometry_buffer.view(torch.float32)
    given = torch.zeros_like(means3D), colors, opacity, means3D, cov3D_precomp, sh, scales, rotations
    inputs = [tensor.detach().clone().requires_grad_() for tensor in given]
    means2D, colors, opacity, means3D, cov3D_precomp, sh, scales, rotations = inputs
    with torch.enable_grad():
        image = render(means3D, means2D, sh, colors, opacity, scales, rotations, cov3D_precomp, settings).image
    gradients = torch.autograd.grad(image, inputs, grad_color, allow_unused=True)
    points = len(means3D)
    shapes = (points, 3), (points, 3), (points, 1), (points, 3), (points, 6), (points, 0, 3), (points, 3), (points, 4)
    return tuple(
        means3D.new_zeros(shape if tensor.numel() == 0 else tensor.shape) if gradient is None else gradient
        for tensor, gradient, shape in zip(inputs, gradients, shapes, strict=True)
    )


def mark_visible(means3D: torch.Tensor, viewmatrix: torch.Tensor, projmatrix: torch.Tensor) -> torch.Tensor:
    """Which positions [P,3] lie in front of the near plane, bool [P]."""
    return visible(means3D, viewmatrix)
