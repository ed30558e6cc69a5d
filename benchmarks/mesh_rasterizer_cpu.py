"""Times the mesh rasteriser on a head-sized mesh: `python -P mesh_rasterizer.py [thousands of faces] [pixels]`."""

import itertools
import statistics
import sys
import time

import mesh_rasterizer
import torch


def ellipsoid(face_count: int) -> tuple[torch.Tensor, torch.Tensor]:
    """A head-sized latitude-longitude ellipsoid in camera space, 1 m away, with about `face_count` triangles."""
    rings = int((face_count / 4) ** 0.5)
    theta = torch.linspace(0.01, torch.pi - 0.01, rings + 1)
    phi = torch.linspace(0, 2 * torch.pi, 2 * rings + 1)[:-1]
    x = 0.09 * torch.outer(torch.sin(theta), torch.cos(phi))
    y = 0.13 * torch.cos(theta)[:, None].expand_as(x)
    z = 1 + 0.11 * torch.outer(torch.sin(theta), torch.sin(phi))
    columns = len(phi)
    i, j = torch.meshgrid(torch.arange(rings), torch.arange(columns), indexing="ij")
    a, b = i * columns + j, i * columns + (j + 1) % columns
    faces = torch.cat([torch.stack([a, a + columns, b], -1), torch.stack([b, a + columns, b + columns], -1)])
    return torch.stack([x, y, z], -1).reshape(-1, 3), faces.reshape(-1, 3)


def main() -> None:
    """Print the median of ten calls of every operation, in milliseconds."""
    thousands = int(sys.argv[1]) if len(sys.argv) > 1 else 50
    size = int(sys.argv[2]) if len(sys.argv) > 2 else 256
    vertices, faces = ellipsoid(1000 * thousands)
    vertices = vertices[None].requires_grad_()
    focal = size / 0.35
    intrinsics = torch.tensor([[focal, focal, size / 2, size / 2]])
    times = []
    for _ in range(11):
        clock = [time.perf_counter()]
        fragments = mesh_rasterizer.rasterize(vertices, faces, intrinsics, size, size)
        clock.append(time.perf_counter())
        image = mesh_rasterizer.interpolate(fragments, faces, vertices)
        clock.append(time.perf_counter())
        smooth = mesh_rasterizer.antialias(image, fragments, vertices, faces, intrinsics)
        clock.append(time.perf_counter())
        smooth.square().sum().backward()
        clock.append(time.perf_counter())
        times.append([1e3 * (end - start) for start, end in itertools.pairwise(clock)])
    print(f"{faces.shape[0]} faces, {size} x {size}, {int((fragments.face_id >= 0).sum())} pixels covered")
    names = ("rasterize", "interpolate", "antialias", "backward of all three")
    for name, values in zip(names, zip(*times[1:], strict=True), strict=True):
        print(f"{name:24s} {statistics.median(values):8.2f} ms")


if __name__ == "__main__":
    main()
