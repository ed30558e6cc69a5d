"""How right a stage-1 mesh and its refined tracking are, against the ground truth of a dataset that has it."""

import json
import math
from pathlib import Path

import mesh_rasterizer
import torch
from kernel_runtime.jit import compile_on_host
from mesh_rasterizer import cpu_raster
from torch import Tensor
from torchoptixext_visibility.cpu_closest import closest_points
from torchoptixext_visibility.cpu_wide import any_hits

from ..data import Dataset, Frame, TrueMotion
from ..files import write_text
from ..geometry import Geometry
from ..heads import HeadModel, vertex_normals
from ..heads.regions import Region
from ..progress import Progress
from ..rotations import axis_angle_to_matrix
from ..scene.labels import Label
from ..units import MILLIMETRE
from .normals import NormalAngles
from .surfaces import MeshDistances, Surface
from .truth import find_truth

SCORES_FILE = "scores.json"


def score_geometry(dataset: Dataset, geometry: Geometry, out: Path, progress: Progress) -> dict[str, float]:
    """`measure_geometry` with keys under `truth_`, also written to out/scores.json; nothing without ground truth."""
    if dataset.ground_truth is None:
        return {}
    scores = {f"truth_{key}": value for key, value in measure_geometry(dataset, geometry, progress).items()}
    write_text(out / SCORES_FILE, json.dumps(scores, indent=1))
    return scores


def prepare_measuring(dataset: Dataset, device: torch.device) -> None:
    """Read all that `measure_geometry` compares with, so that what is damaged is found before a fit and not after.

    The mesh is measured on the CPU. A fit on a GPU compiles nothing for that, so it is compiled beside the fit.

    Args:
        device: where the fit computes.

    Raises:
        InputError: naming the file.
    """
    if dataset.ground_truth is not None and device.type == "cuda":
        compile_on_host((any_hits, closest_points, cpu_raster.rasterize, cpu_raster.interpolate))
    truth = find_truth(dataset, dataset.frames("test"))
    for frame_id in sorted(truth.mesh):
        truth.files.mesh(frame_id)
    for frame_id in sorted(truth.normal):
        truth.files.normal(frame_id)
    if truth.files.has_coefficients:
        truth.files.coefficients()


def measure_geometry(
    dataset: Dataset, geometry: Geometry, progress: Progress, size: tuple[int, int] | None = None
) -> dict[str, float]:
    """Scores of the posed mesh on the test frames with a true mesh or true normals, and of the refined tracking.

    Args:
        geometry: on the CPU.
        size: (width, height) of the pictures that are compared; the dataset's own if None.

    Returns:
        mesh and normals as in metrics.json, neck_mean_mm (true vertices seen on pixels labelled neck to the mesh), and
        for the training frames rotation_deg (RMS geodesic), translation_mm (RMS), expression_mm (RMS displacement of
        the dataset's head model in region 0); what a dataset has no truth for is left out.
    """
    scores: dict[str, float | None] = {}
    truth = find_truth(dataset, dataset.frames("test"))
    frames = [frame for frame in dataset.frames("test") if frame.id in truth.mesh | truth.normal]
    distances, angles = MeshDistances(), NormalAngles()
    progress.start("measuring the mesh", len(frames))
    for frame, refined in zip(frames, geometry.refined(frames), strict=True):
        posed = pose_frame(geometry.head, refined)
        camera = refined.camera if size is None else refined.camera.resized(*size)
        labels = dataset.semantic(frame, size)
        if frame.id in truth.mesh:
            matte = dataset.load_rgba(frame, size)[..., 3]
            true = Surface(*truth.files.mesh(frame.id))
            distances.add(Surface(posed, geometry.head.faces), geometry.head.region, true, camera, matte, labels)
        if frame.id in truth.normal:
            faces = geometry.head.faces
            seen = camera.see_mesh(posed, faces)
            drawn = mesh_rasterizer.interpolate(seen.fragments, faces, vertex_normals(posed, faces))
            angles.add(drawn[0], truth.files.normal(frame.id, size), labels)
        progress.advance()
    if truth.mesh:
        scores |= {**distances.scores(), "neck_mean_mm": distances.part_mean_mm((Label.NECK,))}
    if truth.normal:
        scores |= {f"normal_{key}": value for key, value in angles.scores().items()}
    if truth.files.has_coefficients:
        scores |= tracking_error(dataset, geometry, truth.files.coefficients())
    return {key: value for key, value in scores.items() if value is not None}


def tracking_error(dataset: Dataset, geometry: Geometry, exact: TrueMotion) -> dict[str, float]:
    """RMS error of root rotation, translation and expression of the training frames that `exact` knows."""
    frames = [frame for frame in dataset.frames("train") if frame.id in exact.root]
    refined = geometry.refined(frames)
    if not frames:
        return {}
    turned = axis_angle_to_matrix(torch.stack([frame.pose.joints[0] for frame in refined]).double())
    true_turn = axis_angle_to_matrix(torch.stack([exact.root[frame.id] for frame in frames]).double())
    trace = (turned * true_turn).sum((1, 2))
    angle = torch.acos(((trace - 1) / 2).clamp(-1, 1))
    moved = torch.stack([frame.pose.translation - exact.translation[frame.id] for frame in refined])
    wrong = torch.stack([frame.pose.expression - exact.expression[frame.id] for frame in refined])
    face = dataset.head.expression_basis[:, dataset.head.region == Region.SKIN]
    displacement = (wrong @ face.flatten(1)).view(len(frames), -1, 3)
    return {
        "rotation_deg": math.degrees(_rms(angle)),
        "translation_mm": _rms(moved.norm(dim=1)) / MILLIMETRE,
        "expression_mm": _rms(displacement.norm(dim=2)) / MILLIMETRE,
    }


def pose_frame(head: HeadModel, frame: Frame) -> Tensor:
    """[V,3] world vertices of a frame."""
    return head.pose(frame.pose).vertices


def _rms(values: Tensor) -> float:
    return float(values.double().square().mean().sqrt())
