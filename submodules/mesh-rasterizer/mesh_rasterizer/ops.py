"""The contract of the rasteriser: argument checks, dispatch by device, autograd."""

from dataclasses import dataclass

import torch
from kernel_runtime import ArgumentError, as_numpy, check_tensor, require_cpu

from . import cpu, cpu_antialias
from .edges import edge_table

# Rows that one task draws: enough tasks for the cores, few enough that going through all faces stays cheap.
_BAND_ROWS = 64


@dataclass(frozen=True)
class Fragments:
    """What a pixel's centre sees.

    Attributes:
        face_id: [B,H,W] int64, the nearest face; -1 where there is none.
        barycentric: [B,H,W,3], perspective-correct weights of the face's corners, differentiable; 0 outside.
        depth: [B,H,W], camera z in the vertices' unit; inf outside. Not differentiable: interpolate z instead.
        near: the near distance it was drawn with.
    """

    face_id: torch.Tensor
    barycentric: torch.Tensor
    depth: torch.Tensor
    near: float


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
        faces: [F,3] int64 or int32, indices into V. A face with a corner nearer than `near` is dropped whole.
        intrinsics: [B,4] float32, (fx, fy, cx, cy) in pixels; pixel centres lie at integer + 0.5.
        width, height: of the images, in pixels.
        near: in the vertices' unit, positive.

    Raises:
        ArgumentError: for a wrong shape, dtype, index or range; UnsupportedDevice off the CPU.
    """
    vertices = check_tensor("camera_vertices", camera_vertices, (None, None, 3))
    intrinsics = check_tensor("intrinsics", intrinsics, (vertices.shape[0], 4))
    faces = _check_faces(faces, vertices.shape[1])
    if width < 1 or height < 1:
        raise ArgumentError(f"width, height: expected at least 1, got {width} x {height}")
    if near <= 0:
        raise ArgumentError(f"near: expected a positive distance, got {near}")
    require_cpu("rasterize", vertices, faces, intrinsics)
    face_id, barycentric, depth = _Rasterize.apply(vertices, faces, intrinsics, width, height, near)
    return Fragments(face_id, barycentric, depth, near)


def interpolate(fragments: Fragments, faces: torch.Tensor, attributes: torch.Tensor) -> torch.Tensor:
    """Vertex attributes [V,C] (shared by the batch) or [B,V,C] at the fragments -> [B,H,W,C]; 0 where nothing is.

    Differentiable with respect to the attributes and, through the barycentrics, to the vertices.

    Raises:
        ArgumentError: for a wrong shape, dtype or index; UnsupportedDevice off the CPU.
    """
    batch = fragments.face_id.shape[0]
    shared = attributes.ndim == 2
    attributes = attributes[None] if shared else attributes
    attributes = check_tensor("attributes", attributes, (1 if shared else batch, None, None))
    faces = _check_faces(faces, attributes.shape[1])
    require_cpu("interpolate", attributes, faces, fragments.face_id)
    return _Interpolate.apply(fragments.barycentric, attributes, fragments.face_id, faces)


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
        ArgumentError: for a wrong shape, dtype or index; UnsupportedDevice off the CPU.
    """
    batch, height, width = fragments.face_id.shape
    image = check_tensor("image", image, (batch, height, width, None))
    vertices = check_tensor("camera_vertices", camera_vertices, (batch, None, 3))
    intrinsics = check_tensor("intrinsics", intrinsics, (batch, 4))
    _check_faces(faces, vertices.shape[1])
    require_cpu("antialias", image, vertices, faces, intrinsics)
    return _Antialias.apply(image, vertices, intrinsics, fragments.depth, edge_table(faces), fragments.near)


def _check_faces(faces: torch.Tensor, vertex_count: int) -> torch.Tensor:
    """`faces` as contiguous int32, all indices valid."""
    dtype = torch.int32 if isinstance(faces, torch.Tensor) and faces.dtype == torch.int32 else torch.int64
    faces = check_tensor("faces", faces, (None, 3), dtype)
    if faces.numel():
        low, high = torch.aminmax(faces)
        if low < 0 or high >= vertex_count:
            raise ArgumentError(f"faces: expected indices in [0, {vertex_count}), got {int(low)} to {int(high)}")
    return faces.to(torch.int32)


class _Rasterize(torch.autograd.Function):
    @staticmethod
    def forward(ctx, vertices, faces, intrinsics, width, height, near):
        batch = vertices.shape[0]
        face_id = torch.full((batch, height, width), -1, dtype=torch.int64)
        barycentric = torch.zeros(batch, height, width, 3)
        depth = torch.full((batch, height, width), torch.inf)
        bounds = torch.empty(batch, faces.shape[0], 4, dtype=torch.int32)
        inputs = [as_numpy(tensor) for tensor in (vertices, faces, intrinsics)]
        outputs = [as_numpy(tensor) for tensor in (face_id, barycentric, depth)]
        cpu.rasterize(*inputs, near, as_numpy(bounds), _BAND_ROWS, *outputs)
        ctx.save_for_backward(vertices, faces, intrinsics, face_id, barycentric)
        ctx.mark_non_differentiable(face_id, depth)
        return face_id, barycentric, depth

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx, _face_id_grad, barycentric_grad, _depth_grad):
        vertices_grad = torch.zeros(ctx.saved_tensors[0].shape, dtype=torch.float64)
        inputs = [as_numpy(tensor) for tensor in (*ctx.saved_tensors, barycentric_grad)]
        cpu.rasterize_backward(*inputs, as_numpy(vertices_grad))
        return vertices_grad.float(), None, None, None, None, None


class _Interpolate(torch.autograd.Function):
    @staticmethod
    def forward(ctx, barycentric, attributes, face_id, faces):
        values = torch.zeros(*face_id.shape, attributes.shape[2])
        cpu.interpolate(*(as_numpy(tensor) for tensor in (face_id, barycentric, faces, attributes, values)))
        ctx.save_for_backward(face_id, barycentric, faces, attributes)
        return values

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx, values_grad):
        face_id, barycentric, faces, attributes = ctx.saved_tensors
        barycentric_grad = torch.zeros_like(barycentric)
        attributes_grad = torch.zeros(face_id.shape[0], *attributes.shape[1:])
        inputs = (face_id, barycentric, faces, attributes, values_grad, barycentric_grad, attributes_grad)
        cpu.interpolate_backward(*(as_numpy(tensor) for tensor in inputs))
        if attributes.shape[0] == 1:
            attributes_grad = attributes_grad.sum(0, keepdim=True)
        return barycentric_grad, attributes_grad, None, None


class _Antialias(torch.autograd.Function):
    @staticmethod
    def forward(ctx, image, vertices, intrinsics, depth, edges, near):
        batch, height, width = depth.shape
        crossing = torch.zeros(batch, 2, height, width)
        owner = torch.full((batch, 2, height, width), -1, dtype=torch.int32)
        cpu_antialias.find_crossings(
            as_numpy(vertices), *edges, as_numpy(intrinsics), near, *(as_numpy(t) for t in (depth, crossing, owner))
        )
        output = image.detach().clone()
        cpu_antialias.blend(*(as_numpy(tensor) for tensor in (image, crossing, owner, output)))
        ctx.save_for_backward(image, vertices, intrinsics, crossing, owner)
        ctx.edge_vertices = edges.vertices
        return output

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx, output_grad):
        image, vertices, intrinsics, crossing, owner = (as_numpy(tensor) for tensor in ctx.saved_tensors)
        image_grad = output_grad.contiguous().clone()
        vertices_grad = torch.zeros(vertices.shape, dtype=torch.float64)
        gradients = [as_numpy(tensor) for tensor in (output_grad, image_grad, vertices_grad)]
        cpu_antialias.blend_backward(image, vertices, ctx.edge_vertices, intrinsics, crossing, owner, *gradients)
        return image_grad, vertices_grad.float(), None, None, None, None
