"""How the parts of a head may move: free hair, stiff face, eyes and mouth that follow the skin around them."""

import numpy as np
import scipy.sparse as sparse
import torch
from scipy.spatial import cKDTree
from torch import Tensor

from ..devices import CPU
from ..heads import HeadModel
from ..heads.regions import OUTER_SKIN, RIGID, Region, in_regions
from .smoothing import SparseMap
from .topology import components

# How much an offset of each region costs relative to the face.
_OFFSET_COST = {Region.SKIN: 1.0, Region.SCALP: 0.3, Region.NECK: 0.2, Region.EAR: 0.3, Region.LIPS: 1.0}

_FOLLOWED = 32  # skin vertices that an inner vertex follows
_REACH = 0.006  # metres by which a followed vertex may be farther than the nearest before it loses influence


def is_surface(head: HeadModel) -> Tensor:
    """[V] bool: outer skin, as opposed to eyes, mouth interior and hidden parts."""
    return in_regions(head.region, OUTER_SKIN)


def is_rigid(head: HeadModel) -> Tensor:
    """[V] bool: parts that keep their shape whatever happens."""
    return in_regions(head.region, RIGID)


def offset_cost(head: HeadModel) -> Tensor:
    """[V] relative price of a neutral offset; 0 for inner vertices, which have none of their own."""
    table = torch.zeros(len(Region))
    for region, cost in _OFFSET_COST.items():
        table[region] = cost
    return table[head.region.long()]


def extension(head: HeadModel, device: torch.device = CPU) -> SparseMap:
    """The map on `device` from offsets [V,C] of the surface to offsets of all vertices.

    Surface vertices keep their own. Inner vertices take a distance-weighted mean of the skin nearest to them; an
    eyeball, a tooth or any other rigid part then takes the mean over itself, so it moves without changing shape.
    """
    count = head.vertex_count
    surface = is_surface(head).numpy()
    outer, inner = np.flatnonzero(surface), np.flatnonzero(~surface)
    if not len(inner) or not len(outer):
        return SparseMap(sparse.identity(count), device)
    points = head.vertices.double().numpy()
    followed = min(_FOLLOWED, len(outer))
    distance, nearest = cKDTree(points[outer]).query(points[inner], k=range(1, followed + 1))
    weight = np.exp(-(distance**2 - distance[:, :1] ** 2) / (2 * _REACH**2))
    weight /= weight.sum(1, keepdims=True)
    columns = np.concatenate([outer, outer[nearest].ravel()])
    rows = np.concatenate([outer, np.repeat(inner, followed)])
    values = np.concatenate([np.ones(len(outer)), weight.ravel()])
    follow = sparse.csr_matrix((values, (rows, columns)), (count, count))
    return SparseMap(_average(components(head.faces, is_rigid(head)).numpy(), count) @ follow, device)


def _average(component: np.ndarray, count: int) -> sparse.csr_matrix:
    """[V,V] mean over each component; identity for vertices outside all (-1)."""
    labels = np.where(component >= 0, component, np.arange(count) + component.max(initial=0) + 1)
    _, labels = np.unique(labels, return_inverse=True)
    member = sparse.csr_matrix((np.ones(count), (np.arange(count), labels)))
    size = np.asarray(member.sum(0)).ravel()
    return member @ sparse.diags(1 / size) @ member.T
