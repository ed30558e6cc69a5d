"""What the head hides from each of its vertices, traced in advance: the page's shadows.

A bit for every vertex and direction of a 16 x 32 grid in the axes of the head at rest, once for the neutral face and
once with the jaw dropped and the lids shut. Between the two the page blends by how far the mouth and each eye are open.
What this leaves out: shadows that other expressions cast, and what head and shoulders hide from each other as the neck
turns. The page's two sharp lights, a sun and a lamp, have shadows of the posed mesh instead.
"""

from typing import Any

import numpy as np
import torch
from diff_envshade import occlusion
from gaussian_blendshapes import FaceRings, vertex_normals
from torchoptixext_visibility import MeshBvh

from ...heads import HeadModel, Pose
from ...heads.regions import Region, in_regions
from ...shading.surface import RAY_OFFSET

HEIGHT, WIDTH = 16, 32
_JAW_ANGLE = 0.35  # radians: the dropped jaw of heads that have a joint and no expression for it
_MEASURED = 300  # vertices of the mouth and of the lids by which expressions are compared
_DRIVERS = ("jawOpen", "eyeBlinkLeft", "eyeBlinkRight")
_MOUTH, _LEFT_EYE, _RIGHT_EYE = range(3)


class _Tracer:
    """Visibility of deformed copies of one head."""

    def __init__(self, head: HeadModel):
        self._head = head
        self._rings = FaceRings.of(head.faces, head.vertex_count)
        self._bvh = MeshBvh(head.vertices, head.faces)

    def trace(self, vertices: torch.Tensor, chosen: torch.Tensor | None = None) -> tuple[torch.Tensor, torch.Tensor]:
        """Words [N, 16] and hidden share [N, 1] of the `chosen` vertices; of all where None."""
        normals = vertex_normals(vertices, self._rings)
        self._bvh.refit(vertices)
        points = vertices if chosen is None else vertices[chosen]
        upward = normals if chosen is None else normals[chosen]
        words = self._bvh.visibility(points, upward, HEIGHT, WIDTH, offset=RAY_OFFSET)
        return words, occlusion(upward, words, HEIGHT, WIDTH)


def transfer_tables(head: HeadModel) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """The drivers that blend between the two faces as JSON, and the arrays of both."""
    tracer = _Tracer(head)
    neutral, moved = head.vertices, _moved(head)
    driver = _driver(head)
    arrays: dict[str, np.ndarray] = {"vertex.driver": driver.numpy().astype(np.uint8)}
    for name, vertices in (("rest", neutral), ("moved", moved)):
        words, hidden = tracer.trace(vertices.contiguous())
        arrays[f"{name}.bits"] = words.numpy().view(np.uint32)
        arrays[f"{name}.hidden"] = np.rint(hidden.numpy() * 255).astype(np.uint8)
    gains = _gains(head, tracer, driver, moved)
    facts = {"drivers": [{"gains": row, "joint": None, "angle": _JAW_ANGLE} for row in gains.tolist()]}
    if "jawOpen" not in head.expression_names and "jaw" in head.joint_names:
        facts["drivers"][_MOUTH]["joint"] = head.joint_names.index("jaw")
    return facts, arrays


def _displacement(head: HeadModel, name: str) -> torch.Tensor:
    """[V, 3] of an expression; 0 where the head has none of that name."""
    if name not in head.expression_names:
        return torch.zeros_like(head.vertices)
    return head.expression_basis[head.expression_names.index(name)].float()


def _moved(head: HeadModel) -> torch.Tensor:
    """Vertices [V, 3] with jaw dropped and lids shut."""
    offsets = torch.stack([_displacement(head, name) for name in _DRIVERS]).sum(0)
    if "jawOpen" in head.expression_names or "jaw" not in head.joint_names:
        return head.vertices + offsets
    dropped = Pose.rest(len(head.expression_names), head.joint_count)
    dropped.joints[head.joint_names.index("jaw"), 0] = _JAW_ANGLE
    return head.pose(dropped).vertices + offsets


def _driver(head: HeadModel) -> torch.Tensor:
    """[V] which opening each vertex follows: the mouth's or that of the eye on its side."""
    size = torch.stack([_displacement(head, name).norm(dim=1) for name in _DRIVERS])
    near_eye = in_regions(head.region, (Region.EYEBALL, Region.EYE_SOCKET))
    eye = torch.where(head.vertices[:, 0] > 0, _LEFT_EYE, _RIGHT_EYE)
    moved_by_lids = size[1:].amax(0) > size[_MOUTH].clamp_min(5e-5)
    return torch.where(near_eye | moved_by_lids, eye, torch.full_like(eye, _MOUTH))


def _gains(head: HeadModel, tracer: _Tracer, driver: torch.Tensor, moved: torch.Tensor) -> torch.Tensor:
    """[3, E]: how far each expression alone goes from the neutral to the moved face, judged by the light it lets in."""
    count = len(head.expression_names)
    gains = torch.zeros(len(_DRIVERS), count)
    inside = in_regions(head.region, (Region.MOUTH, Region.TEETH, Region.EYEBALL))
    chosen = [(inside & (driver == index)).nonzero()[:, 0] for index in range(len(_DRIVERS))]
    chosen = [index[:: max(1, len(index) // _MEASURED)] for index in chosen]
    every = torch.cat(chosen)
    parts = [len(index) for index in chosen]
    if not len(every):
        return gains

    def hidden(vertices: torch.Tensor) -> list[torch.Tensor]:
        return list(tracer.trace(vertices, every)[1][:, 0].split(parts))

    rest, full = hidden(head.vertices), hidden(moved.contiguous())
    whole = [float((b - a).mean()) if len(a) else 0.0 for a, b in zip(rest, full, strict=True)]
    for index in range(count):
        now = hidden(head.vertices + head.expression_basis[index].float())
        for row in range(len(_DRIVERS)):
            if abs(whole[row]) > 1e-3:
                gains[row, index] = float((now[row] - rest[row]).mean()) / whole[row]
    return gains.clamp(0, 1)
