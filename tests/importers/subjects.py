"""A small head with FLAME's skeleton, and a clip of it in exact float64 coefficients with silhouettes for pictures."""

import dataclasses
import math
from dataclasses import dataclass

import mesh_rasterizer
import torch

from rgb_core.heads import HeadModel, Pose
from rgb_core.rotations import axis_angle_to_matrix
from rgb_core.scene import Camera

ROWS, COLUMNS = 14, 20
SEMI_AXES = (0.08, 0.12, 0.10)  # metres
EXPRESSIONS, IDENTITIES = 10, 6
SIZE = (96, 80)
UPRIGHT = torch.diag(torch.tensor([1.0, -1.0, -1.0], dtype=torch.float64))


def flame_like_head(left_eye_first: bool = True, eyelids: bool = False) -> HeadModel:
    """An ellipsoid with FLAME's five joints, regressed, and pose correctives; wider above and with a chin below."""
    generator = torch.Generator().manual_seed(7)
    theta = torch.linspace(0.02, math.pi - 0.02, ROWS)[:, None]
    phi = torch.arange(COLUMNS)[None] * (2 * math.pi / COLUMNS)
    sphere = torch.stack([theta.sin() * phi.cos(), theta.cos().expand(-1, COLUMNS), theta.sin() * phi.sin()], -1)
    vertices = (sphere * torch.tensor(SEMI_AXES)).reshape(-1, 3)
    vertices[:, 2] += 0.02 * (vertices[:, 1] < 0)  # a chin, so that turned pictures look turned
    vertices[:, 0] *= 1 + 2 * vertices[:, 1]  # narrower below, so that upside down looks so
    corners = torch.arange(ROWS * COLUMNS).view(ROWS, COLUMNS)
    right, below = corners.roll(-1, 1), corners.roll(-1, 0)
    diagonal = below.roll(-1, 1)
    quads = torch.stack([corners, right, below, right, diagonal, below], -1)[:-1].reshape(-1, 3)
    count = len(vertices)
    side = 1.0 if left_eye_first else -1.0
    eyes = [torch.tensor([side * x, 0.03, 0.08]) for x in (0.03, -0.03)]
    targets = [torch.tensor([0.0, -0.1, -0.02]), torch.tensor([0.0, -0.06, 0.0]), torch.tensor([0.0, -0.03, 0.02])]
    nearness = torch.stack([(-((vertices - target) ** 2).sum(1) / 4e-4).exp() for target in [*targets, *eyes]], 1)
    nearness[:, 0] += 0.05
    regressor = nearness.T / nearness.T.sum(1, keepdim=True)
    smooth = torch.randn(EXPRESSIONS + IDENTITIES, 3, 3, generator=generator)
    basis = 0.04 * (vertices @ smooth) + 0.004 * torch.randn(len(smooth), count, 3, generator=generator)
    names = [f"expression_{index}" for index in range(EXPRESSIONS)]
    expressions = basis[:EXPRESSIONS]
    if eyelids:
        names += ["eyelidLeft", "eyelidRight"]
        expressions = torch.cat([expressions, 0.01 * torch.randn(2, count, 3, generator=generator)])
    return HeadModel(
        name="synthetic",
        vertices=vertices,
        faces=quads,
        shape_basis=basis[EXPRESSIONS:] / 4,
        expression_basis=expressions / 8,
        expression_names=tuple(names),
        pose_basis=0.002 * torch.randn(36, count, 3, generator=generator),
        joint_positions=regressor @ vertices,
        joint_parents=torch.tensor([-1, 0, 1, 1, 1]),
        joint_names=(
            "root",
            "neck",
            "jaw",
            *(("eye_left", "eye_right") if left_eye_first else ("eye_right", "eye_left")),
        ),
        skin_weights=nearness / nearness.sum(1, keepdim=True),
        region=torch.zeros(count, dtype=torch.uint8),
        joint_regressor=regressor,
    )


@dataclass(frozen=True)
class TrueFrame:
    """Exact pose, float64, and the real camera of one frame."""

    pose: Pose
    camera: Camera


@dataclass(frozen=True)
class Clip:
    """A clip of the head, its pictures silhouettes in random colours."""

    head: HeadModel
    shape: torch.Tensor
    frames: tuple[TrueFrame, ...]
    size: tuple[int, int]
    offsets: torch.Tensor | None = None
    """[V, 3] of a personalised template."""

    @property
    def personal(self) -> HeadModel:
        """The head with its offsets."""
        if self.offsets is None:
            return self.head
        vertices = self.head.vertices + self.offsets
        return dataclasses.replace(self.head, vertices=vertices)

    def vertices(self, index: int) -> torch.Tensor:
        """[V, 3] posed in the world, float64."""
        frame = self.frames[index]
        return posed(self.personal, self.shape, frame.pose)

    def pixels(self, index: int) -> torch.Tensor:
        """[V, 2] projected vertices, float64."""
        return self.frames[index].camera.project(self.vertices(index))[0]

    def picture(self, index: int) -> torch.Tensor:
        """uint8 [H, W, 4] with the silhouette as its matte."""
        camera = self.frames[index].camera
        seen = camera.to_camera(self.vertices(index)).float()
        intrinsics = torch.tensor([camera.intrinsics], dtype=torch.float32)
        covered = mesh_rasterizer.rasterize(seen[None], self.head.faces, intrinsics, *self.size).face_id[0] >= 0
        colours = torch.randint(0, 256, (self.size[1], self.size[0], 3), generator=torch.Generator().manual_seed(index))
        return torch.cat([colours, covered[..., None] * 255], -1).to(torch.uint8)


def posed(head: HeadModel, shape: torch.Tensor, pose: Pose) -> torch.Tensor:
    """[V, 3] float64."""
    fields = {field.name: getattr(head, field.name) for field in dataclasses.fields(head)}
    double = {k: v.double() for k, v in fields.items() if isinstance(v, torch.Tensor) and v.is_floating_point()}
    double["skin_weights"] /= double["skin_weights"].sum(1, keepdim=True)  # float32 rows miss 1 by 6e-8
    exact = dataclasses.replace(head, **double)
    return exact.with_identity(shape.double()).pose(pose.to(torch.float64)).vertices


def make_clip(
    head: HeadModel,
    frames: int = 6,
    size: tuple[int, int] = SIZE,
    neck: bool = True,
    translated: bool = True,
    center: tuple[float, float] = (0.55, 0.46),
    square_pixels: bool = True,
) -> Clip:
    """A head that turns, speaks and looks about before a camera at rest, principal point off the centre."""
    generator = torch.Generator().manual_seed(3)

    def draw(*shape: int) -> torch.Tensor:
        return torch.randn(*shape, generator=generator, dtype=torch.float64)

    focal = 2.5 * size[1]
    pixels = focal, focal * (1 if square_pixels else 1.03), center[0] * size[0], center[1] * size[1]
    extrinsics = torch.cat([UPRIGHT, torch.tensor([[0.0], [0.0], [1.0]], dtype=torch.float64)], 1)
    camera = Camera(pixels, extrinsics, *size)
    made = []
    for _ in range(frames):
        joints = 0.1 * draw(5, 3)
        joints[0] *= 3
        if not neck:
            joints[1] = 0
        translation = 0.01 * draw(3) if translated else torch.zeros(3, dtype=torch.float64)
        expression = torch.zeros(len(head.expression_names), dtype=torch.float64)
        expression[:] = 0.4 * draw(len(expression))
        made.append(TrueFrame(Pose(expression, joints, translation), camera))
    return Clip(head, 0.5 * draw(IDENTITIES), tuple(made), size)


def root_motion(clip: Clip, index: int) -> tuple[torch.Tensor, torch.Tensor]:
    """The rigid motion R [3, 3], t [3] from the head at rest, root and translation zero, to the world."""
    frame = clip.frames[index]
    rotation = axis_angle_to_matrix(frame.pose.joints[0])
    head = clip.personal
    unposed = posed(head, clip.shape, Pose(frame.pose.expression, torch.zeros(5, 3), torch.zeros(3)))
    rest = head.joint_regressor[0].double() @ unposed
    return rotation, rest - rotation @ rest + frame.pose.translation
