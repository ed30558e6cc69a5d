"""Adam against torch's own, and its memory when rows are rearranged."""

import torch

from rgb_core.training.optimiser import Optimiser


def descend(optimiser: Optimiser, leaf: torch.Tensor, steps: range, target: torch.Tensor) -> None:
    for step in steps:
        (leaf - target).square().sum().backward()
        optimiser.schedule(step)
        optimiser.step(frozenset())


def test_equals_torch_adam_with_a_decaying_rate():
    target = torch.tensor([[1.0, -2.0], [0.5, 3.0]])
    mine, theirs = torch.zeros(2, 2), torch.zeros(2, 2, requires_grad=True)
    optimiser = Optimiser({"x": mine}, {"x": 0.1}, final=0.1, steps=20)
    reference = torch.optim.Adam([theirs], lr=0.1, betas=(0.9, 0.99), eps=1e-15)
    descend(optimiser, mine, range(20), target)
    for step in range(20):
        reference.param_groups[0]["lr"] = 0.1 * 0.1 ** (step / 20)
        reference.zero_grad()
        (theirs - target).square().sum().backward()
        reference.step()
    torch.testing.assert_close(mine, theirs)


def test_rearranged_rows_keep_their_moments_and_new_rows_start_afresh():
    target = torch.tensor([[1.0], [-2.0], [4.0]])
    leaf = torch.zeros(3, 1)
    optimiser = Optimiser({"x": leaf}, {"x": 0.1}, final=1.0, steps=10)
    descend(optimiser, leaf, range(3), target)
    before = optimiser.state_tensors()["x.first_moment"].clone()
    source = torch.tensor([2, 0, -1])
    optimiser.replace("x", leaf.detach()[source.clamp_min(0)], source)
    after = optimiser.state_tensors()["x.first_moment"]
    torch.testing.assert_close(after, torch.cat([before[2:3], before[0:1], torch.zeros(1, 1)]))


def test_restored_state_continues_exactly():
    target = torch.randn(5, 3, generator=torch.Generator().manual_seed(0))
    whole, half = torch.zeros(5, 3), torch.zeros(5, 3)
    descend(Optimiser({"x": whole}, {"x": 0.1}, 0.5, 10), whole, range(10), target)
    first = Optimiser({"x": half}, {"x": 0.1}, 0.5, 10)
    descend(first, half, range(4), target)
    resumed = half.detach().clone()
    second = Optimiser({"x": resumed}, {"x": 0.1}, 0.5, 10)
    second.load_state_tensors(first.state_tensors())
    descend(second, resumed, range(4, 10), target)
    assert torch.equal(resumed, whole)


def test_frozen_parameters_stay():
    moving, still = torch.zeros(2), torch.zeros(2)
    optimiser = Optimiser({"moving": moving, "still": still}, {"moving": 0.1, "still": 0.1}, 1.0, 5)
    (moving + still - 1).square().sum().backward()
    optimiser.step(frozenset({"still"}))
    assert bool((moving != 0).all())
    assert bool((still == 0).all())
