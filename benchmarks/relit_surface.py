"""What the shading of a fitted surface loses when relit: `python benchmarks/relit_surface.py GEOMETRY DATASET ...`.

True albedo on the mesh of `rgb fit-geometry` (GEOMETRY holds a folder for every dataset, by its name), pixel by pixel,
lit as avatars are: visibility of vertices, one roughness and specular albedo for all. Prints the PSNR under one RGB
scale of the whole frame and, where a lamp casts shadows, of the pixels in them, pixels without truth black in both
pictures:

- even: blocked light is replaced by that of skin like the point's own, and the map stands on the grid as it is;
- pole: the same with the grid's pole at the lamp (`scene.lamps`);
- traced: with the pole at the lamp, and blocked light from the part that blocks (`shading.Bounce`);
- fine: as traced, on a grid of twice as many rows;
- lamp, vertices: as traced, but the main lamp shines from directions of its own, which vertices see or not;
- lamp, points: the same, and every pixel's own point sees them or not.
"""

import argparse
from pathlib import Path
from typing import NamedTuple

import torch
from lamp_rays import Lamp, split_lamp
from torch import Tensor
from torch.nn.functional import normalize
from torchoptixext_visibility import MeshBvh

from rgb_core.avatar import PosedGaussians
from rgb_core.avatar.attachment import Attachment
from rgb_core.data import Dataset, load_dataset
from rgb_core.evaluation.alignment import AlignedSet
from rgb_core.evaluation.truth import Truth, find_truth
from rgb_core.geometry import Geometry, load_geometry
from rgb_core.heads.regions import Region
from rgb_core.images import rgba_to_linear
from rgb_core.rendering.stages import visible_to
from rgb_core.scene import Light
from rgb_core.scene.lamps import Turned, resample_at_lamp
from rgb_core.scene.light import resample
from rgb_core.shading import AttachedSurface, Bounce, SurfaceTracer, light_gaussians

ROWS = 16
ROUGHNESS, SPECULAR = 0.5, 0.9


class Way(NamedTuple):
    """One way to light a surface."""

    rows: int
    at_lamp: bool
    traced: bool
    lamp_seen_by: str = ""
    """`vertices` or `points` where the lamp is apart from the texels."""


WAYS = {
    "even": Way(ROWS, False, False),
    "pole": Way(ROWS, True, False),
    "traced": Way(ROWS, True, True),
    "fine": Way(2 * ROWS, True, True),
    "lamp, vertices": Way(ROWS, True, True, "vertices"),
    "lamp, points": Way(ROWS, True, True, "points"),
}


class FittedPixels:
    """The fitted surface with true albedo in a frame that has all truth."""

    def __init__(self, dataset: Dataset, geometry: Geometry, frame_id: str, size: tuple[int, int]):
        frame, known = dataset.frame(frame_id), dataset.ground_truth
        assert known is not None
        self.head, self.frame, self.camera = geometry.head, frame, dataset.camera(frame, size)
        self.vertices = self.head.pose(frame.pose).vertices
        rays = self.camera.ray_directions().reshape(-1, 3)
        origins = self.camera.center.expand_as(rays).contiguous()
        hits = MeshBvh(self.vertices, self.head.faces).trace(origins, rays)
        albedo = rgba_to_linear(known.albedo(frame_id, size)).reshape(-1, 4)
        self.where = (albedo[:, 3] > 0.99) & (hits.face_id >= 0)
        self.attachment = Attachment(hits.face_id[self.where], hits.barycentric[self.where])
        self.albedo, self.views = albedo[self.where, :3].contiguous(), -rays[self.where]

    def lit(self, light: Turned, bounce: Bounce | None, lamp: Lamp | None = None, seen_by: str = "") -> Tensor:
        """[H, W, 3] the radiance under `light`, black where nothing is known.

        With `lamp`, its part of the light comes from its own directions; what the head sends on is that of `light`.
        """
        head, count = self.head, len(self.albedo)
        everything = torch.ones(head.vertex_count, dtype=torch.bool)
        tracer = SurfaceTracer(head.faces, everything & (head.region != Region.OTHER), Light(light.radiance).size)
        surface = tracer.trace(self.vertices, True, light.turn)
        assert surface.occlusion is not None
        seen = visible_to(self.attachment, head.faces.int(), surface.visibility)
        normals = normalize(self.attachment.interpolate(surface.normals, head.faces), dim=1)
        occlusion = self.attachment.interpolate(surface.occlusion, head.faces)
        from_head = None
        if bounce is not None:
            region = head.region[head.faces[self.attachment.face_id, 0]]
            received = bounce.irradiance(surface, self.albedo, region, light.radiance, light.turn)
            from_head = self.attachment.interpolate(received, head.faces)
        none = torch.zeros(count, 3)
        points = PosedGaussians(
            none,
            none,
            none,
            none[:, :1],
            self.albedo,
            torch.full((count, 1), ROUGHNESS),
            torch.full((count, 3), SPECULAR),
        )
        attached = AttachedSurface(normals, self.views, occlusion)
        if lamp is not None:
            light = Turned(resample(lamp.rest, *Light(light.radiance).size), None)
            surface = tracer.trace(self.vertices, True, None)
            seen = visible_to(self.attachment, head.faces.int(), surface.visibility)
        radiance = light_gaussians(points, attached, seen, light.radiance, light.turn, True, from_head).radiance
        if lamp is not None:
            radiance = radiance + self.from_lamp(lamp, surface.normals, normals, seen_by)
        picture = torch.zeros(len(self.where), 3)
        picture[self.where] = radiance
        return picture.view(self.camera.height, self.camera.width, 3)

    def from_lamp(self, lamp: Lamp, of_vertices: Tensor, normals: Tensor, seen_by: str) -> Tensor:
        """[P, 3] radiance of the points from the lamp, which vertices with normals `of_vertices` see or they do."""
        bvh, faces = MeshBvh(self.vertices, self.head.faces), self.head.faces
        if seen_by == "points":
            seen = lamp.seen(bvh, self.attachment.interpolate(self.vertices, faces), normals)
        else:
            seen = self.attachment.interpolate(lamp.seen(bvh, self.vertices, of_vertices), faces)
        irradiance, reflection = lamp.shine(seen, normals, self.views, ROUGHNESS)
        return self.albedo * irradiance + SPECULAR * reflection


def main() -> None:
    """Print the scores of every dataset, light and way."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("geometry", type=Path)
    parser.add_argument("datasets", type=Path, nargs="+")
    parser.add_argument("--size", type=int, default=128)
    parser.add_argument("--frames", type=int, default=2, help="frames with truth, from the first")
    arguments = parser.parse_args()
    print(f"{'subject':10s} {'light':10s}" + "".join(f"{name:>16s}" for name in WAYS), flush=True)
    for folder in arguments.datasets:
        dataset, geometry = load_dataset(folder), load_geometry(arguments.geometry / folder.name)
        truth = find_truth(dataset, dataset.frames("test"))
        ids, size = sorted(truth.albedo & truth.mesh)[: arguments.frames], (arguments.size, arguments.size)
        pixels, bounce = [FittedPixels(dataset, geometry, one, size) for one in ids], Bounce(geometry.head)
        for name, light in truth.lights.items():
            scored = [score(pixels, truth, name, light, way, bounce) for way in WAYS.values()]
            print(f"{folder.name:10s} {name:10s}" + "".join(f"{cell:>16s}" for cell in scored), flush=True)


def score(pixels: list[FittedPixels], truth: Truth, name: str, light: Light, way: Way, bounce: Bounce) -> str:
    """PSNR of the frame and, where there are, of cast shadows, dB."""
    plain = Turned(light.resampled(way.rows, 2 * way.rows).radiance, None)
    shining = resample_at_lamp(light.radiance, way.rows, 2 * way.rows) if way.at_lamp else plain
    lamp = split_lamp(light.radiance) if way.lamp_seen_by else None
    scored = AlignedSet()
    for one in pixels:
        shape = one.camera.height, one.camera.width
        known = one.where.view(shape)
        true = truth.files.relit(name, one.frame.id, (shape[1], shape[0])) * known[..., None]
        shadow = truth.cast_shadow(one.frame, name, one.camera)
        shaded = one.lit(shining, bounce if way.traced else None, lamp, way.lamp_seen_by)
        scored.add(shaded, known.float(), true, None if shadow is None else shadow & known)
    shadows = scored.psnr_cast_shadow()
    return f"{scored.psnr_aligned():.1f}" + ("" if shadows is None else f" / {shadows:.1f}")


if __name__ == "__main__":
    main()
