"""The CPU rasteriser: the numba kernels in order, from tensors to tensors."""

from typing import NamedTuple

import torch
from kernel_runtime import as_numpy

from . import cpu_antialias, cpu_raster
from .topology import Topology

# Rows that one task draws: enough tasks for the cores, few enough that going through all faces stays cheap.
_BAND_ROWS = 64


class Crossings(NamedTuple):
    """Which edge passes between which pixels, along rows and columns."""

    position: torch.Tensor
    """[B,2,H,W], pixels from the border that a pair shares."""
    owner: torch.Tensor
    """[B,2,H,W] int32, the edge; -1 if none."""


def rasterize(
    vertices: torch.Tensor, topology: Topology, intrinsics: torch.Tensor, width: int, height: int, near: float
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
    """face_id, barycentric, depth and bounds; see `ops.Fragments`."""
    batch = vertices.shape[0]
    face_id = torch.full((batch, height, width), -1, dtype=torch.int64)
    barycentric = torch.zeros(batch, height, width, 3)
    depth = torch.full((batch, height, width), torch.inf)
    bounds = torch.empty(batch, len(topology.faces), 4, dtype=torch.int32)
    inputs = [as_numpy(tensor) for tensor in (vertices, topology.faces, intrinsics)]
    outputs = [as_numpy(tensor) for tensor in (face_id, barycentric, depth)]
    cpu_raster.rasterize(*inputs, near, as_numpy(bounds), _BAND_ROWS, *outputs)
    return face_id, barycentric, depth, bounds


def rasterize_backward(
    vertices: torch.Tensor,
    topology: Topology,
    intrinsics: torch.Tensor,
    face_id: torch.Tensor,
    barycentric: torch.Tensor,
    bounds: torch.Tensor,
    barycentric_grad: torch.Tensor,
) -> torch.Tensor:
    """Gradient of the vertices."""
    vertices_grad = torch.zeros(vertices.shape, dtype=torch.float64)
    inputs = (vertices, topology.faces, intrinsics, face_id, barycentric, barycentric_grad)
    cpu_raster.rasterize_backward(*(as_numpy(tensor) for tensor in inputs), as_numpy(vertices_grad))
    return vertices_grad.float()


def interpolate(
    barycentric: torch.Tensor, attributes: torch.Tensor, face_id: torch.Tensor, topology: Topology
) -> torch.Tensor:
    """Values [B,H,W,C] of attributes [B or 1,V,C]."""
    values = torch.zeros(*face_id.shape, attributes.shape[2])
    tensors = (face_id, barycentric, topology.faces, attributes, values)
    cpu_raster.interpolate(*(as_numpy(tensor) for tensor in tensors))
    return values


def interpolate_backward(
    barycentric: torch.Tensor,
    attributes: torch.Tensor,
    face_id: torch.Tensor,
    bounds: torch.Tensor,
    topology: Topology,
    values_grad: torch.Tensor,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Gradients of barycentrics and attributes."""
    barycentric_grad = torch.zeros_like(barycentric)
    attributes_grad = torch.zeros(face_id.shape[0], *attributes.shape[1:])
    inputs = (face_id, barycentric, topology.faces, attributes, values_grad, barycentric_grad, attributes_grad)
    cpu_raster.interpolate_backward(*(as_numpy(tensor) for tensor in inputs))
    if attributes.shape[0] == 1:
        attributes_grad = attributes_grad.sum(0, keepdim=True)
    return barycentric_grad, attributes_grad


def find_crossings(
    vertices: torch.Tensor, topology: Topology, intrinsics: torch.Tensor, depth: torch.Tensor, near: float
) -> Crossings:
    """The silhouettes of a mesh over its depth [B,H,W]."""
    batch, height, width = depth.shape
    crossings = Crossings(
        torch.zeros(batch, 2, height, width), torch.full((batch, 2, height, width), -1, dtype=torch.int32)
    )
    inputs = [as_numpy(tensor) for tensor in (vertices, *topology.edges, intrinsics)]
    cpu_antialias.find_crossings(*inputs, near, *(as_numpy(tensor) for tensor in (depth, *crossings)))
    return crossings


def blend(image: torch.Tensor, crossings: Crossings) -> torch.Tensor:
    """`image` [B,H,W,C] mixed across the silhouettes."""
    output = image.detach().clone()
    cpu_antialias.blend(*(as_numpy(tensor) for tensor in (image, *crossings, output)))
    return output


def blend_backward(
    image: torch.Tensor,
    vertices: torch.Tensor,
    topology: Topology,
    intrinsics: torch.Tensor,
    crossings: Crossings,
    near: float,
    output_grad: torch.Tensor,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Gradients of image and vertices."""
    image_grad = output_grad.contiguous().clone()
    vertices_grad = torch.zeros(vertices.shape, dtype=torch.float64)
    inputs = (image, vertices, topology.edges.vertices, intrinsics, *crossings, output_grad, image_grad, vertices_grad)
    cpu_antialias.blend_backward(*(as_numpy(tensor) for tensor in inputs))
    return image_grad, vertices_grad.float()
