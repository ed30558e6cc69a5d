"""Plain torch in any float dtype, as written in the contract: the oracle of the tests, far too slow for real meshes."""

import torch

from .ops import Fragments
from .topology import edge_table


def _rays(intrinsics: torch.Tensor, width: int, height: int) -> torch.Tensor:
    """[H,W,3] camera-space directions through the pixel centres, z = 1, of one camera's (fx, fy, cx, cy)."""
    fx, fy, cx, cy = intrinsics
    x = (torch.arange(width, dtype=intrinsics.dtype) + 0.5 - cx) / fx
    y = (torch.arange(height, dtype=intrinsics.dtype) + 0.5 - cy) / fy
    return torch.stack([x.expand(height, width), y[:, None].expand(height, width), torch.ones(height, width).to(x)], -1)


def _weights(corners: torch.Tensor, rays: torch.Tensor) -> torch.Tensor:
    """[...,3] ray . (v_j x v_k) for corners [...,3,3]: barycentric weights of where the ray meets the plane."""
    following, preceding = corners.roll(-1, dims=-2), corners.roll(-2, dims=-2)
    return (torch.linalg.cross(following, preceding) * rays[..., None, :]).sum(-1)


def rasterize(
    camera_vertices: torch.Tensor,
    faces: torch.Tensor,
    intrinsics: torch.Tensor,
    width: int,
    height: int,
    near: float = 0.01,
) -> Fragments:
    """As `mesh_rasterizer.rasterize`, testing every pixel against every face."""
    face_ids, barycentrics, depths = [], [], []
    for vertices, camera in zip(camera_vertices, intrinsics, strict=True):
        rays = _rays(camera, width, height)
        best = torch.full((height, width), torch.inf, dtype=vertices.dtype)
        face_id = torch.full((height, width), -1)
        for index, face in enumerate(faces.long()):
            corners = vertices[face].detach()
            if not bool((corners[:, 2] >= near).all()):
                continue
            weights = _weights(corners, rays)
            total = weights.sum(-1)
            inside = (weights >= 0).all(-1) | (weights <= 0).all(-1)
            depth = (weights * corners[:, 2]).sum(-1) / total
            nearer = inside & (total.abs() > 1e-14 * corners[0, 2] ** 2) & (depth < best)
            best = torch.where(nearer, depth, best)
            face_id = torch.where(nearer, index, face_id)
        covered = face_id >= 0
        weights = _weights(vertices[faces.long()[face_id[covered]]], rays[covered])
        barycentric = torch.zeros(height, width, 3, dtype=vertices.dtype)
        barycentric[covered] = weights / weights.sum(-1, keepdim=True)
        face_ids.append(face_id)
        barycentrics.append(barycentric)
        depths.append(best)
    bounds = torch.tensor([0, width - 1, 0, height - 1], dtype=torch.int32).expand(len(face_ids), len(faces), 4)
    return Fragments(torch.stack(face_ids), torch.stack(barycentrics), torch.stack(depths), near, bounds)


def interpolate(fragments: Fragments, faces: torch.Tensor, attributes: torch.Tensor) -> torch.Tensor:
    """As `mesh_rasterizer.interpolate`."""
    batch = fragments.face_id.shape[0]
    covered = fragments.face_id >= 0
    image = torch.arange(batch)[:, None, None].expand(covered.shape)[covered]
    corners = faces.long()[fragments.face_id[covered]]
    values = attributes.expand(batch, *attributes.shape[-2:])[image[:, None], corners]
    output = torch.zeros(*covered.shape, attributes.shape[-1], dtype=attributes.dtype)
    output[covered] = (fragments.barycentric[covered][..., None] * values).sum(-2)
    return output


def antialias(
    image: torch.Tensor,
    fragments: Fragments,
    camera_vertices: torch.Tensor,
    faces: torch.Tensor,
    intrinsics: torch.Tensor,
) -> torch.Tensor:
    """As `mesh_rasterizer.antialias`, one edge and one line of pixels at a time."""
    table = edge_table(faces)
    outputs = []
    for index, vertices in enumerate(camera_vertices):
        depth = fragments.depth[index]
        z = vertices[:, 2:]
        screen = vertices[:, :2] / z * intrinsics[index, :2] + intrinsics[index, 2:]
        pairs: dict[tuple[int, int, int], torch.Tensor] = {}
        for (a, b), opposite in zip(table.vertices.tolist(), table.opposite.tolist(), strict=True):
            third = [v for v in opposite if v >= 0 and bool(z[v] >= fragments.near)]
            if not third or third[0] != opposite[0] or not bool((z[[a, b]] >= fragments.near).all()):
                continue
            edge = screen[b] - screen[a]
            sides = [float(edge[0] * (screen[v] - screen[a])[1] - edge[1] * (screen[v] - screen[a])[0]) for v in third]
            if sides[0] * sides[-1] < 0 or not any(sides):
                continue
            axis = 0 if abs(edge[1]) >= abs(edge[0]) else 1
            toward = (-1 if axis == 0 else 1) * next(s for s in sides if s) * float(edge[1 - axis])
            _offer(pairs, axis, toward > 0, screen[[a, b]], z[[a, b], 0], depth)
        output = image[index].clone()
        for (axis, row, column), offset in pairs.items():
            first = image[index, row, column]
            second = image[index, row + axis, column + 1 - axis]
            if offset > 0:
                output[row + axis, column + 1 - axis] += offset * (first - second)
            else:
                output[row, column] += offset * (first - second)
        outputs.append(output)
    return torch.stack(outputs)


def _offer(
    pairs: dict[tuple[int, int, int], torch.Tensor],
    axis: int,
    faces_beyond: bool,
    ends: torch.Tensor,
    end_depths: torch.Tensor,
    depth: torch.Tensor,
) -> None:
    """Enter into `pairs` where an edge with screen `ends` [2,2] passes between pixel centres along `axis`."""
    low, high = sorted(ends[:, 1 - axis].tolist())
    lines = depth if axis == 0 else depth.T
    for line in range(lines.shape[0]):
        if not low <= line + 0.5 < high:
            continue
        s = (line + 0.5 - ends[0, 1 - axis]) / (ends[1, 1 - axis] - ends[0, 1 - axis])
        position = ends[0, axis] + s * (ends[1, axis] - ends[0, axis])
        first = int(torch.floor(position - 0.5))
        if first < 0 or first + 1 >= lines.shape[1]:
            continue
        covered, beyond = (first + 1, first) if faces_beyond else (first, first + 1)
        edge_depth = 1 / ((1 - s) / end_depths[0] + s / end_depths[1])
        if torch.isinf(lines[line, covered]) or lines[line, beyond] <= torch.maximum(edge_depth, lines[line, covered]):
            continue
        offset = position - (first + 1)
        key = (axis, line, first) if axis == 0 else (axis, first, line)
        if key not in pairs or (offset < pairs[key] if faces_beyond else offset > pairs[key]):
            pairs[key] = offset
