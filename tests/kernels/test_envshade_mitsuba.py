"""Irradiance against Mitsuba 3: a white diffuse sphere under the same piecewise constant sky."""

import pytest
import torch
from diff_envshade import integrate

mitsuba = pytest.importorskip("mitsuba")

# Mitsuba interpolates between texels: copies of each texel leave interpolation on 1 / COPIES of the area.
COPIES = 16
SAMPLES = 512
PIXELS = 24


def mitsuba_sphere(envmap: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Radiance and normals [N, 3] of the pixels well inside a sphere of reflectance 1, seen from above and aside."""
    mitsuba.set_variant("scalar_rgb")
    # Mitsuba's first column looks at -z, a quarter turn before ours at +x; both turn from +x towards +z.
    fine = envmap.roll(envmap.shape[2] // 4, dims=2).repeat_interleave(COPIES, 1).repeat_interleave(COPIES, 2)
    transform = mitsuba.ScalarTransform4f
    scene = mitsuba.load_dict(
        {
            "type": "scene",
            "integrator": {"type": "aov", "aovs": "normal:sh_normal", "colour": {"type": "direct"}},
            "sensor": {
                "type": "orthographic",
                "to_world": transform().look_at(origin=[3, 2, 1], target=[0, 0, 0], up=[0, 1, 0]),
                "film": {"type": "hdrfilm", "width": PIXELS, "height": PIXELS, "rfilter": {"type": "box"}},
                "sampler": {"type": "independent", "sample_count": SAMPLES},
            },
            "sphere": {"type": "sphere", "bsdf": {"type": "diffuse", "reflectance": {"type": "rgb", "value": 1.0}}},
            "sky": {"type": "envmap", "bitmap": mitsuba.Bitmap(fine.permute(1, 2, 0).contiguous().numpy())},
        }
    )
    image = torch.tensor(mitsuba.render(scene, seed=0).numpy()).view(-1, 6)
    inside = image[:, 3:].norm(dim=-1) > 0.97
    return image[inside, :3], torch.nn.functional.normalize(image[inside, 3:], dim=-1)


def test_irradiance_matches_mitsuba():
    envmap = torch.rand(3, 16, 32, generator=torch.Generator().manual_seed(0)) ** 4
    envmap[:, 4, 3] += torch.tensor([30.0, 10, 3])  # a sun, so that a wrong axis cannot hide
    expected, normal = mitsuba_sphere(envmap)
    assert len(normal) > 200
    actual, _ = integrate(normal, normal, torch.ones(len(normal), 1), envmap, enable_specular=False)
    # Quadrature of 16 x 32 texels (0.5 %), Mitsuba's interpolation, its noise of 4 % per pixel over 50 pixels and more.
    assert actual.mean().item() == pytest.approx(expected.mean().item(), rel=0.02)
    octant = ((normal > 0).long() * torch.tensor([1, 2, 4])).sum(1)
    compared = [octant == index for index in range(8) if (octant == index).sum() >= 50]
    assert len(compared) >= 3
    for pixels in compared:
        torch.testing.assert_close(actual[pixels].mean(0), expected[pixels].mean(0), rtol=0.02, atol=0)
