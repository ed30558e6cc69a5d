"""Which lobe makes hair shine as it does: `python benchmarks/hair_lobe.py DATASET ... [--size 192]`.

True albedo, normals, surface and light of the pixels labelled hair; the gloss is left out, or GGX's, or Kajiya and
Kay's (1989) of strands that hang down the surface or lie across it. Every lobe's width and strength are fitted under
the clip's own light; printed is the PSNR of the hair under that light and under the others, one RGB scale each.
"""

import argparse
from collections.abc import Callable
from functools import partial
from pathlib import Path

import torch
from ceilings import ROUGHNESS, SIZE, Pixels
from diff_envshade import texel_directions, texel_solid_angles
from diff_envshade.visibility import unpack_bits
from torch.nn.functional import normalize

from rgb_core.data import Dataset, load_dataset
from rgb_core.evaluation.alignment import AlignedSet
from rgb_core.scene import Light
from rgb_core.scene.labels import Label

EXPONENTS = (0.25, 0.5, 1, 2, 4, 8, 16, 32, 64, 128)
DOWN = torch.tensor([0.0, -1.0, 0.0])
_CHUNK = 4096

Lobe = Callable[[Pixels, torch.Tensor, float], torch.Tensor]
"""What a lobe of one width reflects of a map [3, H, W], for a specular albedo of 1: [N, 3]."""


def hair_of(dataset: Dataset, frame_id: str, size: int) -> Pixels:
    """The pixels of a frame's hair."""
    labels = dataset.semantic(dataset.frame(frame_id), (size, size))
    assert labels is not None
    return Pixels(dataset, frame_id, (size, size), labels == Label.HAIR)


def nothing(pixels: Pixels, light: torch.Tensor, width: float) -> torch.Tensor:
    """Matt hair."""
    return torch.zeros_like(pixels.albedo)


def ggx(pixels: Pixels, light: torch.Tensor, width: float) -> torch.Tensor:
    """The lobe of avatars, of a roughness."""
    return pixels.parts(light, width)[1]


def strands(pixels: Pixels, light: torch.Tensor, width: float, across: bool) -> torch.Tensor:
    """Kajiya and Kay's: the sine of the angle between strand and half vector to a power."""
    tangent = normalize(DOWN - (pixels.normals @ DOWN)[:, None] * pixels.normals, dim=1)
    if across:
        tangent = torch.linalg.cross(pixels.normals, tangent)
    directions = texel_directions(*SIZE)
    power = light.flatten(1).T * texel_solid_angles(*SIZE)[:, None]
    seen = unpack_bits(pixels.visibility.words, len(directions))
    parts = []
    for rows in torch.arange(len(tangent)).split(_CHUNK):
        half = normalize(directions + pixels.views[rows, None], dim=-1)
        along = (half * tangent[rows, None]).sum(-1)
        lobe = (1 - along.square()).clamp_min(0).pow(0.5 * width)
        facing = (pixels.normals[rows] @ directions.T).clamp_min(0)
        parts.append((seen[rows] * facing * lobe) @ power)
    return torch.cat(parts)


LOBES: dict[str, tuple[Lobe, tuple[float, ...]]] = {
    "none": (nothing, (0.0,)),
    "GGX": (ggx, ROUGHNESS),
    "strands hanging": (partial(strands, across=False), EXPONENTS),
    "strands across": (partial(strands, across=True), EXPONENTS),
}


def fitted(hair: list[Pixels], light: torch.Tensor, lobe: Lobe, widths: tuple[float, ...]) -> tuple[float, float]:
    """The width and strength that explain the hair under `light` best."""
    best = (torch.inf, 0.0, 0.0)
    wanted = torch.cat([one.colours(one.truth) for one in hair])
    rest = wanted - torch.cat([one.parts(light, 0.5)[0] for one in hair])
    usable = (wanted < 0.98).all(1)
    for width in widths:
        shines = torch.cat([lobe(one, light, width) for one in hair])
        strength = (rest * shines)[usable].sum() / shines[usable].square().sum().clamp_min(1e-12)
        error = float((rest - strength * shines)[usable].square().mean())
        if error < best[0]:
            best = error, width, float(strength)
    return best[1:]


def score(hair: list[Pixels], light: torch.Tensor, gloss: list[torch.Tensor], truths: list[torch.Tensor]) -> float:
    """PSNR over the hair under one RGB scale."""
    scored = AlignedSet()
    for one, shine, truth in zip(hair, gloss, truths, strict=True):
        values = one.parts(light, 0.5)[0] + shine
        rgba = truth.reshape(-1, 4)[one.where][None]
        scored.add(values[None], torch.ones(1, len(values)), rgba)
    return scored.psnr_aligned()


def main() -> None:
    """Print a line for every dataset and lobe."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("datasets", type=Path, nargs="+")
    parser.add_argument("--size", type=int, default=192)
    arguments = parser.parse_args()
    size = (arguments.size, arguments.size)
    for folder in arguments.datasets:
        dataset = load_dataset(folder)
        known = dataset.ground_truth
        assert known is not None
        ids = sorted(path.stem for path in (known.folder / "mesh").glob("*.ply"))
        hair = [hair_of(dataset, frame_id, arguments.size) for frame_id in ids]
        own = known.light().resampled(*SIZE).radiance
        for name, (lobe, widths) in LOBES.items():
            width, strength = fitted(hair, own, lobe, widths)
            cells = []
            for relit in (None, *known.relit_names):
                light = own if relit is None else Light.load(dataset.envmaps[relit]).resampled(*SIZE).radiance
                truths = [
                    one.truth if relit is None else known.relit(relit, frame_id, size)
                    for one, frame_id in zip(hair, ids, strict=True)
                ]
                gloss = [strength * lobe(one, light, width) for one in hair]
                cells.append((relit or "own", score(hair, light, gloss, truths)))
            mean = sum(value for _, value in cells[1:]) / (len(cells) - 1)
            each = ", ".join(f"{key} {value:.2f}" for key, value in cells)
            print(f"{folder.name}: {name}, {width:g}, strength {strength:.3f}: {each}; relit {mean:.2f} dB", flush=True)


if __name__ == "__main__":
    main()
