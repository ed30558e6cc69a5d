"""Visibility of the built-in head, split once, while it turns to and fro, for a profiler:
`ncu --set full -k visibility -s 6 -c 1 python -P benchmarks/visibility_turning.py [--calls N] [--degrees D]`.
"""

import argparse
import math

import torch
from gaussian_blendshapes import FaceRings, vertex_normals
from torchoptixext_visibility import MeshBvh

from rgb_core.benchmarking.scenes import head_mesh
from rgb_core.benchmarking.workloads import VISIBILITY_POINTS
from rgb_core.rotations import axis_angle_to_matrix


def main() -> None:
    """Make the calls that the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--calls", type=int, default=8)
    parser.add_argument("--degrees", type=float, default=1.0, help="between two calls")
    arguments = parser.parse_args()
    vertices, faces = (tensor.cuda() for tensor in head_mesh())
    normals = vertex_normals(vertices, FaceRings.of(faces, len(vertices)))
    turn = axis_angle_to_matrix(torch.tensor([0.0, math.radians(arguments.degrees), 0.0])).T.cuda()
    poses = [(vertices, normals), (vertices @ turn, normals @ turn)]
    bvh, light = MeshBvh(vertices, faces), torch.eye(3).cuda()
    for call in range(arguments.calls):
        moved, upward = poses[call % 2]
        bvh.refit(moved)
        bvh.visibility(moved[:VISIBILITY_POINTS], upward[:VISIBILITY_POINTS], 16, 32, light)
    torch.cuda.synchronize()


if __name__ == "__main__":
    main()
