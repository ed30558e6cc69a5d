"""A sphere with complete ground truth, and a renderer that knows the answer."""

from dataclasses import dataclass, field

import torch

from rgb_core.data import Dataset
from rgb_core.heads import HeadModel, Pose
from rgb_core.images import rgba_to_linear
from rgb_core.rendering import RenderedFrame
from rgb_core.scene import Camera, Light
from rgb_core.scene.labels import Label

SIZE = 48
RADIUS = 0.1
TEST_IDS = ("00001", "00002", "00003")
TRUTH_IDS = ("00001", "00003")
# OpenCV: the sphere at the origin, seen from 1 m along +z, y down.
WORLD_TO_CAMERA = torch.tensor([[1.0, 0, 0, 0], [0, -1, 0, 0], [0, 0, -1, 1]])
CAMERA = Camera((200.0, 200.0, 24.0, 24.0), WORLD_TO_CAMERA, SIZE, SIZE)
LIGHTS = {"noon": torch.full((3, 4, 8), 1.0), "dusk": torch.full((3, 4, 8), 0.25)}


def sphere(radius=RADIUS, rings=48):
    """Vertices [V, 3] and outward faces [F, 3] of a sphere about the origin; poles on the y axis."""
    theta = torch.linspace(0, torch.pi, rings + 1)[:, None]
    phi = torch.arange(2 * rings)[None] * torch.pi / rings
    x, z = theta.sin() * phi.sin(), theta.sin() * phi.cos()
    vertices = radius * torch.stack([x, theta.cos().expand_as(x), z], -1).reshape(-1, 3)
    row, column = torch.meshgrid(torch.arange(rings), torch.arange(2 * rings), indexing="ij")
    after = (column + 1) % (2 * rings)
    a, b = row * 2 * rings + column, row * 2 * rings + after
    c, d = a + 2 * rings, b + 2 * rings
    faces = torch.stack([torch.stack([a, c, d], -1), torch.stack([a, d, b], -1)], 2).reshape(-1, 3)
    return vertices.contiguous(), faces


def sphere_head():
    """A head model that is a sphere without expressions."""
    vertices, faces = sphere()
    count = len(vertices)
    return HeadModel(
        name="sphere",
        vertices=vertices,
        faces=faces,
        shape_basis=torch.zeros(0, count, 3),
        expression_basis=torch.zeros(1, count, 3),
        expression_names=("still",),
        pose_basis=torch.zeros(0, count, 3),
        joint_positions=torch.zeros(1, 3),
        joint_parents=torch.tensor([-1]),
        joint_names=("root",),
        skin_weights=torch.ones(count, 1),
        region=torch.zeros(count, dtype=torch.uint8),
    )


def disc():
    """bool [H, W]: pixels whose centre sees the sphere, and unit normals [H, W, 3] there."""
    direction = CAMERA.ray_directions()
    b = direction[..., 2]  # the ray starts at (0, 0, 1)
    root = b**2 - (1 - RADIUS**2)
    t = -b - root.clamp_min(0).sqrt()
    point = torch.tensor([0.0, 0, 1]) + t[..., None] * direction
    return root > 0, torch.nn.functional.normalize(point, dim=-1)


def picture(seed):
    """uint8 [H, W, 4]: random colours short of white on the sphere, a soft outline, nothing elsewhere."""
    inside, _ = disc()
    color = torch.randint(10, 180, (SIZE, SIZE, 3), generator=torch.Generator().manual_seed(seed))
    neighbours = torch.nn.functional.avg_pool2d(inside.float()[None, None], 3, 1, 1)[0, 0]
    alpha = torch.where(inside, 255, (neighbours * 255).long())
    return torch.cat([color, alpha[..., None]], -1).to(torch.uint8)


def labels():
    """uint8 [H, W]: hair on the upper half of the sphere, skin on the lower."""
    inside, normal = disc()
    return torch.where(inside, torch.where(normal[..., 1] > 0, Label.HAIR, Label.SKIN), Label.BACKGROUND).to(
        torch.uint8
    )


def posed(index):
    """The pose of frame number `index`: its coefficient moves nothing, so that frames differ in it alone."""
    return Pose(torch.tensor([float(index)]), torch.zeros(1, 3), torch.zeros(3))


@dataclass
class Oracle:
    """Renders the truth; `gain` multiplies relit radiance and albedo, `offset` moves the mesh."""

    dataset: Dataset
    gain: torch.Tensor = field(default_factory=lambda: torch.ones(3))
    offset: torch.Tensor = field(default_factory=lambda: torch.zeros(3))
    name: str = "oracle"
    gaussian_count: int = 7
    light_rows: int = 32
    light: Light = field(default_factory=lambda: Light(torch.ones(3, 4, 8)))

    @property
    def region(self):
        return self.dataset.head.region

    def render(self, pose, camera, light=None, layers=()):
        (frame,) = (
            frame for frame in self.dataset.all_frames if all(map(torch.equal, frame.pose.tensors, pose.tensors))
        )
        size = camera.width, camera.height
        known = self.dataset.ground_truth
        image = self.dataset.image(frame, size)
        true = {}
        if frame.id in TRUTH_IDS and known is not None:
            albedo = rgba_to_linear(known.albedo(frame.id, size))[..., :3]
            true = {"albedo": albedo * self.gain, "normal": known.normal(frame.id, size)[..., :3]}
        if light is not None:
            name = next(name for name, radiance in LIGHTS.items() if torch.equal(radiance, light.radiance))
            image = rgba_to_linear(known.relit(name, frame.id, size))
            image = torch.cat([image[..., :3] * self.gain, image[..., 3:]], -1)
        return RenderedFrame(image[..., :3], image[..., 3], {layer: true[layer] for layer in layers})

    def posed_mesh(self, pose):
        head = self.dataset.head
        return head.vertices + self.offset, head.faces
