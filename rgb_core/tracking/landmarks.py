"""The 478 points of mediapipe's face mesh by part of the face; left and right are the head's own."""

import torch
from torch import Tensor

COUNT = 478

FACE_OVAL = (
    10, 338, 297, 332, 284, 251, 389, 356, 454, 323, 361, 288, 397, 365, 379, 378, 400, 377,
    152, 148, 176, 149, 150, 136, 172, 58, 132, 93, 234, 127, 162, 21, 54, 103, 67, 109,
)  # fmt: skip
"""In order along the outline of the face, from the middle of the forehead over the head's left cheek."""
LEFT_EYE = (263, 249, 390, 373, 374, 380, 381, 382, 362, 398, 384, 385, 386, 387, 388, 466)
RIGHT_EYE = (33, 7, 163, 144, 145, 153, 154, 155, 133, 173, 157, 158, 159, 160, 161, 246)
"""In order along the lids, lower lid first."""
LEFT_BROW = (276, 283, 282, 295, 285, 336, 296, 334, 293, 300)
RIGHT_BROW = (46, 53, 52, 65, 55, 107, 66, 105, 63, 70)
"""In order around each brow."""
LEFT_IRIS = (473, 474, 475, 476, 477)
RIGHT_IRIS = (468, 469, 470, 471, 472)
"""The centre first, then four points on the rim."""
OUTER_LIPS = (61, 146, 91, 181, 84, 17, 314, 405, 321, 375, 291, 409, 270, 269, 267, 0, 37, 39, 40, 185)
INNER_LIPS = (78, 95, 88, 178, 87, 14, 317, 402, 318, 324, 308, 415, 310, 311, 312, 13, 82, 81, 80, 191)
"""In order around the mouth, from the head's right corner over the lower lip."""
_BETWEEN_LIPS = (
    76, 77, 90, 180, 85, 16, 315, 404, 320, 307, 306, 408, 304, 303, 302, 11, 72, 73, 74, 184,
    62, 96, 89, 179, 86, 15, 316, 403, 319, 325, 292, 407, 272, 271, 268, 12, 38, 41, 42, 183,
)  # fmt: skip
LIPS = OUTER_LIPS + INNER_LIPS + _BETWEEN_LIPS
UPPER_LIP = OUTER_LIPS[11:] + INNER_LIPS[11:] + _BETWEEN_LIPS[11:20] + _BETWEEN_LIPS[31:]
NOSE = (1, 2, 4, 5, 6, 19, 45, 48, 64, 94, 97, 98, 115, 168, 195, 197, 220, 275, 278, 294, 326, 327, 344, 440)

PARTS = {
    "eyes": LEFT_EYE + RIGHT_EYE,
    "irises": LEFT_IRIS + RIGHT_IRIS,
    "brows": LEFT_BROW + RIGHT_BROW,
    "lips": LIPS,
    "nose": NOSE,
    "outline": FACE_OVAL,
}
"""The parts that errors are reported by; what is in none of them is the rest of the skin."""

_WEIGHTS = {"eyes": 3.0, "irises": 4.0, "brows": 1.5, "lips": 1.5, "nose": 1.0, "outline": 0.15}
"""How much a point tells about the face: lids and irises are sharp and few, the outline slides over the cheeks."""

_LEFT_LIDS = ((386, 374), (385, 380), (387, 373), (384, 381), (388, 390))
_RIGHT_LIDS = ((159, 145), (158, 153), (160, 144), (157, 154), (161, 163))
_LIP_PAIRS = ((13, 14), (82, 87), (312, 317), (81, 178), (311, 402), (80, 88), (310, 318))
_GAZES = ((473, (263, 362)), (468, (33, 133)))


def relations() -> Tensor:
    """[K, 478] differences that are known better than the points: upper from lower lid, iris from eye corners, lips."""
    rows = []
    for plus, minus in (*((a, (b,)) for a, b in _LEFT_LIDS + _RIGHT_LIDS + _LIP_PAIRS), *_GAZES):
        row = torch.zeros(COUNT, dtype=torch.float64)
        row[plus] = 1.0
        row[list(minus)] = -1.0 / len(minus)
        rows.append(row)
    return torch.stack(rows)


def part_indices() -> dict[str, Tensor]:
    """int64 indices of every part of `PARTS`, and of the remaining `skin`."""
    parts = {name: torch.tensor(indices) for name, indices in PARTS.items()}
    left = torch.ones(COUNT, dtype=torch.bool)
    for indices in parts.values():
        left[indices] = False
    return {**parts, "skin": left.nonzero()[:, 0]}


def weights() -> Tensor:
    """[478] float64 weight of every point's squared error."""
    values = torch.ones(COUNT, dtype=torch.float64)
    for name, weight in _WEIGHTS.items():
        values[torch.tensor(PARTS[name])] = weight
    return values


def face_sizes(points: Tensor) -> Tensor:
    """[...] extent in pixels of the faces with landmarks [..., 478, 2 or 3]: the root of the outline's box."""
    outline = points[..., list(FACE_OVAL), :2]
    sides = outline.amax(-2) - outline.amin(-2)
    return sides.prod(-1).sqrt()
