"""The geometry fit under hostile input: extreme poses, few frames, noisy tracking, wrong focal lengths, much hair."""

import math

import pytest
import torch
from head_clips import CONFIG, FRAMES, HAIR_HEIGHT, draw, joints_at, make_clip, true_head, wavy_head
from torchoptixext_visibility import MeshBvh

from rgb_core.data import Dataset
from rgb_core.evaluation.surfaces import surface_distance
from rgb_core.geometry import Geometry, fit_geometry
from rgb_core.heads import HeadModel, vertex_normals
from rgb_core.heads.regions import Region
from rgb_core.images import write_png
from rgb_core.progress import Silent


class Messages(Silent):
    """Keeps what was said."""

    def __init__(self):
        self.texts: list[str] = []

    def message(self, text: str) -> None:
        self.texts.append(text)


def face_error_mm(geometry: Geometry, hair: float = HAIR_HEIGHT) -> float:
    """Mean distance of the fitted face (its skin) at rest to the true surface: what exact coefficients show."""
    true = true_head(hair)
    face = geometry.head.vertices[geometry.head.region == Region.SKIN]
    return 1000 * float(surface_distance(face, MeshBvh(true.vertices, true.faces)).mean())


def rigid_part(moved: torch.Tensor, at: torch.Tensor) -> tuple[float, float]:
    """Shift in mm and turn in degrees that best explain small moves [N,3] of points [N,3]."""
    centred = at - at.mean(0)
    x, y, z = centred.T
    zero = torch.zeros_like(x)
    rows = torch.stack([zero, z, -y, -z, zero, x, y, -x, zero], dim=1).view(-1, 3, 3)  # moves by turns about the axes
    turn = torch.linalg.lstsq(rows.reshape(-1, 3), (moved - moved.mean(0)).reshape(-1, 1)).solution
    return 1000 * float(moved.mean(0).norm()), math.degrees(float(turn.norm()))


def fit(clip: Dataset, folder, **changes) -> tuple[Geometry, list[str]]:
    messages = Messages()
    return fit_geometry(clip, CONFIG.model_copy(update=changes), folder / "geometry", messages), messages.texts


def test_extreme_poses(tmp_path):
    clip = make_clip(tmp_path / "clip", swing=(0.7, 1.4))
    geometry, _ = fit(clip, tmp_path)
    assert geometry.metrics["silhouette_iou"] > 0.97
    assert face_error_mm(geometry) < 1.0


def test_ten_frames(tmp_path):
    clip = make_clip(tmp_path / "clip", frames=10)
    geometry, _ = fit(clip, tmp_path)
    assert geometry.metrics["silhouette_iou"] > 0.97
    assert face_error_mm(geometry) < 1.0


def test_strong_hair(tmp_path):
    hair = 0.04
    rates = CONFIG.rates.model_copy(update={"hair": 3.0})  # so that sixty steps get there
    geometry, _ = fit(make_clip(tmp_path / "clip", true=true_head(hair)), tmp_path, rates=rates)
    assert geometry.metrics["silhouette_iou"] > 0.96
    assert geometry.metrics["silhouette_iou"] > geometry.metrics["silhouette_iou_before"] + 0.1
    assert face_error_mm(geometry, hair) < 1.5


def test_noisy_tracking_is_noticed_and_reduced(tmp_path):
    noise = math.radians(3)
    clip = make_clip(tmp_path / "clip", frames=40, period=80, rotation_noise=noise, translation_noise=0.005)
    geometry, _ = fit(clip, tmp_path, steps=120)
    frames = clip.frames("train")
    true = torch.stack([joints_at(number, period=80)[0] for number in range(40)])
    before, after = (
        torch.stack([frame.pose.joints[0] for frame in each]) - true for each in (frames, geometry.refined(frames))
    )
    assert float((after - after.mean(0)).norm()) < 0.5 * float((before - before.mean(0)).norm())
    assert torch.allclose(after.mean(0), before.mean(0), atol=1e-5)
    assert face_error_mm(geometry) < 1.5


@pytest.mark.parametrize("factor", [1.2, 0.8])
def test_a_wrong_focal_length_is_found(tmp_path, factor):
    clip = make_clip(tmp_path / "clip", focal_factor=factor)
    geometry, messages = fit(clip, tmp_path)
    assert any("focal length looks wrong" in text for text in messages)
    assert geometry.focal_scale * factor == pytest.approx(1.0, abs=0.015)
    assert geometry.metrics["silhouette_iou"] > 0.95


def test_a_right_focal_length_stays(tmp_path):
    geometry, messages = fit(make_clip(tmp_path / "clip", true=true_head(0.02)), tmp_path, steps=10)
    assert not messages
    assert geometry.focal_scale == pytest.approx(1.0, abs=0.003)


def test_a_frame_whose_tracking_is_lost_is_left_out(tmp_path):
    clip = make_clip(tmp_path / "clip")
    clip.frame("03").pose.translation[0] += 0.2
    geometry, messages = fit(clip, tmp_path, steps=4)
    assert "03" not in geometry.tracking
    assert len(geometry.tracking) == FRAMES - 1
    assert any("03 (its matte and the tracked head lie" in text for text in messages)


def test_the_mesh_does_not_take_over_what_tracking_should_do(tmp_path):
    clip = make_clip(tmp_path / "clip", translation_noise=0.001)
    geometry, _ = fit(clip, tmp_path)
    head = clip.head
    face = head.region == Region.SKIN
    shift, turn = rigid_part((geometry.head.vertices - head.vertices)[face], head.vertices[face])
    # the noise of twelve frames has a mean of 1 mm / sqrt(12) per axis, which no fit could tell from a move of the head
    assert shift < 2 * math.sqrt(3) / math.sqrt(12)
    assert turn < 0.5
    expressions = torch.stack([frame.pose.expression for frame in geometry.refined(clip.frames("train"))])
    assert float(expressions.mean(0).abs().max()) < 1e-6


def test_normal_maps_show_what_silhouettes_cannot(tmp_path):
    true = wavy_head(0.001)
    clip = make_clip(tmp_path / "clip", true=true)
    folder = tmp_path / "normals"
    folder.mkdir()
    for frame in clip.frames("train"):
        rgba, _, normals = draw(true, joints_at(int(frame.id)))
        write_png(folder / f"{frame.id}.png", torch.cat([(normals + 1) / 2, (rgba[..., 3:] > 0.999).float()], dim=-1))
    config = CONFIG.model_copy(update={"shading": False, "warmup": 0.0, "steps": 120})
    plain = fit_geometry(clip, config, tmp_path / "plain", Silent())
    guided = fit_geometry(clip, config, tmp_path / "guided", Silent(), normals=folder)
    assert face_angle(guided, true) < 0.7 * face_angle(plain, true)


def face_angle(geometry: Geometry, true: HeadModel) -> float:
    """Mean angle in degrees between the normals of corresponding vertices of the fitted and the true face, in front."""
    fitted, exact = (vertex_normals(head.vertices, head.faces) for head in (geometry.head, true))
    front = (true.region == Region.SKIN) & (exact[:, 2] > 0.5)
    return float(torch.rad2deg(torch.acos((fitted * exact).sum(1)[front].clamp(-1, 1))).mean())
