"""Videos and landmarks whose truth is known: made from the built-in head, without any detector."""

import dataclasses
import math
import subprocess
from collections.abc import Sequence
from pathlib import Path

import imageio_ffmpeg
import mesh_rasterizer
import torch
from torch import Tensor

from rgb_core.heads import HeadModel, Pose, builtin_head
from rgb_core.heads.regions import Region, in_regions
from rgb_core.images.video import write_video
from rgb_core.tracking import landmarks
from rgb_core.tracking.detect.correspondence import Correspondence
from rgb_core.tracking.detect.following import places_of

SIZE = (256, 256)
FOCAL = 520.0
_BLOCK, _BITS = 16, 6  # pixels and number of the blocks that write a frame's number into its picture
_CAMERA = torch.tensor([[1.0, 0, 0, 0], [0, -1, 0, 0], [0, 0, -1, 0.55]])


def ffmpeg(*arguments: str | Path) -> None:
    """Run ffmpeg quietly."""
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-y", "-v", "error", *map(str, arguments)]
    subprocess.run(command, check=True)


def spread_correspondence(head: HeadModel) -> Correspondence:
    """478 vertices of the face, the same ones every time; no landmark means anything here but its place."""
    face = in_regions(head.region, (Region.SKIN, Region.LIPS)) & (head.vertices[:, 2] > 0.0)
    vertices = face.nonzero()[:, 0]
    chosen = vertices[torch.randperm(len(vertices), generator=torch.Generator().manual_seed(1))[: landmarks.COUNT]]
    weights = torch.tensor([1.0, 0.0, 0.0]).expand(landmarks.COUNT, 3)
    habits = torch.zeros(5, landmarks.COUNT, 3, dtype=torch.float64)
    return Correspondence(chosen[:, None].expand(-1, 3), weights, habits)


@dataclasses.dataclass(frozen=True)
class Truth:
    """Exact coefficients of a clip of the built-in head: N poses, and an identity [S]."""

    pose: Pose
    shape: Tensor

    def vertices(self) -> Tensor:
        """[N, V, 3] in camera space."""
        posed = builtin_head().with_identity(self.shape).pose(self.pose).vertices
        return posed @ _CAMERA[:, :3].T + _CAMERA[:, 3]

    def landmarks(self) -> Tensor:
        """[N, 478, 3] as a perfect detector reports them: pixels, and depth in pixels."""
        points = spread_correspondence(builtin_head()).points(self.vertices())
        center = torch.tensor([SIZE[0] / 2, SIZE[1] / 2])
        depth = points[..., 2:] - points[..., 2:].mean(1, keepdim=True)
        return torch.cat([FOCAL * points[..., :2] / points[..., 2:] + center, FOCAL / 0.55 * depth], -1)


def talking(count: int) -> Truth:
    """A head that turns, nods, opens its mouth and blinks, smoothly."""
    head = builtin_head()
    time = torch.arange(count) / 25.0
    expression = torch.zeros(count, len(head.expression_names))
    expression[:, head.expression_index("jawOpen")] = 0.25 + 0.2 * (2 * math.pi * time).sin()
    expression[:, head.expression_index("mouthSmileLeft")] = 0.3 + 0.25 * (1.5 * time).cos()
    expression[:, head.expression_index("browInnerUp")] = 0.3 + 0.3 * (3 * time).sin()
    joints = torch.zeros(count, head.joint_count, 3)
    joints[:, 0] = torch.stack([0.15 * (2 * time).cos(), 0.4 * (1.2 * time).sin(), 0.1 * time.sin()], 1)
    translation = torch.stack([0.01 * time.sin(), 0.01 * time.cos(), 0.02 * time.sin()], 1)
    shape = torch.zeros(len(head.shape_basis))
    shape[:3] = torch.tensor([0.8, -0.6, 0.5])
    return Truth(Pose(expression, joints, translation), shape)


def film(path: Path, truth: Truth, empty: Sequence[int] = ()) -> Path:
    """Draw a clip on a light background as a video at 25 frames a second; `empty` frames show no head."""
    head = builtin_head()
    tones = torch.rand(len(head.vertices), 3, generator=torch.Generator().manual_seed(2)) * 0.2
    colour = torch.tensor([0.7, 0.45, 0.35]) + tones
    colour[head.region == Region.SCALP] = torch.tensor([0.1, 0.1, 0.1])
    intrinsics = torch.tensor([[FOCAL, FOCAL, SIZE[0] / 2, SIZE[1] / 2]])
    frames = []
    for number, vertices in enumerate(truth.vertices()):
        fragments = mesh_rasterizer.rasterize(vertices[None].contiguous(), head.faces, intrinsics, *SIZE)
        picture = mesh_rasterizer.interpolate(fragments, head.faces, colour)[0]
        covered = (fragments.face_id[0] >= 0)[..., None] & (number not in empty)
        frames.append(_numbered(255 * torch.where(covered, picture, torch.tensor([0.6, 0.8, 1.0])), number))
    write_video(path, frames, 25.0, 9.5)
    return path


def _numbered(picture: Tensor, number: int) -> Tensor:
    """The picture as bytes with its number as black and white blocks in the corner."""
    numbered = picture.round().clamp(0, 255).byte()
    for bit in range(_BITS):
        numbered[:_BLOCK, bit * _BLOCK : (bit + 1) * _BLOCK] = 255 * ((number >> bit) & 1)
    return numbered


def read_number(picture: Tensor) -> int:
    """The number that `film` wrote into a picture."""
    blocks = picture[:_BLOCK, : _BITS * _BLOCK].float().mean((0, 2)).view(_BITS, _BLOCK).mean(1)
    return sum(1 << bit for bit, level in enumerate(blocks.tolist()) if level > 127)


class PerfectDetector:
    """Knows the landmarks of a filmed clip by the number in its pictures; sees no head in `empty` frames."""

    def __init__(self, truth: Truth, empty: Sequence[int] = ()):
        self._landmarks = truth.landmarks()
        self._empty = empty
        self.seen: set[int] = set()
        self.fails_at: int | None = None

    def find(self, image: Tensor) -> Tensor:
        """[1 or 0, 4]; a part of a picture does not say which one it is of."""
        if tuple(image.shape[:2]) != SIZE[::-1] or read_number(image) in self._empty:
            return torch.zeros(0, 4)
        return places_of(self._landmarks[read_number(image)][None])

    def landmarks(self, image: Tensor, places: Tensor) -> Tensor:
        """[K, 478, 3]."""
        number = read_number(image)
        if number == self.fails_at:
            raise KeyboardInterrupt
        self.seen.add(number)
        shown = self._landmarks[number] if number not in self._empty else torch.full((landmarks.COUNT, 3), torch.nan)
        return shown.expand(len(places), -1, -1).clone()

    def matte(self, image: Tensor) -> Tensor:
        """[H, W]: what is not the blue background."""
        return 255 * (image[..., 2].float() < image[..., 0].float() + 40).byte()
