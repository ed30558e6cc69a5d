"""Does the tracked mesh cover the matte? Known mistakes of signs, scale and axes are tried where it does not."""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import mesh_rasterizer
import torch
from torch import Tensor

from ...errors import InputError
from ...heads import HeadModel, Pose
from ...images import downsample
from ...scene.labels import Label
from .pictures import read_labels, read_rgba
from .source import Source, SourceFrame

SAMPLED_FRAMES = 5
LEAST_OVERLAP = 0.6  # intersection over union; hair and a neck without a mesh leave right ones at 0.7 to 0.95
_LEAST_USABLE = 0.2  # below, the tracking is of other pictures
_CLEARLY_BETTER = 0.15  # how much an alternative must gain before it counts as the true convention
_LARGEST_SIDE = 128  # pixels: enough for an overlap, quick for thirty alternatives
_AXES = ("x", "y", "z")


@dataclass(frozen=True)
class Convention:
    """How the tracking may have to be read; the defaults read it as the layout says."""

    name: str = "as the layout says"
    signs: tuple[int, ...] = (1, 1, 1)
    """Of the camera's axes."""
    distance: float = 1.0
    """Factor on translations: the inverse of one on the head's size."""
    focal: float = 1.0
    """Factor on intrinsics: they belong to pictures of another size."""
    inverted: bool = False
    """The camera matrix maps camera to world."""

    def in_camera(self, vertices: Tensor, translation: Tensor, world_to_camera: Tensor) -> Tensor:
        """Camera-space vertices [V, 3] of a head posed without its translation, all float64."""
        rotation, offset = world_to_camera[:, :3], world_to_camera[:, 3]
        if self.inverted:
            rotation, offset = rotation.T, -rotation.T @ offset
        seen = (vertices + self.distance * translation) @ rotation.T + self.distance * offset
        return seen * torch.tensor(self.signs, dtype=seen.dtype)


def _alternatives() -> tuple[Convention, ...]:
    flips = []
    for signs in itertools.product((1, -1), repeat=3):
        flipped = [axis for axis, sign in zip(_AXES, signs, strict=True) if sign < 0]
        if flipped:
            flips.append(Convention(f"with the camera's {' and '.join(flipped)} negated", signs))
    factors = {"4 times as large": 4.0, "4 times as small": 0.25, "in millimetres": 1e-3, "in centimetres": 1e-2}
    scales = [Convention(f"with translations {text}", distance=factor) for text, factor in factors.items()]
    both = [
        Convention(f"{flip.name} and {scale.name.removeprefix('with ')}", flip.signs, scale.distance)
        for flip in flips
        if flip.signs.count(-1) == 2  # proper rotations: the usual change between camera axes
        for scale in scales[:2]
    ]
    others = [
        Convention("with the camera matrix inverted (camera to world)", inverted=True),
        Convention("with intrinsics of pictures half the size", focal=2.0),
        Convention("with intrinsics of pictures twice the size", focal=0.5),
    ]
    return (*flips, *scales, *both, *others)


ALTERNATIVES = _alternatives()


@dataclass(frozen=True)
class Verdict:
    """The overlap of the mesh with the matte, and the sentence for the user where it is low."""

    overlap: float
    warning: str | None = None


def check_projection(source: Source) -> Verdict:
    """Mean overlap of mesh and matte over five frames spread over the clip.

    Raises:
        InputError: when the mattes are empty, when the mesh misses them, or fits only in another convention.
    """
    count = min(SAMPLED_FRAMES, len(source.frames))
    chosen = [source.frames[round(index)] for index in torch.linspace(0, len(source.frames) - 1, count).tolist()]
    views = [view for view in (_View(source, frame) for frame in chosen) if bool(view.matte.any())]
    if not views:
        raise InputError(f"{chosen[0].image} and the other sampled frames have an empty matte; matte the clip first")
    overlap = _overlap(views, source.head, Convention())
    if overlap >= LEAST_OVERLAP:
        return Verdict(overlap)
    scores = [_overlap(views, source.head, convention) for convention in ALTERNATIVES]
    best = max(range(len(scores)), key=scores.__getitem__)
    if _overlap(views, source.head, Convention(), inverted=True) >= max(LEAST_OVERLAP, scores[best]):
        mask = chosen[0].mask or chosen[0].image
        raise InputError(f"{mask} and the other mattes look inverted: 255 around the head and 0 on it; turn them over")
    problem = f"the tracked mesh covers {overlap:.2f} of the matte (intersection over union of {len(views)} frames)"
    # A mesh that fills the picture overlaps any large matte.
    filling = sum(float(view.matte.float().mean()) for view in views) / len(views)
    if scores[best] >= max(LEAST_OVERLAP, overlap + _CLEARLY_BETTER, filling + _CLEARLY_BETTER / 2):
        raise InputError(
            f"{chosen[0].image.parent}: {problem}, but {scores[best]:.2f} {ALTERNATIVES[best].name}: "
            f"its files are not in the convention of the {source.layout} layout"
        )
    if overlap < _LEAST_USABLE:
        raise InputError(
            f"{chosen[0].image.parent}: {problem}, and no known change of signs, scale or axes fits: "
            "the tracking is not of these pictures"
        )
    return Verdict(overlap, f"{problem}, and no known change of signs, scale or axes fits: look at it with rgb check")


class _View:
    """One frame at a size that is quick to draw."""

    def __init__(self, source: Source, frame: SourceFrame) -> None:
        shrink = max(1.0, max(source.size) / _LARGEST_SIDE)
        self.width, self.height = (max(1, round(side / shrink)) for side in source.size)
        alpha = read_rgba(frame.image, frame.mask, source.size)[..., 3:].float() / 255
        if frame.semantic is not None:
            alpha = alpha * (read_labels(frame.semantic, source.size) != Label.CLOTH)[..., None]
        self.matte = downsample(alpha, self.width, self.height)[..., 0] > 0.5
        self.camera = frame.camera.resized(self.width, self.height)
        self.translation = frame.translation
        pose = Pose(frame.expression, frame.joints, torch.zeros(3)).to(torch.float32)
        self.vertices = source.head.with_identity(source.shape.float()).pose(pose).vertices.double()

    def overlap(self, head: HeadModel, convention: Convention, inverted: bool) -> float:
        """Intersection over union of the mesh and the matte, or what the matte leaves out."""
        seen = convention.in_camera(self.vertices, self.translation, self.camera.world_to_camera)
        seen = seen.float()
        if not bool(seen.isfinite().all()):
            return 0.0
        intrinsics = torch.tensor([self.camera.intrinsics], dtype=torch.float32) * convention.focal
        fragments = mesh_rasterizer.rasterize(seen[None], head.faces, intrinsics, self.width, self.height)
        covered = fragments.face_id[0] >= 0
        matte = ~self.matte if inverted else self.matte
        return float((covered & matte).sum() / (covered | matte).sum().clamp_min(1))


def _overlap(views: Sequence[_View], head: HeadModel, convention: Convention, inverted: bool = False) -> float:
    return sum(view.overlap(head, convention, inverted) for view in views) / len(views)
