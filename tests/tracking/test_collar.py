"""Skin and clothes are told apart by the colours that a clip shows of both."""

import torch
from torch import Tensor

from rgb_core.tracking.picture.collar import Band, learn_collar
from rgb_core.tracking.picture.colours import mixture

SKIN, SHIRT, JACKET = (0.75, 0.55, 0.45), (0.75, 0.8, 0.95), (0.08, 0.08, 0.14)
ROWS, COLUMNS = torch.meshgrid(torch.arange(120), torch.arange(100), indexing="ij")
FACE = (ROWS < 40) & ((COLUMNS - 50).abs() < 30)
NECK = (ROWS >= 40) & (ROWS < 90) & ((COLUMNS - 50).abs() < 25 - (ROWS - 40) * 0.5)  # a V between the collar's wings


def band(shade: float = 0.6, rim: bool = False) -> Band:
    """A face over a shaded neck in a shirt, under a jacket at the sides; `rim`: skin-coloured line along a shoulder."""
    colours = torch.tensor(SHIRT).expand(120, 100, 3).clone()
    colours[(COLUMNS - 50).abs() > 35] = torch.tensor(JACKET)
    colours[FACE] = torch.tensor(SKIN)
    light = (1 - (ROWS - 40).clamp(0, 20) / 20 * (1 - shade))[..., None]
    colours[NECK] = (torch.tensor(SKIN) * light)[NECK]
    if rim:
        colours[60:62, 60:] = torch.tensor(SKIN)
    colours += 0.02 * torch.randn(colours.shape, generator=torch.Generator().manual_seed(0))
    open_ = (ROWS >= 40) & (ROWS < 95)
    return Band(colours, FACE, ROWS >= 95, open_)


def bare(shown: Band) -> Tensor:
    learnt = learn_collar([shown])
    assert learnt is not None
    return learnt.bare(shown, torch.zeros(120, 100))


def overlap(one: Tensor, other: Tensor) -> float:
    return float((one & other).sum() / (one | other).sum())


def test_the_neck_ends_at_the_collar() -> None:
    assert overlap(bare(band()), NECK) > 0.93


def test_a_deep_shade_under_the_chin_is_no_cloth() -> None:
    """Half as bright as the face, which shows no such skin: the neck's own upper part teaches it."""
    assert overlap(bare(band(shade=0.5)), NECK) > 0.85


def test_a_thin_line_of_skin_colour_is_no_skin() -> None:
    found = bare(band(rim=True))
    assert not bool(found[60:62, 80:].any())
    assert overlap(found, NECK) > 0.9


def test_clothes_that_are_not_seen_teach_nothing() -> None:
    shown = band()
    assert learn_collar([shown._replace(deep=torch.zeros_like(shown.deep))]) is None


def test_a_mixture_prefers_its_own_colours() -> None:
    """A tie that covers a fiftieth is not lost among shirt and jacket."""
    noise = 0.02 * torch.randn(10000, 3, generator=torch.Generator().manual_seed(1))
    colours = torch.tensor(SHIRT).expand(10000, 3).clone()
    colours[5000:] = torch.tensor(JACKET)
    colours[:200] = torch.tensor([0.5, 0.05, 0.08])
    found = mixture(colours + noise, 4)
    assert found is not None
    tie, skin = found.log_density(torch.tensor([(0.5, 0.05, 0.08), SKIN]))
    assert float(tie - skin) > 10
