"""The level of albedo and light follows from what is known of skin, whites of eyes and exposure; users override it."""

from types import SimpleNamespace

import pytest
import torch

from rgb_core.heads.regions import Region
from rgb_core.scene.harmonics import irradiance
from rgb_core.scene.labels import Label
from rgb_core.training.colours import View, coarse_light, lit_by
from rgb_core.training.level import Level, SkinPrior
from rgb_core.training.whites import white_over_skin

SKIN = 200
REGION = torch.full((SKIN,), Region.SKIN, dtype=torch.uint8)
EVEN = torch.full((3,), 0.5)
PEOPLE = {"pale": (0.80, 0.55, 0.43), "brown": (0.36, 0.165, 0.095), "dark": (0.10, 0.042, 0.025)}
ANYBODY = SkinPrior.of()


def face(skin: tuple[float, float, float], level: float = 1.0) -> torch.Tensor:
    """Albedos [P, 3] of an even face times `level`."""
    return level * torch.tensor(skin).expand(SKIN, 3)


def known(skin: tuple[float, float, float]) -> SkinPrior:
    """What eyes whose whites show this skin say of it."""
    return SkinPrior.of(by_whites=torch.tensor(skin))


@pytest.mark.parametrize("skin", PEOPLE.values(), ids=PEOPLE)
@pytest.mark.parametrize("wrong", [0.4, 2.5])
def test_every_skin_is_found_at_its_level(skin: tuple[float, float, float], wrong: float):
    """A start that is wrong by 2.5 either way comes within a third of the truth, light and skin alike."""
    likely = Level.of(REGION, known(skin)).most_likely(face(skin, wrong), EVEN / wrong)
    assert float((likely.log_factor.mean().exp() * wrong).log().abs()) < 0.29


@pytest.mark.parametrize("skin", PEOPLE.values(), ids=PEOPLE)
def test_the_most_likely_level_is_the_least_improbable(skin: tuple[float, float, float]):
    level, albedo, light = Level.of(REGION, known(skin)), face(skin, 0.5), EVEN.view(3, 1, 1).expand(3, 8, 16)
    best = level.most_likely(albedo, EVEN).log_factor

    def cost(shift: torch.Tensor) -> float:
        gaussians = SimpleNamespace(albedo=albedo * shift.exp())
        return float(level.improbability(gaussians, light / shift.exp().view(3, 1, 1)))

    for step in (*torch.eye(3), torch.ones(3)):
        assert cost(best) < cost(best + 0.1 * step)
        assert cost(best) < cost(best - 0.1 * step)


def test_what_is_known_narrows_the_level_to_a_factor():
    """Known to less than a factor 2; whites of eyes make it surer."""
    albedo = face(PEOPLE["brown"])
    with_eyes = Level.of(REGION, known(PEOPLE["brown"])).most_likely(albedo, EVEN).covariance
    without = Level.of(REGION, ANYBODY).most_likely(albedo, EVEN).covariance
    assert 2 * float(with_eyes.mean()) < float(without.mean()) < 0.7**2


def test_a_given_luminance_decides():
    likely = Level.of(REGION, SkinPrior.of(torch.tensor(PEOPLE["pale"]), 0.11)).most_likely(face(PEOPLE["pale"]), EVEN)
    found = face(PEOPLE["pale"]).mean(0) * likely.log_factor.exp()
    assert float(found.log().mean().exp()) == pytest.approx(0.11, rel=0.2)


def test_dark_skin_is_not_grey():
    """Pulled from far, skin keeps to the colours that skin has: the darker, the redder."""
    ratios = []
    for skin in PEOPLE.values():
        grey = torch.tensor(skin).mean().expand(3).tolist()
        likely = Level.of(REGION, ANYBODY).most_likely(face(tuple(grey)), EVEN)
        found = torch.tensor(grey) * likely.log_factor.exp()
        ratios.append(float(found[0] / found[2]))
    assert 1 < ratios[0] < ratios[1] < ratios[2]


@pytest.mark.parametrize("skin", PEOPLE.values(), ids=PEOPLE)
def test_whites_of_eyes_tell_the_skin_under_any_light(skin: tuple[float, float, float]):
    """A picture of an eye with iris, shadow of the lid and catchlight: the ratio of white to skin under a coloured
    light, the catchlight and the lashes' edge left out."""
    light, white = torch.tensor([1.3, 0.8, 0.4]), torch.tensor([0.62, 0.60, 0.58])
    labels = torch.full((40, 60), Label.SKIN, dtype=torch.uint8)
    labels[16:24, 20:40] = Label.LEFT_EYE
    labels[:10] = Label.LEFT_BROW
    colour = (torch.tensor(skin) * light).expand(40, 60, 3).clone()
    colour[:10] = 0.01
    colour[15:25, 19:41] = 0.3 * white * light  # lashes, and the white in the shadow of the lid
    colour[18:23, 20:27] = white * light
    colour[18:23, 28:34] = 0.02 * light
    colour[20, 29] = 5.0
    ratio = white_over_skin(colour, labels, Label.LEFT_EYE)
    assert ratio is not None
    assert torch.allclose(ratio, white / torch.tensor(skin), rtol=0.02)
    assert white_over_skin(colour, labels, Label.RIGHT_EYE) is None


def test_the_coarse_light_is_found_from_a_turning_ball():
    """A ball of uneven albedo seen in four turns under a sky: irradiance to 5 %, although albedo is unknown."""
    generator = torch.Generator().manual_seed(3)
    local = torch.nn.functional.normalize(torch.randn(400, 3, generator=generator), dim=1)
    sky = torch.linspace(1.5, 0.3, 16).view(1, 16, 1) * torch.tensor([0.8, 1.0, 1.3]).view(3, 1, 1)
    albedo = 0.4 + 0.1 * torch.rand(400, 3, generator=generator)
    colours, normals = [], []
    for turn in torch.linspace(-0.8, 0.8, 4):
        c, s = float(turn.cos()), float(turn.sin())
        turned = local @ torch.tensor([[1.0, 0, 0], [0, c, s], [0, -s, c]])
        normals.append(turned)
        colours.append(albedo * irradiance(sky.expand(3, 16, 32).contiguous(), turned))
    everywhere = torch.ones(4, 400, 1, dtype=torch.bool)
    found = coarse_light(View(torch.stack(colours), everywhere, everywhere, everywhere.float(), torch.stack(normals)))
    wanted = irradiance(sky.expand(3, 16, 32).contiguous(), local)
    ratio = lit_by(found, local) / wanted
    assert float((ratio / ratio.mean(0)).log().abs().mean()) < 0.05


def test_the_level_that_was_found_is_reported_with_its_deviation():
    found = Level.of(REGION, ANYBODY).found(face(PEOPLE["brown"]), EVEN)
    assert found["skin_albedo"] == pytest.approx(PEOPLE["brown"], rel=1e-3)
    assert 1.05 < found["known_within"] < 2
