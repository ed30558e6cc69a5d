"""How well the shading model relights a subject whose truth it knows: `python benchmarks/ceilings.py DATASET ...`.

True albedo, normals, surface and light are put into the shading model pixel by pixel, with one roughness and one
specular albedo for everything; both are fitted to the frames under the clip's own light, and printed. Scored like
`rgb eval` over the whole frame, pixels without truth black in both pictures.
"""

import argparse
from pathlib import Path

import torch
from diff_envshade import PointVisibility, integrate, occlusion
from torch.nn.functional import normalize
from torchoptixext_visibility import MeshBvh

from rgb_core.data import Dataset, load_dataset
from rgb_core.evaluation.alignment import AlignedSet
from rgb_core.images import rgba_to_linear
from rgb_core.scene import Light
from rgb_core.shading import one_bounce_gain

SIZE = (16, 32)
ROUGHNESS = (0.3, 0.35, 0.4, 0.45, 0.5, 0.6)
OFFSET = 5e-4


class Pixels:
    """What is known of every opaque pixel of a frame that has all truth; only of those of `mask` [H, W], if given."""

    def __init__(self, dataset: Dataset, frame_id: str, size: tuple[int, int] | None, mask: torch.Tensor | None = None):
        frame, known = dataset.frame(frame_id), dataset.ground_truth
        assert known is not None
        camera = dataset.camera(frame, size)
        self.size = camera.height, camera.width
        self.truth = dataset.load_rgba(frame, size)
        albedo, normal = rgba_to_linear(known.albedo(frame_id, size)), known.normal(frame_id, size)
        vertices, faces = known.mesh(frame_id)
        bvh = MeshBvh(vertices, faces)
        rays = camera.ray_directions().reshape(-1, 3)
        hits = bvh.trace(camera.center.expand_as(rays).contiguous(), rays)
        opaque = (self.truth[..., 3] == 255) & (normal[..., 3] > 0.99) & (albedo[..., 3] > 0.99)
        self.where = opaque.flatten() & (hits.face_id >= 0)
        if mask is not None:
            self.where &= mask.flatten()
        self.albedo = albedo.reshape(-1, 4)[self.where, :3].contiguous()
        self.normals = normalize(normal.reshape(-1, 4)[self.where, :3], dim=1).contiguous()
        self.views = -rays[self.where].contiguous()
        points = camera.center + hits.t[self.where, None] * rays[self.where]
        words = bvh.visibility(points, self.normals, *SIZE, None, offset=OFFSET)
        self.occlusion = occlusion(self.normals, words, *SIZE)
        index = torch.arange(len(points))
        corners = index.to(torch.int32)[:, None].expand(-1, 3).contiguous()
        first = torch.eye(3)[:1].expand(len(points), 3).contiguous()
        self.visibility = PointVisibility(words, corners, index, first)

    def parts(self, radiance: torch.Tensor, roughness: float) -> tuple[torch.Tensor, torch.Tensor]:
        """Diffuse radiance and the reflection of a specular albedo of 1, [N, 3] each."""
        rough = torch.full((len(self.views), 1), roughness)
        irradiance, reflection = integrate(self.normals, self.views, rough, radiance, self.visibility, None)
        return one_bounce_gain(self.albedo * irradiance, self.albedo, self.occlusion), reflection

    def picture(self, values: torch.Tensor) -> torch.Tensor:
        """[H, W, 3], black where nothing is known."""
        image = torch.zeros(self.where.shape[0], 3)
        image[self.where] = values
        return image.view(*self.size, 3)

    def masked(self, rgba: torch.Tensor) -> torch.Tensor:
        """A true picture uint8 [H, W, 4], cut out where nothing is known."""
        return rgba * self.where.view(*self.size, 1)

    def colours(self, rgba: torch.Tensor) -> torch.Tensor:
        """Linear colours [N, 3] of a true picture."""
        return rgba_to_linear(rgba).reshape(-1, 4)[self.where, :3]


def fit_gloss(pixels: list[Pixels], light: torch.Tensor) -> tuple[float, float]:
    """Roughness and specular albedo that explain the frames under their own light best, by squared error."""
    best = None
    for roughness in ROUGHNESS:
        parts = [one.parts(light, roughness) for one in pixels]
        wanted = torch.cat([one.colours(one.truth) for one in pixels])
        diffuse, reflection = (torch.cat(part) for part in zip(*parts, strict=True))
        usable = (wanted < 0.98).all(1)
        rest, reflection = (wanted - diffuse)[usable], reflection[usable]
        specular = float((rest * reflection).sum() / reflection.square().sum())
        error = float((rest - specular * reflection).square().mean())
        if best is None or error < best[0]:
            best = error, roughness, specular
    assert best is not None
    return best[1], best[2]


def main() -> None:
    """Print the ceiling of every dataset."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("datasets", type=Path, nargs="+")
    parser.add_argument("--size", type=int, default=320)
    arguments = parser.parse_args()
    for folder in arguments.datasets:
        dataset = load_dataset(folder)
        known = dataset.ground_truth
        assert known is not None
        ids = sorted(path.stem for path in (known.folder / "mesh").glob("*.ply"))
        pixels = [Pixels(dataset, frame_id, (arguments.size, arguments.size)) for frame_id in ids]
        light = known.light().resampled(*SIZE).radiance
        roughness, specular = fit_gloss(pixels, light)
        line = f"{folder.name}: roughness {roughness}, specular albedo {specular:.2f}"
        aligned, raw = [], []
        for name in known.relit_names:
            radiance = Light.load(dataset.envmaps[name]).resampled(*SIZE).radiance
            scored = AlignedSet()
            for one, frame_id in zip(pixels, ids, strict=True):
                diffuse, reflection = one.parts(radiance, roughness)
                alpha = one.where.view(one.size).float()
                truth = one.masked(known.relit(name, frame_id, (arguments.size, arguments.size)))
                scored.add(one.picture(diffuse + specular * reflection), alpha, truth)
            aligned.append(scored.psnr_aligned())
            raw.append(scored.psnr())
            line += f"; {name} {aligned[-1]:.1f} / {raw[-1]:.1f}"
        print(f"{line}; mean {sum(aligned) / len(aligned):.1f} / {sum(raw) / len(raw):.1f} dB", flush=True)


if __name__ == "__main__":
    main()
