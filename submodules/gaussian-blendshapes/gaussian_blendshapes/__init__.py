"""Blendshapes and linear blend skinning of head meshes and of Gaussians attached to them."""

from .attaching import Attached, attach
from .gaussians import PosedGaussians, pack_gaussians, pose_gaussians
from .head import PosedMesh, pack_head, pose_head, vertex_normals
from .segment_sum import weighted_segment_sum
from .skinning import skin_gaussians
from .tables import Anchors, Carrier, FaceRings, GaussianTable, HeadTable

__all__ = [
    "Anchors",
    "Attached",
    "Carrier",
    "FaceRings",
    "GaussianTable",
    "HeadTable",
    "PosedGaussians",
    "PosedMesh",
    "attach",
    "pack_gaussians",
    "pack_head",
    "pose_gaussians",
    "pose_head",
    "skin_gaussians",
    "vertex_normals",
    "weighted_segment_sum",
]
