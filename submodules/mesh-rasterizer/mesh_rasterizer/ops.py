"""The contract of the rasteriser: argument checks, dispatch by device, autograd.

On CUDA devices nothing waits for the device but the first call and the first gradient with a faces tensor, which make
its tables (see `topology`); later ones may be captured in a CUDA graph. All results are the same bits in every run.
"""

from dataclasses import dataclass
from types import ModuleType

import torch
from kernel_runtime import ArgumentError, check_tensor, device_of
from torch.autograd.function import once_differentiable

from . import cpu, cuda
from .topology import Topology, topology


@dataclass(frozen=True)
class Fragments:
    """What a pixel's centre sees."""

    face_id: torch.Tensor
    """[B,H,W] int64, the nearest face; -1 where there is none."""
    barycentric: torch.Tensor
    """[B,H,W,3], perspective-correct weights of the face's corners, differentiable; 0 outside."""
    depth: torch.Tensor
    """[B,H,W], camera z in the vertices' unit; inf outside. Not differentiable: interpolate z instead."""
    near: float
    """The near distance it was drawn with."""
    bounds: torch.Tensor
    """[B,F,4] int32, first and last column, first and last row that each face may cover; the last before the first
    where it covers none."""


def rasterize(
    camera_vertices: torch.Tensor,
    faces: torch.Tensor,
    intrinsics: torch.Tensor,
    width: int,
    height: int,
    near: float = 0.01,
) -> Fragments:
    """Draw triangles as seen by OpenCV cameras, both sides, the nearest one of each pixel.

    Args:
        camera_vertices: [B,V,3] float32 in camera space (x right, y down, z forward).
        faces: [F,3] int64 or int32, indices into V. A face with a corner nearer than `near` is dropped whole. On CUDA
            devices that indices are valid is left to the caller: checking would wait. Faces with others are dropped.
        intrinsics: [B,4] float32, (fx, fy, cx, cy) in pixels; pixel centres lie at integer + 0.5.
        width, height: of the images, in pixels.
        near: in the vertices' unit, positive.

    Raises:
        ArgumentError: for a wrong shape, dtype, index or range, or tensors on several devices.
    """
    vertices = check_tensor("camera_vertices", camera_vertices, (None, None, 3))
    intrinsics = check_tensor("intrinsics", intrinsics, (vertices.shape[0], 4))
    backend = _backend("rasterize", vertices, faces, intrinsics)
    tables = _check_faces(backend, faces, vertices.shape[1])
    if width < 1 or height < 1:
        raise ArgumentError(f"width, height: expected at least 1, got {width} x {height}")
    if near <= 0:
        raise ArgumentError(f"near: expected a positive distance, got {near}")
    face_id, barycentric, depth, bounds = _Rasterize.apply(vertices, intrinsics, backend, tables, width, height, near)
    return Fragments(face_id, barycentric, depth, near, bounds)


def interpolate(fragments: Fragments, faces: torch.Tensor, attributes: torch.Tensor) -> torch.Tensor:
    """Vertex attributes [V,C] (shared by the batch) or [B,V,C] at the fragments -> [B,H,W,C]; 0 where nothing is.

    Differentiable with respect to the attributes and, through the barycentrics, to the vertices.

    Raises:
        ArgumentError: for a wrong shape, dtype or index, or tensors on several devices.
    """
    batch = fragments.face_id.shape[0]
    shared = attributes.ndim == 2
    attributes = attributes[None] if shared else attributes
    attributes = check_tensor("attributes", attributes, (1 if shared else batch, None, None))
    backend = _backend("interpolate", attributes, faces, fragments.face_id)
    tables = _check_faces(backend, faces, attributes.shape[1])
    drawn = fragments.bounds.shape[1]
    if len(faces) != drawn:
        raise ArgumentError(f"faces: expected the {drawn} that the fragments were drawn from, got {len(faces)}")
    return _Interpolate.apply(fragments.barycentric, attributes, fragments.face_id, fragments.bounds, backend, tables)


def antialias(
    image: torch.Tensor,
    fragments: Fragments,
    camera_vertices: torch.Tensor,
    faces: torch.Tensor,
    intrinsics: torch.Tensor,
) -> torch.Tensor:
    """Smooth the silhouettes of an image [B,H,W,C] drawn from `fragments`.

    Wherever a silhouette edge (its faces lie on one side of it on screen, or it has only one) passes between a pixel
    that its surface covers and a neighbour farther away, the pixel on whose area the edge lies takes the other one's
    colour in proportion to the part of it beyond the edge. That is exact area coverage for edges along the axes and
    makes the covered area, hence its gradient, exact for straight edges in general. The edges are those of the mesh,
    not of the visible faces alone, so triangles smaller than a pixel are handled.

    Differentiable with respect to the image and to the vertices through the position of the edges. Arguments as in
    `rasterize`, the same that `fragments` came from.

    Raises:
        ArgumentError: for a wrong shape, dtype or index, or tensors on several devices.
    """
    batch, height, width = fragments.face_id.shape
    image = check_tensor("image", image, (batch, height, width, None))
    vertices = check_tensor("camera_vertices", camera_vertices, (batch, None, 3))
    intrinsics = check_tensor("intrinsics", intrinsics, (batch, 4))
    backend = _backend("antialias", image, vertices, faces, intrinsics, fragments.depth)
    tables = _check_faces(backend, faces, vertices.shape[1])
    return _Antialias.apply(image, vertices, intrinsics, fragments.depth, backend, tables, fragments.near)


def _backend(operation: str, *tensors: torch.Tensor) -> ModuleType:
    """The kernels for the device of the tensors."""
    return cpu if device_of(operation, *tensors) == "cpu" else cuda


def _check_faces(backend: ModuleType, faces: torch.Tensor, vertex_count: int) -> Topology:
    """The tables of `faces`, whose indices are checked where that costs no waiting for a device."""
    dtype = torch.int32 if faces.dtype == torch.int32 else torch.int64
    check_tensor("faces", faces, (None, 3), dtype)
    if backend is cpu and faces.numel():
        low, high = torch.aminmax(faces)
        if low < 0 or high >= vertex_count:
            raise ArgumentError(f"faces: expected indices in [0, {vertex_count}), got {int(low)} to {int(high)}")
    return topology(faces)


class _Rasterize(torch.autograd.Function):
    @staticmethod
    def forward(ctx, vertices, intrinsics, backend, tables, width, height, near):
        outputs = backend.rasterize(vertices, tables, intrinsics, width, height, near)
        face_id, barycentric, depth, bounds = outputs
        ctx.save_for_backward(vertices, intrinsics, face_id, barycentric, bounds)
        ctx.mark_non_differentiable(face_id, depth, bounds)
        ctx.backend, ctx.tables = backend, tables
        return outputs

    @staticmethod
    @once_differentiable
    def backward(ctx, _face_id_grad, barycentric_grad, *_):
        vertices, *others = ctx.saved_tensors
        vertices_grad = ctx.backend.rasterize_backward(vertices, ctx.tables, *others, barycentric_grad)
        return vertices_grad, None, None, None, None, None, None


class _Interpolate(torch.autograd.Function):
    @staticmethod
    def forward(ctx, barycentric, attributes, face_id, bounds, backend, tables):
        ctx.save_for_backward(barycentric, attributes, face_id, bounds)
        ctx.backend, ctx.tables = backend, tables
        return backend.interpolate(barycentric, attributes, face_id, tables)

    @staticmethod
    @once_differentiable
    def backward(ctx, values_grad):
        grads = ctx.backend.interpolate_backward(*ctx.saved_tensors, ctx.tables, values_grad)
        return *grads, None, None, None, None


class _Antialias(torch.autograd.Function):
    @staticmethod
    def forward(ctx, image, vertices, intrinsics, depth, backend, tables, near):
        crossings = backend.find_crossings(vertices, tables, intrinsics, depth, near)
        ctx.save_for_backward(image, vertices, intrinsics, *crossings)
        ctx.backend, ctx.tables, ctx.near = backend, tables, near
        return backend.blend(image, crossings)

    @staticmethod
    @once_differentiable
    def backward(ctx, output_grad):
        image, vertices, intrinsics, *crossings = ctx.saved_tensors
        grads = ctx.backend.blend_backward(
            image, vertices, ctx.tables, intrinsics, ctx.backend.Crossings(*crossings), ctx.near, output_grad
        )
        return *grads, None, None, None, None, None
