"""Times the mesh rasteriser on a GPU: `python -P mesh_rasterizer_cuda.py [pixels] [frames]`.

The workload of stage 1: a batch of frames of a head of 51,000 faces that cover a few pixels each. Medians of CUDA
events in milliseconds: "eager" has the host's launches in it, "graph" the kernels alone.
"""

import sys
from pathlib import Path

import mesh_rasterizer as mr
import torch
from kernel_runtime.timing import Work, eager_ms, graph_ms

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "kernels"))
from visibility_meshes import head

SIZE, FRAMES, RINGS = 512, 8, 160


def main() -> None:
    """Print both times of every operation, and of a whole step."""
    size = int(sys.argv[1]) if len(sys.argv) > 1 else SIZE
    frames = int(sys.argv[2]) if len(sys.argv) > 2 else FRAMES
    points, triangles = head(RINGS, RINGS)
    seen = points * torch.tensor([1.0, -1.0, -1.0])  # from in front of the face
    places = torch.cat([torch.linspace(-0.02, 0.02, frames)[:, None], torch.zeros(frames, 1), torch.ones(frames, 1)], 1)
    vertices, faces = (seen + places[:, None]).cuda().requires_grad_(), triangles.cuda()
    colours = torch.rand(len(points), 3, device="cuda").requires_grad_()
    focal = size / 0.35
    intrinsics = torch.tensor([[focal, focal, size / 2, size / 2]]).repeat(frames, 1).cuda()

    def draw() -> mr.Fragments:
        return mr.rasterize(vertices, faces, intrinsics, size, size)

    with torch.no_grad():  # a graph of the default stream kept alive would break the captures below
        fragments = draw()
        image = mr.interpolate(fragments, faces, colours).requires_grad_()
    fragments.barycentric.requires_grad_()
    mask = (fragments.face_id >= 0).float()[..., None]
    weights = torch.rand_like(image)
    weights_grad = torch.rand_like(fragments.barycentric)

    def step() -> tuple[torch.Tensor, ...]:
        drawn = draw()
        silhouette = mr.antialias(mask, drawn, vertices, faces, intrinsics)
        coloured = mr.interpolate(drawn, faces, colours)
        return torch.autograd.grad((silhouette * coloured).sum(), (vertices, colours))

    work: dict[str, Work] = {
        "rasterize": draw,
        "rasterize + backward": lambda: torch.autograd.grad(draw().barycentric, vertices, weights_grad),
        "interpolate, 3 channels": lambda: mr.interpolate(fragments, faces, colours),
        "interpolate + backward": lambda: torch.autograd.grad(
            mr.interpolate(fragments, faces, colours), (colours, fragments.barycentric), weights
        ),
        "antialias, 3 channels": lambda: mr.antialias(image, fragments, vertices, faces, intrinsics),
        "antialias + backward": lambda: torch.autograd.grad(
            mr.antialias(image, fragments, vertices, faces, intrinsics), (image, vertices), weights
        ),
        "step: mask, colours, all gradients": step,
    }
    covered = float(mask.mean())
    print(f"{torch.cuda.get_device_name()}: {frames} frames of {len(points)} vertices, {len(faces)} faces, ", end="")
    print(f"{size} x {size}, {100 * covered:.0f} % covered")
    print(f"{'milliseconds':40}{'eager':>10}{'graph':>10}")
    for name, run in work.items():
        print(f"{name:40}{eager_ms(run):10.3f}{graph_ms(run):10.3f}")


if __name__ == "__main__":
    main()
