"""The mesh rasteriser on a GPU: agreement with the CPU on random and hostile input, repeatability, streams, graphs."""

import math
from dataclasses import fields

import mesh_rasterizer as mr
import pytest
import torch
from kernel_runtime import ArgumentError, UnsupportedDevice
from kernel_runtime.timing import capture
from mesh_rasterizer import reference
from test_mesh_rasterizer import HEIGHT, INTRINSICS, WIDTH, random_scene
from test_mesh_rasterizer_antialias import FOCAL, sphere, square

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="needs an NVIDIA GPU"),
]

Scene = tuple[torch.Tensor, torch.Tensor, torch.Tensor]


def view(size: float, batch: int = 1) -> torch.Tensor:
    """Cameras [B,4] that see about one radian on `size` pixels."""
    return torch.tensor([[size, size, size / 2, size / 2]]).repeat(batch, 1)


def ball(rings: int, batch: int = 1, distance: float = 1.1) -> tuple[torch.Tensor, torch.Tensor]:
    """Spheres [B,V,3] that differ a little, and their faces."""
    vertices, faces = sphere(0.3, distance, rings)
    return vertices + 0.01 * torch.arange(batch)[:, None, None], faces


def run(
    scene: Scene, width: int, height: int, device: str, channels: int = 3, shared: bool = True
) -> dict[str, torch.Tensor]:
    """Every output and every gradient of a fixed loss, on the CPU."""
    vertices, faces, intrinsics = (tensor.to(device) for tensor in scene)
    generator = torch.Generator().manual_seed(1)
    batch, count = vertices.shape[:2]
    attributes = torch.randn(*((count,) if shared else (batch, count)), channels, generator=generator)
    weights = torch.randn(batch, height, width, channels, generator=generator).to(device)
    leaves = vertices.detach().clone().requires_grad_(), attributes.to(device).requires_grad_()
    fragments = mr.rasterize(leaves[0], faces, intrinsics, width, height)
    image = mr.interpolate(fragments, faces, leaves[1])
    smooth = mr.antialias(image, fragments, leaves[0], faces, intrinsics)
    grads = torch.autograd.grad((smooth * weights).sum(), leaves)
    drawn = {field.name: getattr(fragments, field.name) for field in fields(fragments) if field.name != "near"}
    results = {**drawn, "image": image, "smooth": smooth, "vertices_grad": grads[0], "attributes_grad": grads[1]}
    return {name: tensor.detach().cpu() for name, tensor in results.items()}


def assert_agreement(scene: Scene, width: int, height: int, **options) -> dict[str, torch.Tensor]:
    """The GPU's results, which must be the CPU's up to rounding."""
    ours, expected = run(scene, width, height, "cuda", **options), run(scene, width, height, "cpu", **options)
    assert torch.equal(ours["face_id"], expected["face_id"])
    assert torch.equal(ours["bounds"], expected["bounds"])
    # Both compute in double and round once; interpolation and blending add up to four float32 roundings.
    assert torch.allclose(ours["depth"], expected["depth"], rtol=2e-7)
    assert torch.allclose(ours["barycentric"], expected["barycentric"], atol=2e-7)
    assert torch.allclose(ours["image"], expected["image"], atol=2e-6)
    assert torch.allclose(ours["smooth"], expected["smooth"], atol=3e-6)
    for name in ("vertices_grad", "attributes_grad"):
        # The CPU adds up to 65,000 float32 terms of random sign one after another.
        scale = float(expected[name].abs().max()) if expected[name].numel() else 0.0
        assert torch.allclose(ours[name], expected[name], rtol=0, atol=3e-5 * scale), name
    return ours


@pytest.mark.parametrize("shared", [True, False])
@pytest.mark.parametrize("channels", [0, 1, 3, 9])
def test_random_triangles_agree_with_the_cpu(channels: int, shared: bool):
    for seed in range(3):
        vertices, faces, intrinsics = random_scene(seed)
        assert_agreement((vertices, faces, intrinsics), WIDTH, HEIGHT, channels=channels, shared=shared)
        # Not multiples of a block; most bounding boxes too large for one thread.
        assert_agreement((vertices, faces, 4 * intrinsics), 131, 97, channels=channels, shared=shared)


def test_the_gpu_agrees_with_the_float64_reference():
    vertices, faces, intrinsics = random_scene(5)
    fragments = mr.rasterize(vertices.cuda(), faces.cuda(), intrinsics.cuda(), WIDTH, HEIGHT)
    expected = reference.rasterize(vertices.double(), faces, intrinsics.double(), WIDTH, HEIGHT)
    assert torch.equal(fragments.face_id.cpu(), expected.face_id)
    assert torch.allclose(fragments.barycentric.cpu().double(), expected.barycentric, atol=2e-7)
    assert torch.allclose(fragments.depth.cpu().double(), expected.depth, rtol=2e-7)


@pytest.mark.parametrize("index", [torch.int32, torch.int64])
@pytest.mark.parametrize("flipped", [False, True])
def test_a_mesh_of_small_triangles_agrees_with_the_cpu(flipped: bool, index: torch.dtype):
    vertices, faces = ball(40, batch=3)
    faces = faces.flip(1) if flipped else faces
    assert_agreement((vertices, faces.to(index), view(128, 3)), 128, 113)


def test_triangles_crossing_the_near_plane_agree_with_the_cpu():
    vertices, faces = ball(16, batch=2, distance=0.2)
    result = assert_agreement((vertices, faces, view(40, 2)), 40, 40)
    assert (result["face_id"] >= 0).any()


def test_degenerate_triangles_agree_with_the_cpu():
    corners = torch.tensor([[-1.0, -1, 2], [0, 0, 2], [1, 1, 2], [0, 0, 0.005], [0, 0, -1], [0.3, 0, 1]])[None]
    faces = torch.tensor([[0, 1, 2], [0, 0, 1], [2, 2, 2], [0, 1, 3], [0, 1, 4], [0, 2, 5]])
    result = assert_agreement((corners, faces, view(32)), 32, 32)
    assert set(result["face_id"].unique().tolist()) == {-1, 5}


def test_huge_triangles_agree_with_the_cpu():
    corners = [[-1e4, -1e4, 1], [1e4, -1e4, 1], [0, 1e4, 1], [-500, 0, 3], [0.05, -0.4, 0.5], [0.05, 0.4, 0.5]]
    faces = torch.tensor([[0, 1, 2], [3, 4, 5]])
    result = assert_agreement((torch.tensor([corners]), faces, view(300)), 300, 219)
    assert set(result["face_id"].unique().tolist()) == {0, 1}


@pytest.mark.parametrize("size", [(1, 1), (1, 37), (37, 1)])
def test_thin_images_agree_with_the_cpu(size: tuple[int, int]):
    vertices, faces = ball(12)
    assert_agreement((vertices, faces, view(8)), *size)


@pytest.mark.parametrize(("batch", "vertices", "faces"), [(2, 0, 0), (2, 30, 0), (0, 30, 10), (1, 30, 1)])
def test_little_or_nothing_to_draw(batch: int, vertices: int, faces: int):
    points, triangles = ball(6)
    scene = points.repeat(batch, 1, 1)[:, :vertices], triangles[:faces], view(9, batch)
    assert_agreement(scene, 9, 7)


def test_pixel_centres_on_shared_edges_leave_no_cracks():
    step = torch.arange(-16.0, 17) / FOCAL
    y, x = torch.meshgrid(step, step, indexing="ij")
    vertices = torch.stack([x + 0.5 / FOCAL, y + 0.5 / FOCAL, torch.ones_like(x)], -1).reshape(1, -1, 3)
    number = torch.arange(33 * 33).view(33, 33)
    a, b, c, d = (t.flatten() for t in (number[:-1, :-1], number[:-1, 1:], number[1:, 1:], number[1:, :-1]))
    faces = torch.cat([torch.stack([a, b, c], 1), torch.stack([a, c, d], 1)]).cuda()
    fragments = mr.rasterize(vertices.cuda(), faces, view(32).cuda(), 32, 32)
    assert (fragments.face_id >= 0).all()


def test_equally_near_faces_are_decided_by_number():
    vertices, _ = square(0.4)
    faces = torch.tensor([[0, 1, 2], [0, 2, 3]]).repeat(50, 1)
    result = assert_agreement((vertices[None], faces, view(32)), 32, 32)
    assert set(result["face_id"].unique().tolist()) == {-1, 0, 1}


def test_results_are_the_same_bits_in_every_run_and_on_every_stream():
    scene = (*ball(40, batch=2), view(96, 2))
    first = run(scene, 96, 80, "cuda")
    side = torch.cuda.Stream()
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):
        aside = run(scene, 96, 80, "cuda")
    torch.cuda.current_stream().wait_stream(side)
    for again in (run(scene, 96, 80, "cuda"), aside):
        assert all(torch.equal(first[name], again[name]) for name in first)


def test_work_waits_for_its_stream():
    vertices, faces, intrinsics = (tensor.cuda() for tensor in (*ball(20), view(64)))
    expected = mr.rasterize(vertices, faces, intrinsics, 64, 64).face_id
    side = torch.cuda.Stream()
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):
        late = torch.zeros_like(vertices)
        torch.cuda._sleep(50_000_000)  # cycles, some 25 ms
        late.copy_(vertices)
        face_id = mr.rasterize(late, faces, intrinsics, 64, 64).face_id
    torch.cuda.current_stream().wait_stream(side)
    assert torch.equal(face_id, expected)


def step(
    vertices: torch.Tensor, attributes: torch.Tensor, faces: torch.Tensor, intrinsics: torch.Tensor
) -> tuple[torch.Tensor, ...]:
    """One optimiser's worth of work: a picture and its gradients."""
    fragments = mr.rasterize(vertices, faces, intrinsics, 64, 60)
    image = mr.interpolate(fragments, faces, attributes)
    smooth = mr.antialias(image, fragments, vertices, faces, intrinsics)
    return smooth.detach(), *torch.autograd.grad(smooth.square().sum(), (vertices, attributes))


def leaves_on_gpu(batch: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
    vertices, faces = ball(20, batch)
    attributes = torch.rand(vertices.shape[1], 3, generator=torch.Generator().manual_seed(2))
    leaves = [tensor.cuda().requires_grad_() for tensor in (vertices, attributes)]
    return leaves[0], leaves[1], faces.cuda(), view(64, batch).cuda()


def test_nothing_waits_for_the_device_after_the_first_step():
    inputs = leaves_on_gpu(2)
    step(*inputs)  # compiles, makes the tables
    torch.cuda.set_sync_debug_mode("error")
    try:
        step(*inputs)
    finally:
        torch.cuda.set_sync_debug_mode("default")


def test_a_graph_replays_forward_and_backward_for_new_vertices():
    vertices, attributes, faces, intrinsics = leaves_on_gpu(2)
    captured: list[tuple[torch.Tensor, ...]] = []
    graph = capture(lambda: captured.append(step(vertices, attributes, faces, intrinsics)))
    for shift in (0.0, 0.05, -0.03):
        with torch.no_grad():
            vertices += shift
        graph.replay()
        expected = step(vertices, attributes, faces, intrinsics)
        assert all(map(torch.equal, captured[-1], expected))


def test_wrong_indices_and_infinite_vertices_do_no_harm():
    vertices, faces = ball(12)
    wrong = torch.tensor([[0, 1, 2**31 - 1], [-1, 3, 4], [5, -(2**31), 6]])
    kept = run((vertices, faces, view(32)), 32, 32, "cuda")
    everything = [tensor.cuda() for tensor in (vertices, torch.cat([faces, wrong]), view(32))]
    fragments = mr.rasterize(*everything, 32, 32)
    assert torch.equal(fragments.face_id.cpu(), kept["face_id"])
    broken = vertices.clone()
    broken[0, 3], broken[0, 40, 0], broken[0, 77, 2], broken[0, 90] = math.nan, math.inf, math.inf, 1e38
    result = run((broken, everything[1].cpu(), view(32)), 32, 32, "cuda")
    assert all(tensor.isfinite().all() for name, tensor in result.items() if name != "depth")


def test_misuse_is_named():
    vertices, faces, intrinsics = (tensor.cuda() for tensor in (*ball(6), INTRINSICS))
    fragments = mr.rasterize(vertices, faces, intrinsics, 8, 8)
    with pytest.raises(UnsupportedDevice, match="rasterize got tensors on cpu and cuda:0"):
        mr.rasterize(vertices.cpu(), faces, intrinsics, 8, 8)
    with pytest.raises(UnsupportedDevice, match="interpolate got tensors on cpu and cuda:0"):
        mr.interpolate(fragments, faces, vertices.cpu())
    with pytest.raises(ArgumentError, match="faces: expected the"):
        mr.interpolate(fragments, faces[1:], vertices)
