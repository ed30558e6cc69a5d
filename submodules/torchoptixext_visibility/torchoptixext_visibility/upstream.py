"""The function names, layouts and rules of the OptiX extension, on `MeshBvh`; every device has its own state.

Upstream counted mesh loads once per process; here each tracer counts its own, and other faces always mean a rebuild.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from kernel_runtime import ArgumentError, UnsupportedDevice, check_tensor

from .ops import MeshBvh

_SURFACE_SHADER = 3  # culls by the normal and starts off the surface; shaders 0 to 2 do neither
_SURFACE_OFFSET = 1e-5  # scene units


@dataclass
class _Tracer:
    """Settings and mesh of one device; a mesh is refitted between every `full_update_step`-th load (0: never)."""

    shader: int = 0
    full_update_step: int = 0
    loads: int = 0
    faces: torch.Tensor | None = None
    mesh: MeshBvh | None = None
    parts: list[tuple[torch.Tensor | None, int, int]] = field(default_factory=list)  # indices, version, vertices

    def load_parts(self, vertex_group: Sequence[torch.Tensor], index_group: Sequence[torch.Tensor | None]) -> None:
        """Load one mesh of several; indices that are the tensors of the last load are not read again."""
        parts = [_part(vertices, indices) for vertices, indices in zip(vertex_group, index_group, strict=False)]
        known = len(vertex_group) == len(index_group) == len(self.parts) > 0 and all(
            new[0] is old[0] and new[1:] == old[1:] for new, old in zip(parts, self.parts, strict=True)
        )
        if known and self.faces is not None:
            for number, vertices in enumerate(vertex_group):
                check_tensor(f"vertex_group[{number}]", vertices, (None, 3), device=self.faces.device)
            self.load(vertex_group[0] if len(vertex_group) == 1 else torch.cat(list(vertex_group)), self.faces)
            return
        self.load(*_merge(vertex_group, index_group))
        self.parts = parts

    def load(self, vertices: torch.Tensor, faces: torch.Tensor) -> None:
        if self.mesh is None or (self.faces is not faces and not torch.equal(self.faces, faces)):
            self.loads = 0
        if self.full_update_step <= 0 or self.loads % self.full_update_step == 0:
            self.mesh = MeshBvh(vertices, faces)
            self.faces = faces if faces is self.faces else faces.clone()
        else:
            self.mesh.refit(vertices)
        self.loads += 1


@dataclass
class _Tracers:
    """The tracers behind one family of functions, by device."""

    family: str
    by_device: dict[torch.device, _Tracer] = field(default_factory=dict)

    def create(self, device: str | torch.device, tracer: _Tracer) -> None:
        self.by_device[_numbered(self.family, device)] = tracer

    def destroy(self, device: str | torch.device) -> None:
        self.by_device.pop(_numbered(self.family, device), None)

    def destroy_mesh(self, device: str | torch.device) -> None:
        tracer = self.of(_numbered(self.family, device))
        tracer.mesh, tracer.faces, tracer.parts = None, None, []

    def of(self, device: torch.device) -> _Tracer:
        if device not in self.by_device:
            raise ArgumentError(f'{self.family}: call {self.family}_init("{device}") first')
        return self.by_device[device]

    def loaded(self, device: torch.device) -> tuple[_Tracer, MeshBvh]:
        tracer = self.of(device)
        if tracer.mesh is None:
            raise ArgumentError(f"{self.family}: call {self.family}_load_mesh first")
        return tracer, tracer.mesh

    def load_mesh(self, vertex_group: Sequence[torch.Tensor], index_group: Sequence[torch.Tensor | None]) -> None:
        if not vertex_group:
            _merge(vertex_group, index_group)
        self.of(vertex_group[0].device).load_parts(vertex_group, index_group)


def _part(vertices: torch.Tensor, indices: torch.Tensor | None) -> tuple[torch.Tensor | None, int, int]:
    """What tells whether a part has the indices of an earlier one: the tensor, its version and the vertices."""
    version = 0 if indices is None else -1 if indices.is_inference() else indices._version
    return indices, version, len(vertices)


def _numbered(family: str, device: str | torch.device) -> torch.device:
    """The device as tensors on it name it."""
    device = torch.device(device)
    if device.type not in ("cpu", "cuda"):
        raise UnsupportedDevice(f"{family}: no kernels for {device}; use the CPU or a CUDA device")
    if device.type == "cpu":
        return torch.device("cpu")
    if not torch.cuda.is_available():
        raise UnsupportedDevice(f'{family}: there is no CUDA device for {device} here; use device "cpu"')
    return torch.device("cuda", torch.cuda.current_device() if device.index is None else device.index)


_distance = _Tracers("optixDist")
_visibility = _Tracers("optixEnvmapVisibility")


def _merge(
    vertex_group: Sequence[torch.Tensor], index_group: Sequence[torch.Tensor | None]
) -> tuple[torch.Tensor, torch.Tensor]:
    """One mesh of several: vertices [V,3], faces [F,3] int32. A part without indices is taken three by three."""
    if len(vertex_group) != len(index_group) or not vertex_group:
        raise ArgumentError(
            f"vertex_group, index_group: expected two lists of one length above 0, "
            f"got {len(vertex_group)} and {len(index_group)}"
        )
    parts, first = [], 0
    for number, (vertices, faces) in enumerate(zip(vertex_group, index_group, strict=True)):
        check_tensor(f"vertex_group[{number}]", vertices, (None, 3))
        if faces is None:
            if len(vertices) % 3:
                raise ArgumentError(f"vertex_group[{number}]: without indices its length must be a multiple of 3")
            faces = torch.arange(len(vertices), dtype=torch.int32, device=vertices.device).reshape(-1, 3)
        check_tensor(f"index_group[{number}]", faces, (None, 3), torch.int32)
        if len(faces) and (int(faces.min()) < 0 or int(faces.max()) >= len(vertices)):
            raise ArgumentError(f"index_group[{number}]: vertex numbers must lie in 0..{len(vertices) - 1}")
        parts.append(faces + first)
        first += len(vertices)
    return torch.cat(list(vertex_group)), torch.cat(parts)


def optixDist_init(device: str | torch.device = "cuda:0") -> None:
    """Prepare distance tracing on a device."""
    _distance.create(device, _Tracer())


def optixDist_destroy(device: str | torch.device) -> None:
    """Release everything `optixDist_init` and `optixDist_load_mesh` hold."""
    _distance.destroy(device)


def optixDist_destroy_mesh(device: str | torch.device) -> None:
    """Release the mesh only."""
    _distance.destroy_mesh(device)


def optixDist_load_mesh(vertex_group: Sequence[torch.Tensor], index_group: Sequence[torch.Tensor | None]) -> None:
    """Set the mesh: parts of vertices [V,3] float32 and faces [M,3] int32, or None for triples."""
    _distance.load_mesh(vertex_group, index_group)


def optixDist_trace(rays_o: torch.Tensor, rays_d: torch.Tensor) -> torch.Tensor:
    """Nearest hits of rays [N1,N2,3]: t [N1,N2] in lengths of rays_d, inf for a miss."""
    _, mesh = _distance.loaded(rays_o.device)
    check_tensor("rays_o", rays_o, (None, None, 3))
    check_tensor("rays_d", rays_d, tuple(rays_o.shape))
    return mesh.trace(rays_o.reshape(-1, 3), rays_d.reshape(-1, 3)).t.reshape(rays_o.shape[:2])


def optixEnvmapVisibility_init(
    device: str | torch.device = "cuda:0", shader: int = 0, fullupdate_step: int = 0
) -> None:
    """Prepare visibility tracing on a device.

    Args:
        shader: 0, 1 or 2 for points in free space; 3 for surface points, which culls by the normal and starts 1e-5
            scene units off the surface.
        fullupdate_step: n > 0 rebuilds at every n-th load of the same faces and refits between; else always rebuilds.
    """
    if shader not in (0, 1, 2, _SURFACE_SHADER):
        raise ArgumentError(f"shader: expected 0, 1, 2 or 3, got {shader}")
    _visibility.create(device, _Tracer(shader, fullupdate_step))


def optixEnvmapVisibility_destroy(device: str | torch.device) -> None:
    """Release everything `optixEnvmapVisibility_init` and `optixEnvmapVisibility_load_mesh` hold."""
    _visibility.destroy(device)


def optixEnvmapVisibility_destroy_mesh(device: str | torch.device) -> None:
    """Release the mesh only."""
    _visibility.destroy_mesh(device)


def optixEnvmapVisibility_load_mesh(
    vertex_group: Sequence[torch.Tensor], index_group: Sequence[torch.Tensor | None]
) -> None:
    """Set the mesh, as `optixDist_load_mesh`."""
    _visibility.load_mesh(vertex_group, index_group)


def optixEnvmapVisibility_trace(
    rays_o: torch.Tensor, rays_n: torch.Tensor | None, rot_ray: torch.Tensor, envmap_width: int, envmap_height: int
) -> torch.Tensor:
    """Visibility bits of points rays_o [P,3] with normals rays_n [P,3] (needed by shader 3 alone): int32 [S,P].

    The bits are those of `MeshBvh.visibility`, word by word instead of point by point.
    """
    tracer, mesh = _visibility.loaded(rays_o.device)
    if tracer.shader == _SURFACE_SHADER and rays_n is None:
        raise ArgumentError("rays_n: shader 3 needs normals")
    normals = rays_n if tracer.shader == _SURFACE_SHADER else None
    rotation = rot_ray.to(rays_o.device)
    return mesh.visibility(rays_o, normals, envmap_height, envmap_width, rotation, _SURFACE_OFFSET).T.contiguous()


def run_sample_code() -> torch.Tensor:
    """A triangle coloured by its barycentrics on a dark ground: uint8 [768,1024,4] RGBA, bottom row first."""
    height, width, eye, half_view = 768, 1024, 2.0, 0.414  # view: tangent of half its vertical angle
    triangle = torch.tensor([[-0.5, -0.5, 0.0], [0.5, -0.5, 0.0], [0.0, 0.5, 0.0]])
    up, right = torch.meshgrid(
        half_view * (2 * (torch.arange(height) + 0.5) / height - 1),
        half_view * (2 * (torch.arange(width) + 0.5) - width) / height,
        indexing="ij",
    )
    directions = torch.stack([right, up, -torch.ones_like(up)], -1).reshape(-1, 3)
    origins = torch.tensor([0.0, 0.0, eye]).expand_as(directions)
    hits = MeshBvh(triangle, torch.tensor([[0, 1, 2]])).trace(origins, directions)
    ground = torch.tensor([0.1, 0.1, 0.15])
    colour = torch.where((hits.face_id >= 0)[:, None], hits.barycentric, ground)
    opaque = torch.ones(len(colour), 1)
    return (torch.cat([colour, opaque], -1) * 255).round().to(torch.uint8).reshape(height, width, 4)
