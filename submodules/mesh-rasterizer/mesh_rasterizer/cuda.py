"""The CUDA rasteriser: the kernels in order, from tensors to tensors, on torch's current stream, without waiting."""

from typing import NamedTuple

import numpy as np
import torch
from kernel_runtime.cuda import CudaModule

from .topology import Topology

_PACKAGE = "mesh_rasterizer"
# Without fast maths: pixels on edges are decided by the last digits, and the CPU decides them the same way.
_RASTER = CudaModule(_PACKAGE, "raster.cu", ("triangle.cuh",), fast_math=False)
_DRAW_SMALL, _DRAW_LARGE, _RESOLVE = (_RASTER.kernel(name) for name in ("draw_small", "draw_large", "resolve"))
_INTERPOLATION = CudaModule(_PACKAGE, "interpolate.cu", ("triangle.cuh",), fast_math=False)
_INTERPOLATE, _DIFFERENTIATE_WEIGHTS = (_INTERPOLATION.kernel(n) for n in ("interpolate", "differentiate_weights"))
_GRADIENTS = CudaModule(_PACKAGE, "gradients.cu", ("sums.cuh", "triangle.cuh"), fast_math=False)
_SUM_POSITIONS, _SUM_ATTRIBUTES = (_GRADIENTS.kernel(name) for name in ("sum_positions", "sum_attributes"))
_GATHER = {type_: _GRADIENTS.kernel("gather_corners", name) for type_, name in (
    (torch.float64, "double"), (torch.float32, "float"),
)}  # fmt: skip
_ANTIALIAS = CudaModule(_PACKAGE, "antialias.cu", ("triangle.cuh",), fast_math=False)
_FIND, _BLEND, _BLEND_BACKWARD, _MOVE_EDGES = (
    _ANTIALIAS.kernel(name) for name in ("find_crossings", "blend", "blend_backward", "move_edges")
)

_THREADS = 128  # per block
_LARGE_BLOCKS = 1024  # blocks that take turns at the large faces: enough to fill any GPU
_CHANNELS = 4  # as in gradients.cu: channels that one block sums


class Crossings(NamedTuple):
    """Which edge passes between which pixels."""

    keys: torch.Tensor
    """[B,2,H,W] int64, position and number of the edge as antialias.cu packs them; 0 where there is none."""
    is_silhouette: torch.Tensor
    """[B,E] bool."""


def _blocks(threads: int) -> int:
    return -(-threads // _THREADS)


def rasterize(
    vertices: torch.Tensor, topology: Topology, intrinsics: torch.Tensor, width: int, height: int, near: float
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
    """face_id, barycentric, depth and bounds; see `ops.Fragments`."""
    faces, (batch, count) = topology.faces, vertices.shape[:2]
    face_id = vertices.new_empty(batch, height, width, dtype=torch.int64)
    barycentric = vertices.new_empty(batch, height, width, 3)
    depth = vertices.new_empty(batch, height, width)
    bounds = vertices.new_empty(batch, len(faces), 4, dtype=torch.int32)
    keys = torch.full_like(face_id, -1)
    large = face_id.new_empty(batch * len(faces))
    large_count = face_id.new_zeros(1)
    _DRAW_SMALL.launch((_blocks(len(faces)), batch), _THREADS, (
        vertices, faces, intrinsics, np.float64(near), count, len(faces), width, height, bounds, keys, large,
        large_count,
    ))  # fmt: skip
    _DRAW_LARGE.launch(min(_LARGE_BLOCKS, large.numel()), _THREADS, (
        vertices, faces, intrinsics, count, len(faces), width, height, bounds, keys, large, large_count,
    ))  # fmt: skip
    _RESOLVE.launch((_blocks(width * height), batch), _THREADS, (
        vertices, faces, intrinsics, count, width, height, keys, face_id, barycentric, depth,
    ))  # fmt: skip
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
    """Gradient of the vertices. Bit for bit repeatable, as all gradients here."""
    faces, (batch, count) = topology.faces, vertices.shape[:2]
    height, width = face_id.shape[1:]
    corner_grads = vertices.new_empty(batch, len(faces), 3, 3, dtype=torch.float64)
    _SUM_POSITIONS.launch((_blocks(len(faces)), batch), _THREADS, (
        vertices, faces, intrinsics, count, len(faces), width, height, face_id, bounds, barycentric,
        barycentric_grad.contiguous(), corner_grads,
    ))  # fmt: skip
    return _gather(corner_grads, topology, count)


def interpolate(
    barycentric: torch.Tensor, attributes: torch.Tensor, face_id: torch.Tensor, topology: Topology
) -> torch.Tensor:
    """Values [B,H,W,C] of attributes [B or 1,V,C]."""
    values = barycentric.new_empty(*face_id.shape, attributes.shape[2])
    pixels = face_id[0].numel() if len(face_id) else 0
    _INTERPOLATE.launch((_blocks(pixels), len(face_id)), _THREADS, (
        face_id, barycentric, topology.faces, attributes, int(len(attributes) > 1), attributes.shape[1],
        len(topology.faces), attributes.shape[2], pixels, values,
    ))  # fmt: skip
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
    faces, values_grad = topology.faces, values_grad.contiguous()
    (batch, height, width), (count, channels) = face_id.shape, attributes.shape[1:]
    barycentric_grad = torch.empty_like(barycentric)
    _DIFFERENTIATE_WEIGHTS.launch((_blocks(height * width), batch), _THREADS, (
        face_id, faces, attributes, int(len(attributes) > 1), count, len(faces), channels, height * width, values_grad,
        barycentric_grad,
    ))  # fmt: skip
    corner_grads = attributes.new_empty(batch, len(faces), 3, channels)
    _SUM_ATTRIBUTES.launch((_blocks(len(faces)), batch, -(-channels // _CHANNELS)), _THREADS, (
        len(faces), width, height, channels, face_id, bounds, barycentric, values_grad, corner_grads,
    ))  # fmt: skip
    attributes_grad = _gather(corner_grads, topology, count)
    return barycentric_grad, attributes_grad.sum(0, keepdim=True) if len(attributes) == 1 else attributes_grad


def _gather(corner_grads: torch.Tensor, topology: Topology, count: int) -> torch.Tensor:
    """[B,V,C] float32 sums of corner_grads [B,F,3,C] at every one of `count` vertices."""
    batch, face_count, _, channels = corner_grads.shape
    starts, corners = topology.corners(count)
    output = corner_grads.new_empty(batch, count, channels, dtype=torch.float32)
    _GATHER[corner_grads.dtype].launch((_blocks(count * channels), batch), _THREADS, (
        corner_grads, starts, corners, count, face_count, channels, output,
    ))  # fmt: skip
    return output


def find_crossings(
    vertices: torch.Tensor, topology: Topology, intrinsics: torch.Tensor, depth: torch.Tensor, near: float
) -> Crossings:
    """The silhouettes of a mesh over its depth [B,H,W]."""
    batch, height, width = depth.shape
    edges = topology.edges
    count = len(edges.vertices)
    keys = depth.new_zeros(batch, 2, height, width, dtype=torch.int64)
    is_silhouette = depth.new_empty(batch, count, dtype=torch.bool)
    _FIND.launch((_blocks(count), batch), _THREADS, (
        vertices, *edges, intrinsics, np.float64(near), vertices.shape[1], count, width, height, depth, is_silhouette,
        keys,
    ))  # fmt: skip
    return Crossings(keys, is_silhouette)


def blend(image: torch.Tensor, crossings: Crossings) -> torch.Tensor:
    """`image` [B,H,W,C] mixed across the silhouettes."""
    batch, height, width, channels = image.shape
    output = torch.empty_like(image)
    grid = _blocks(height * width), batch
    _BLEND.launch(grid, _THREADS, (image, crossings.keys, width, height, channels, output))
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
    """Gradients of image and vertices. Bit for bit repeatable."""
    batch, height, width, channels = image.shape
    edges, output_grad, count = topology.edges, output_grad.contiguous(), vertices.shape[1]
    image_grad, vertices_grad = torch.empty_like(image), torch.empty_like(vertices)
    grid = _blocks(height * width), batch
    _BLEND_BACKWARD.launch(grid, _THREADS, (output_grad, crossings.keys, width, height, channels, image_grad))
    starts, ends = topology.ends(count)
    _MOVE_EDGES.launch((_blocks(count), batch), _THREADS, (
        vertices, *edges, intrinsics, np.float64(near), count, len(edges.vertices), width, height, channels,
        crossings.is_silhouette, crossings.keys, starts, ends, image, output_grad, vertices_grad,
    ))  # fmt: skip
    return image_grad, vertices_grad
