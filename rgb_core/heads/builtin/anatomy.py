"""Which part of the face each vertex of the built-in head belongs to, and where its landmarks are."""

import numpy as np
from numpy.typing import NDArray

from ..regions import Region
from .makehuman import BaseMesh, Floats, Indices, Wheel

LANDMARKS68 = (
    *(5402, 5235, 5246, 5242, 5240, 3698, 916, 5292, 5296, 11898, 7618, 10366, 11849, 11851, 11854, 11844, 12001),
    *(207, 224, 222, 205, 208, 6983, 6980, 6996, 6998, 6982),
    *(136, 135, 164, 5054, 333, 5138, 343, 11752, 7095),
    *(1090, 1081, 1099, 1104, 1096, 1094, 7796, 7791, 7773, 7782, 7786, 7788),
    *(429, 5352, 461, 467, 7220, 11954, 7189, 7233, 7245, 496, 490, 478),
    *(435, 459, 468, 7218, 7195, 7237, 494, 482),
)
"""Base vertex of each iBUG-68 landmark: jaw, brows, nose, eyes, outer lips, inner lips."""

HELPER_REGIONS = {
    "left-eyeball": Region.EYEBALL,
    "right-eyeball": Region.EYEBALL,
    "helper-upper-teeth": Region.TEETH,
    "helper-lower-teeth": Region.TEETH,
    "helper-tongue": Region.MOUTH,
}
"""The parts of the mesh, apart from its body, that the head keeps."""

TOOTH_ROWS = {"helper-upper-teeth": 1, "helper-lower-teeth": -1}
"""Both rows and which way their roots point."""

ISLAND_SEEDS = (
    (Region.NECK, 1524),
    (Region.MOUTH, 659),
    (Region.EYE_SOCKET, 1235),
    (Region.EYE_SOCKET, 7927),
    (Region.SKIN, 991),
)
"""A base vertex inside each texture island of the head's body; a vertex on a seam belongs to the later one."""
LIP_RINGS = 5
"""Quads from the mouth's texture seam to the border of the red of the lips."""
EAR_SHARE = 0.98
"""A vertex belongs to the ear when the slider that shifts the ear moves it by at least this share of its most."""
HAIRLINE = ((-0.2, -0.055), (-0.045, -0.05), (-0.02, -0.02), (0.0, 0.02), (0.035, 0.03), (0.06, 0.075), (0.2, 0.09))
"""Depth z and height y of the hairline, metres from the head's centre: nape, behind the ear, temple, forehead."""


NAPE_DEPTH = -0.025
"""Skin farther back than this (z in metres, behind the ears) that carries no hair is neck."""
OCCLUSAL_SLOPE = -0.12
"""Height of the teeth's edges over depth: they rise towards the back."""
GUMS = 12e-3
"""Metres from the edge of the teeth to where they are gums."""
DENTAL_ARCH_SCALE = 0.88
"""Narrows MakeHuman's teeth, 67 mm across, to an adult's dental arch of under 60 mm."""
UPPER_TEETH_LENGTH = 1.23
"""Lengthens the upper teeth, whose edges end at the lower ones', to overlap them by 3 mm."""
OVERJET = 2e-3
"""Metres by which the upper teeth stand before the lower ones, behind the lip."""
LIP_CONTACT_RINGS = 3
"""Quads on either side of the mouth's texture seam on which the lips can touch."""
LIP_SEAL = 0.5e-3
"""Metres by which each lip swells towards the other: the mean face's lips are up to half a millimetre apart."""


def regions(wheel: Wheel, vertices: Floats, quads: Indices, island: Indices) -> Indices:
    """Region code [N] of every base vertex, given the centred `vertices` [N, 3] and the head's `quads` [Q, 4]."""
    code = np.full(len(vertices), Region.SKIN)
    inside = {}
    for region, seed in ISLAND_SEEDS:
        members = np.unique(quads[island == island[(quads == seed).any(1).argmax()]])
        code[members] = region
        inside[region] = members
    skin = quads[np.isin(quads, inside[Region.SKIN]).all(1)]
    seam = np.isin(np.arange(len(code)), np.intersect1d(inside[Region.SKIN], inside[Region.MOUTH]))
    lips = _rings(skin, seam) <= LIP_RINGS
    code[(code == Region.SKIN) & (vertices[:, 1] > np.interp(vertices[:, 2], *np.transpose(HAIRLINE)))] = Region.SCALP
    code[(code == Region.SKIN) & (vertices[:, 2] < NAPE_DEPTH)] = Region.NECK
    code[lips] = Region.LIPS
    for side in "lr":
        shift = np.linalg.norm(wheel.target(f"ears/{side}-ear-trans-up"), axis=1)
        code[(shift >= EAR_SHARE * shift.max()) & np.isin(code, [Region.SKIN, Region.SCALP])] = Region.EAR
    for part, region in HELPER_REGIONS.items():
        code[wheel.mesh.part_vertices(part)] = region
    for row, upwards in TOOTH_ROWS.items():
        teeth = wheel.mesh.part_vertices(row)
        flat = vertices[teeth] @ (0, 1, -OCCLUSAL_SLOPE) * upwards
        code[teeth[flat > flat.min() + GUMS]] = Region.MOUTH
    return code


def inside_of_teeth(mesh: BaseMesh) -> NDArray[np.bool_]:
    """Mask [Q] of the quads on the tongue's side of the teeth: without them edges have the normals of the front."""
    corners = mesh.vertices[mesh.quads]
    normals = np.cross(corners[:, 2] - corners[:, 0], corners[:, 3] - corners[:, 1])
    inside = np.zeros(len(mesh.quads), dtype=bool)
    for row in TOOTH_ROWS:
        arch = mesh.parts == row
        back = corners[arch, :, 2].min()
        outwards = corners[arch].mean(1) - (0, 0, back)
        inside[arch] = (outwards * normals[arch])[:, [0, 2]].sum(1) < 0
    return inside


def shape_teeth(mesh: BaseMesh, vertices: Floats) -> Floats:
    """Base vertices [N, 3] with the teeth where an adult's are: a narrower arch, the upper ones before the lower."""
    shaped = vertices.copy()
    upper, lower = (mesh.part_vertices(row) for row in TOOTH_ROWS)
    shaped[np.concatenate([upper, lower]), 0] *= DENTAL_ARCH_SCALE
    roots = vertices[upper, 1].max()
    shaped[upper, 1] = roots + UPPER_TEETH_LENGTH * (vertices[upper, 1] - roots)
    shaped[upper, 2] += OVERJET
    return shaped


def seal_lips(vertices: Floats, quads: Indices, island: Indices) -> Floats:
    """Base vertices [N, 3] with the lips swollen upwards and downwards, where they face, until the mouth is shut."""
    by_seed = {region: quads[island == island[(quads == seed).any(1).argmax()]] for region, seed in ISLAND_SEEDS}
    seam = np.isin(np.arange(len(vertices)), np.intersect1d(by_seed[Region.SKIN], by_seed[Region.MOUTH]))
    ring = _rings(np.concatenate([by_seed[Region.SKIN], by_seed[Region.MOUTH]]), seam)
    fade = np.clip((LIP_RINGS - ring) / (LIP_RINGS - LIP_CONTACT_RINGS), 0, 1)
    diagonals = vertices[quads[:, 2:]] - vertices[quads[:, :2]]
    area = np.cross(diagonals[:, 0], diagonals[:, 1])
    normals = np.stack([np.bincount(quads.ravel(), np.repeat(a, 4), len(vertices)) for a in area.T], axis=1)
    upwards = normals[:, 1] / np.maximum(np.linalg.norm(normals, axis=1), np.finfo(float).tiny)
    sealed = vertices.copy()
    sealed[:, 1] += LIP_SEAL * fade * upwards
    return sealed


def _rings(quads: Indices, start: NDArray[np.bool_]) -> Indices:
    """Quads [N] between each vertex and the `start` [N] vertices, counted up to one past LIP_RINGS."""
    reached = start.copy()
    ring = np.where(start, 0, LIP_RINGS + 1)
    for step in range(1, LIP_RINGS + 1):
        reached[quads[reached[quads].any(1)]] = True
        ring[reached & (ring > step)] = step
    return ring
