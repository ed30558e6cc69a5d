"""Truth and prediction over black follow one convention, with gradients where nothing was drawn."""

import torch

from rgb_core.images import rgba_to_linear
from rgb_core.images.compositing import prediction_on_black, truth_on_black


def _bytes(seed=0):
    return torch.randint(0, 256, (16, 16, 4), generator=torch.Generator().manual_seed(seed)).to(torch.uint8)


def test_truth_is_colour_times_alpha():
    rgba = torch.tensor([[255, 128, 0, 255], [255, 128, 0, 51], [200, 200, 200, 0]], dtype=torch.uint8)
    expected = torch.tensor([[1, 128 / 255, 0], [0.2, 128 / 255 * 0.2, 0], [0, 0, 0]])
    torch.testing.assert_close(truth_on_black(rgba), expected)


def test_a_rendering_of_the_truth_equals_it():
    rgba = _bytes()
    linear = rgba_to_linear(rgba)
    # The sRGB curve and back in float32 costs an ulp or two of 1.
    drawn = prediction_on_black(linear[..., :3], linear[..., 3])
    torch.testing.assert_close(drawn, truth_on_black(rgba), rtol=0, atol=1e-6)


def test_gradients_are_finite_at_any_alpha():
    alpha = torch.tensor([0.0, 1e-12, 1e-5, 1e-3, 0.5, 1.0], requires_grad=True)
    color = (alpha.detach()[:, None] * torch.tensor([0.0, 0.3, 20.0])).requires_grad_()
    prediction_on_black(color, alpha).sum().backward()
    assert torch.isfinite(color.grad).all()
    assert torch.isfinite(alpha.grad).all()


def test_gradient_by_finite_differences():
    alpha = torch.tensor([0.05, 0.4, 0.9], dtype=torch.float64, requires_grad=True)
    color = torch.tensor([[0.01, 0.02, 0.03], [0.1, 0.3, 0.7], [0.5, 0.8, 2.0]], dtype=torch.float64)
    assert torch.autograd.gradcheck(prediction_on_black, (color.requires_grad_(), alpha))


def test_values_above_white_are_kept():
    assert prediction_on_black(torch.full((1, 3), 4.0), torch.ones(1)).min() > 1
