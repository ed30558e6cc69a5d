"""Upstream's helpers around the shaders: maps, camera rays, points on triangles, tracker poses and bit fields."""

import torch
from kernel_runtime import ArgumentError, check_tensor, device_of, require_cpu
from torch import Tensor
from torch.nn.functional import normalize

from .envmap import blur_envmap, sample_envmap
from .rotations import axis_angle_from_6d
from .triangle_search import nearest_triangles
from .triangles import closest_barycentric
from .visibility import BITS, check_indices, unpack_bits


def sample_envmap_forward(query_point: Tensor, envmap: Tensor) -> Tensor:
    """Bilinear lookup [C, P] of `envmap` [C, H, W] along the directions `query_point` [3, P]."""
    device_of("sample_envmap_forward", query_point, envmap)
    query_point = check_tensor("query_point", query_point, (3, None))
    return sample_envmap(check_tensor("envmap", envmap, (None, None, None)), query_point.t()).t().contiguous()


def blur_envmap_forward(envmap: Tensor, tar_H: int, tar_W: int, N_samples: int, alpha: float) -> Tensor:
    """`envmap` [C, H, W] resampled to [C, tar_H, tar_W] through a lobe of width `alpha`; see `envmap.blur_envmap`."""
    device_of("blur_envmap_forward", envmap)
    return blur_envmap(check_tensor("envmap", envmap, (None, None, None)), tar_H, tar_W, N_samples, alpha)


def generate_camera_ray_forward(
    proj: Tensor, c2w: Tensor | None, H: int, W: int, flipY: bool, normalize_rays: bool, z_sign: float
) -> Tensor:
    """View rays [3, H, W] through the pixel centres of a camera with projection `proj` [4, 4].

    z_sign is 1 where the camera looks along +z (OpenCV), -1 along -z (OpenGL). With `c2w` [4, 4] rays are turned into
    world space; otherwise their z is z_sign unless they are normalised.
    """
    device_of("generate_camera_ray_forward", proj, c2w)
    proj = check_tensor("proj", proj, (4, 4))
    columns = (torch.arange(W, dtype=proj.dtype, device=proj.device) + 0.5) / W * 2 - 1
    rows = (torch.arange(H, dtype=proj.dtype, device=proj.device) + 0.5) / H * 2 - 1
    if flipY:
        rows = rows.flip(0)
    v, u = torch.meshgrid(rows, columns, indexing="ij")
    plane = torch.stack((u - z_sign * proj[0, 2], v - z_sign * proj[1, 2])).flatten(1)
    xy = torch.linalg.solve(proj[:2, :2], plane)
    rays = torch.cat((xy, torch.full_like(xy[:1], z_sign)))
    if c2w is not None:
        rays = check_tensor("c2w", c2w, (4, 4))[:3, :3] @ rays
    if normalize_rays:
        rays = normalize(rays, dim=0)
    return rays.view(3, H, W)


def get_uv_of_triangle_forward(triangles: Tensor, query_pos: Tensor) -> Tensor:
    """Barycentrics [P, 3] of the points of `triangles` [P, 3, 3] closest to `query_pos` [P, 3]."""
    device_of("get_uv_of_triangle_forward", triangles, query_pos)
    triangles = check_tensor("triangles", triangles, (None, 3, 3))
    return closest_barycentric(triangles, check_tensor("query_pos", query_pos, (len(triangles), 3)))


def get_uv_of_triangle_backward(triangles: Tensor, query_pos: Tensor, grad_bary: Tensor) -> Tensor:
    """Gradient [P, 3] for `query_pos`, given that of the barycentrics [P, 3]."""
    leaf = query_pos.detach().requires_grad_()
    with torch.enable_grad():
        barycentric = get_uv_of_triangle_forward(triangles, leaf)
    (grad,) = torch.autograd.grad(barycentric, leaf, check_tensor("grad_bary", grad_bary, tuple(barycentric.shape)))
    return grad


def get_nearest_mesh_points_forward(
    adjacency_head: Tensor,
    adjacency_list: Tensor,
    face_vertex_list: Tensor,
    vertex_pos: Tensor,
    query_pos: Tensor,
    idxs: Tensor,
) -> list[Tensor]:
    """Nearest triangle [P] int64 of each query, among those around its candidate vertices, and barycentrics [3, P].

    adjacency_head [2, V] int32 holds the number of faces around each vertex and its inclusive sum, adjacency_list the
    faces grouped by vertex; face_vertex_list [3, F] int32, vertex_pos [3, V], query_pos [3, P], idxs [P, K] int64 with
    negative entries for no candidate.

    Raises:
        ArgumentError: an index is out of range, or a query has no candidate (a larger search radius is needed).
    """
    require_cpu("get_nearest_mesh_points_forward", vertex_pos, query_pos, idxs)
    vertices, faces = _mesh(face_vertex_list, vertex_pos)
    head = check_tensor("adjacency_head", adjacency_head, (2, len(vertices)), torch.int32)
    ring = check_tensor("adjacency_list", adjacency_list, (None,), torch.int32)
    points = check_tensor("query_pos", query_pos, (3, None)).t()
    candidates = check_tensor("idxs", idxs, (len(points), None), torch.int64)
    check_indices("adjacency_head", torch.cat((head[1] - head[0], head[1])), len(ring) + 1)
    check_indices("adjacency_list", ring, len(faces))
    check_indices("idxs", candidates.clamp(min=0), len(vertices))
    face = nearest_triangles(head[1], head[0], ring, faces.int(), vertices, points, candidates)
    return [face, closest_barycentric(vertices[faces[face]], points).t().contiguous()]


def get_nearest_mesh_points_backward(
    face_vertex_list: Tensor, vertex_pos: Tensor, query_pos: Tensor, nearest_triangle_id: Tensor, grad_bary: Tensor
) -> Tensor:
    """Gradient [3, P] for `query_pos`, given that of the barycentrics [3, P] on the triangles found."""
    vertices, faces = _mesh(face_vertex_list, vertex_pos)
    query_pos = check_tensor("query_pos", query_pos, (3, None))
    face = check_tensor("nearest_triangle_id", nearest_triangle_id, (query_pos.shape[1],), torch.int64)
    grad_bary = check_tensor("grad_bary", grad_bary, tuple(query_pos.shape))
    check_indices("nearest_triangle_id", face, len(faces))
    return get_uv_of_triangle_backward(vertices[faces[face]], query_pos.t(), grad_bary.t()).t().contiguous()


def mt_format_conversion_forward(jaw: Tensor, eyes: Tensor) -> Tensor:
    """FLAME pose [N, 15] (global and neck zero, then jaw and both eyes as axis-angle) of `jaw` [N, 6], `eyes` [N, 12].

    The inputs are 6D rotations as metrical-tracker writes them.
    """
    device_of("mt_format_conversion_forward", jaw, eyes)
    jaw = check_tensor("jaw", jaw, (None, 6))
    eyes = check_tensor("eyes", eyes, (len(jaw), 12))
    joints = axis_angle_from_6d(torch.cat((jaw, eyes), dim=1).view(-1, 3, 6))
    return torch.cat((torch.zeros_like(jaw), joints.flatten(1)), dim=1)


def extract_bitfield_forward(bitfield: Tensor, N_bit: int, i_start: int, i_end: int) -> Tensor:
    """Bits [i_end - i_start, N_bit] as 0 and 1 of the columns i_start to i_end of `bitfield` [S, N] int32."""
    device_of("extract_bitfield_forward", bitfield)
    bitfield = check_tensor("bitfield", bitfield, (None, None), torch.int32)
    if not 0 <= i_start <= i_end <= bitfield.shape[1]:
        raise ArgumentError(f"i_start, i_end: [{i_start}, {i_end}) does not lie in [0, {bitfield.shape[1]})")
    if not 0 <= N_bit <= bitfield.shape[0] * BITS:
        raise ArgumentError(f"N_bit: {N_bit} does not lie in [0, {bitfield.shape[0] * BITS}]")
    return unpack_bits(bitfield[:, i_start:i_end].t(), N_bit).float()


def _mesh(face_vertex_list: Tensor, vertex_pos: Tensor) -> tuple[Tensor, Tensor]:
    """Vertices [V, 3] and int64 faces [F, 3] of upstream's planar tensors."""
    vertices = check_tensor("vertex_pos", vertex_pos, (3, None)).t()
    faces = check_tensor("face_vertex_list", face_vertex_list, (3, None), torch.int32).t().long()
    check_indices("face_vertex_list", faces, len(vertices))
    return vertices, faces
