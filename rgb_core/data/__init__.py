"""Datasets: frames, the native format and its ground truth."""

from .dataset import TORSO_KEPT, Dataset, load_dataset
from .frame import Frame
from .frame_maps import FrameMaps
from .ground_truth import GroundTruth, TrueMotion
from .ply import read_ply, write_ply
from .writer import DatasetWriter

__all__ = [
    "Dataset",
    "DatasetWriter",
    "Frame",
    "FrameMaps",
    "GroundTruth",
    "TORSO_KEPT",
    "TrueMotion",
    "load_dataset",
    "read_ply",
    "write_ply",
]
