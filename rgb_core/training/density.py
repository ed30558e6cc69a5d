"""Density control: Gaussians multiply where the picture asks for detail and vanish where they are transparent."""

import math
from dataclasses import dataclass

import torch

from ..avatar import Avatar
from ..avatar.attachment import edge_neighbours, walk
from ..avatar.deformation import ExpressionField
from ..avatar.model import bind_expressions
from ..rotations import quaternion_rotate
from ..units import MILLIMETRE
from .config import DensityControl

_SPLIT_SHRINK, _SPLIT_SHIFT = 1.6, 0.75


@dataclass(frozen=True)
class Rearrangement:
    """An avatar after an event, and where its rows come from (-1: new, without optimiser history)."""

    avatar: Avatar
    gaussians: torch.Tensor
    """[P'] row before the event."""
    pairs: torch.Tensor
    """[N'] row before the event."""


@dataclass(frozen=True)
class DensityTiming:
    """When density control has its turn in a fit of so many `steps`."""

    settings: DensityControl
    steps: int

    def grows(self, step: int) -> bool:
        """Whether an event after `step` may add Gaussians; later ones only remove."""
        return (step + 1) / self.steps <= self.settings.stop

    def due(self, step: int) -> bool:
        """Whether there is an event after `step`."""
        interval = self.settings.interval if self.grows(step) else self.settings.late_interval
        begun = (step + 1) / self.steps >= self.settings.start
        return (step + 1) % interval == 0 and begun and step + 1 < self.steps


class DensityStatistics:
    """Mean screen-space gradient of every Gaussian since the last event."""

    def __init__(self, count: int, device: torch.device):
        self.total = torch.zeros(count, device=device)
        self.seen = torch.zeros(count, device=device)

    def add(self, screen_gradient: torch.Tensor, radii: torch.Tensor) -> None:
        """Account for one frame: gradient [P, 2] in NDC, radii [P] in pixels (0: not drawn)."""
        self.total += screen_gradient.norm(dim=1)
        self.seen += radii > 0

    def mean(self) -> torch.Tensor:
        """Mean gradient [P] over the frames that drew the Gaussian."""
        return self.total / self.seen.clamp_min(1)


@torch.no_grad()
def rearrange(
    avatar: Avatar,
    field: ExpressionField,
    statistics: DensityStatistics,
    settings: DensityControl,
    multiply: bool,
) -> Rearrangement:
    """One event: prune, then (with `multiply`) clone small and split large Gaussians, then walk and bind all anew."""
    opacity = torch.sigmoid(avatar.neutral["opacity"].detach())[:, 0]
    alive = opacity >= settings.min_opacity
    chosen = _choose(statistics.mean(), alive, settings) if multiply else torch.zeros_like(alive)
    longest = avatar.neutral["log_scale"].detach().amax(1).exp()
    split = chosen & (longest > MILLIMETRE * settings.split_mm)
    kept, cloned, halved = (alive & ~split).nonzero()[:, 0], (chosen & ~split).nonzero()[:, 0], split.nonzero()[:, 0]
    order = torch.cat([kept, cloned, halved, halved])
    grown = avatar.select(order)
    history = order.clone()
    history[len(kept) :] = -1
    # A clone and its original share the opacity; rows of `kept` are those of `alive & ~split` in order.
    doubled = torch.cat([chosen[kept], chosen[cloned]])
    opacity_of = grown.neutral["opacity"]
    opacity_of[: len(doubled)][doubled] = _thin_out(opacity_of[: len(doubled)][doubled])
    _halve(grown.neutral, len(order) - 2 * len(halved))
    return _rebind(avatar, grown, field, order, history)


def _choose(gradient: torch.Tensor, alive: torch.Tensor, settings: DensityControl) -> torch.Tensor:
    """[P] bool: the Gaussians of largest gradient above the threshold, as many as the cap allows."""
    wanted = alive & (gradient >= settings.gradient)
    room = max(settings.max_gaussians - int(alive.sum()), 0)
    if int(wanted.sum()) > room:
        ranked = torch.where(wanted, gradient, 0.0).argsort(descending=True, stable=True)
        wanted = torch.zeros_like(wanted)
        wanted[ranked[:room]] = True
    return wanted


def _thin_out(opacity: torch.Tensor) -> torch.Tensor:
    """Lower opacities, given and returned as logits [N, 1]: two Gaussians of the new opacity, one on top of the other,
    cover as much as one of the old."""
    return torch.logit(1 - torch.sqrt(1 - torch.sigmoid(opacity)), eps=1e-6)


def _halve(neutral: dict[str, torch.Tensor], first: int) -> None:
    """Turn the pairs of equal Gaussians in the two halves of the rows from `first` on into the two ends of one each.

    Every end is shorter along the longest axis and moved along it, so that the pair covers what the one did.
    """
    log_scale = neutral["log_scale"][first:]
    axis = torch.nn.functional.one_hot(log_scale.argmax(1), 3).to(log_scale)
    direction = torch.ones_like(log_scale[:, :1])
    direction[len(log_scale) // 2 :] = -1
    local = _SPLIT_SHIFT * direction * axis * log_scale.exp()
    neutral["position"][first:] += quaternion_rotate(
        torch.nn.functional.normalize(neutral["rotation"][first:], dim=1), local
    )
    neutral["log_scale"][first:] -= axis * math.log(_SPLIT_SHRINK)


def _rebind(
    before: Avatar, after: Avatar, field: ExpressionField, order: torch.Tensor, history: torch.Tensor
) -> Rearrangement:
    """Walk the attachments of `after` and carry the learned deltas over to the new (Gaussian, expression) pairs."""
    head = before.head
    attachment = walk(
        after.attachment, after.neutral["position"], head.vertices, head.faces, edge_neighbours(head.faces)
    )
    pairs = bind_expressions(head, field, attachment, after.neutral["position"], after.neutral["rotation"])
    expressions = len(head.expression_names)
    # A last key beyond all others, with no deltas, stands for "not there before".
    old_key = before.expressions.gaussian * expressions + before.expressions.expression
    old_key = torch.nn.functional.pad(old_key, (0, 1), value=2**62)
    old_deltas = torch.cat([before.deltas, before.deltas.new_zeros(1, before.deltas.shape[1])])
    new_key = order[pairs.gaussian] * expressions + pairs.expression
    row = torch.searchsorted(old_key, new_key)
    found = old_key[row] == new_key
    deltas = torch.where(found[:, None], old_deltas[row], 0.0)
    after.attachment, after.expressions, after.deltas = attachment, pairs, deltas
    source = torch.where(found & (history[pairs.gaussian] >= 0), row, -1)
    return Rearrangement(after, history, source)
