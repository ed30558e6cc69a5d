"""The statistics behind the light prior: `python benchmarks/natural_light.py DATASET ...`.

Reads the built-in lights and every environment that the datasets relight under (not the light of a clip itself), and
prints the power of log radiance by degree of the spherical harmonics along the colour axes, the fitted power law, and
its cross-validation: every map scored by the law that the others give, in nats per coefficient against the law of all
and against white noise of the same variance.
"""

import argparse
import math
from pathlib import Path

import torch
from diff_envshade import texel_directions, texel_solid_angles

from rgb_core.data import load_dataset
from rgb_core.scene import Light
from rgb_core.scene.builtin_lights import BUILTIN_LIGHTS
from rgb_core.scene.harmonics import degrees, harmonics
from rgb_core.training.light import COLOUR_AXES

HEIGHT, WIDTH, DEGREE = 32, 64, 7
FLOOR = 1e-3  # of the mean radiance, so that black texels have a logarithm


def coefficients(light: Light) -> torch.Tensor:
    """Harmonics [3, (DEGREE + 1)^2] of the log radiance along the colour axes."""
    radiance = light.resampled(HEIGHT, WIDTH).radiance
    logarithm = torch.log(radiance + FLOOR * radiance.mean()).flatten(1)
    basis = harmonics(texel_directions(HEIGHT, WIDTH), DEGREE)
    return (COLOUR_AXES @ logarithm * texel_solid_angles(HEIGHT, WIDTH)) @ basis


def power_law(maps: list[torch.Tensor]) -> tuple[torch.Tensor, torch.Tensor]:
    """Variance of degree 1 and exponent of the law, [3] each: least squares of log power over log degree."""
    degree = degrees(DEGREE)
    power = torch.stack([torch.stack([m[:, degree == at].square().mean(1) for m in maps]).mean(0) for at in _RANGE])
    x = torch.tensor([math.log(at) for at in _RANGE])
    design = torch.stack([torch.ones_like(x), x], 1)
    solved = torch.linalg.lstsq(design, power.log()).solution
    return solved[0].exp(), solved[1]


_RANGE = range(1, DEGREE + 1)


def nats(map_: torch.Tensor, variance: torch.Tensor) -> torch.Tensor:
    """Mean negative log likelihood [3] of the coefficients from degree 1 on under variances [3, N]."""
    values = map_[:, 1:]
    return 0.5 * (values.square() / variance + variance.log() + math.log(2 * math.pi)).mean(1)


def law_variance(law: tuple[torch.Tensor, torch.Tensor]) -> torch.Tensor:
    """Variance [3, N] of every coefficient from degree 1 on."""
    first, exponent = law
    return first[:, None] * degrees(DEGREE)[1:].float()[None] ** exponent[:, None]


def main() -> None:
    """Print the statistics."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("datasets", type=Path, nargs="+")
    files = {
        file.stem: file for folder in parser.parse_args().datasets for file in load_dataset(folder).envmaps.values()
    }
    maps = {name: coefficients(Light.load(file)) for name, file in files.items()}
    maps |= {f"{name} (built in)": coefficients(Light.load(name)) for name in BUILTIN_LIGHTS}
    degree = degrees(DEGREE)
    for name, values in maps.items():
        power = torch.stack([values[:, degree == at].square().mean(1) for at in _RANGE], 1)
        print(f"{name:22s} brightness " + " ".join(f"{value:8.3f}" for value in power[0].tolist()))
    law = power_law(list(maps.values()))
    mean = torch.stack([values[1:, 0] / math.sqrt(4 * math.pi) for values in maps.values()])
    print(
        "variance at degree 1", [f"{v:.3g}" for v in law[0].tolist()], "exponent", [f"{v:.2f}" for v in law[1].tolist()]
    )
    print("deviation of the mean colour", [f"{v:.3f}" for v in mean.square().mean(0).sqrt().tolist()])
    scores = []
    for left_out, values in maps.items():
        others = [other for name, other in maps.items() if name != left_out]
        white = torch.stack([other[:, 1:].square().mean(1) for other in others]).mean(0)[:, None]
        candidates = (law_variance(power_law(others)), law_variance(law), white.expand(3, values.shape[1] - 1))
        scores.append(torch.stack([nats(values, variance) for variance in candidates]))
    for title, row in zip(("law of the others", "law of all", "white noise"), torch.stack(scores).mean(0), strict=True):
        print(f"nats per coefficient, {title:18s}", [f"{value:.3f}" for value in row.tolist()])


if __name__ == "__main__":
    main()
