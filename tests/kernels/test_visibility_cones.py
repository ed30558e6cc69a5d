"""What the CUDA visibility kernel starts from: the table of the directions in a cone, and the first nodes."""

import numpy as np
import pytest
import torch
from kernel_runtime import texel_directions
from torchoptixext_visibility import cpu_bvh
from torchoptixext_visibility.cone_table import cone_table, widest_squared_sine
from torchoptixext_visibility.cuda import _first_nodes
from torchoptixext_visibility.grouping import grouped_texels
from visibility_meshes import head

SIZE = 16


@pytest.fixture(scope="module")
def light() -> tuple[np.ndarray, np.ndarray]:
    """Directions [n,3] in groups, zero for none, and the entries [widths, cells, cells, 2] of their only part."""
    order = grouped_texels(15, 31, SIZE)
    directions = texel_directions(15, 31)[order]
    directions[order < 0] = 0
    (table,) = cone_table(torch.from_numpy(directions), SIZE).numpy().view(np.uint32)
    return directions, table


def named(entry: np.ndarray) -> np.ndarray:
    """bool [32, SIZE]: the directions that an entry names; all of the third and later groups."""
    bits = np.zeros((32, SIZE), bool)
    groups = [g for g in range(32) if entry[0] >> g & 1]
    for rank, group in enumerate(groups):
        bits[group] = [rank > 1 or entry[1] >> (SIZE * rank + k) & 1 for k in range(SIZE)]
    return bits


def cell(axis: np.ndarray, cells: int) -> tuple[int, int]:
    """(row, column) of the octahedral map."""
    x, y, z = axis / np.abs(axis).sum()
    if z < 0:
        x, y = np.copysign(1 - abs(y), x), np.copysign(1 - abs(x), y)
    return min(int((y + 1) * cells / 2), cells - 1), min(int((x + 1) * cells / 2), cells - 1)


def test_entries_name_every_direction_of_a_cone_and_few_others(light):
    directions, table = light
    generator = np.random.default_rng(0)
    in_cone, in_entry = 0, 0
    for _ in range(3000):
        axis = generator.normal(size=3)
        if generator.random() < 0.1:
            axis[generator.integers(3)] = 0  # along the folds of the map
        axis /= np.linalg.norm(axis)
        width = generator.integers(1, len(table))
        half_angle = np.arcsin(widest_squared_sine(width) ** 0.5) * generator.random() ** 0.2
        inside = (directions.any(axis=1) & (directions @ axis >= np.cos(half_angle))).reshape(32, SIZE)
        entry = named(table[width][cell(axis, table.shape[1])])
        assert not (inside & ~entry).any()
        in_cone, in_entry = in_cone + inside.sum(), in_entry + entry.sum()
    assert in_entry < 3 * in_cone


def test_widths_count_down_as_floats_do():
    """The kernel takes a width's number from the bits of sin^2: the next smaller float has the next number."""
    numbers = []
    for width in range(28):
        bits = np.float32(widest_squared_sine(width)).view(np.int32) - 1
        numbers.append(127 * 2 - 1 - int(bits) // 2**22)
    assert numbers == list(range(28))


def test_the_narrowest_cones_mostly_hold_nothing(light):
    _, table = light
    assert (table[-1, :, :, 0] == 0).mean() > 0.7
    assert (table[0, :, :, 0] != 0).all()


@pytest.mark.parametrize("rings", [0, 3, 5, 40])
def test_the_first_nodes_hold_every_triangle_once(rings):
    vertices, faces = head(rings, 8) if rings else (torch.zeros(0, 3), torch.zeros(0, 3, dtype=torch.int32))
    links, _, _ = cpu_bvh.build(vertices.numpy(), faces.numpy())
    first = _first_nodes(links)
    assert first.dtype == np.int32
    assert len(first) <= 32
    assert rings < 40 or len(first) > 16
    held, pending = np.zeros(len(faces), int), first.tolist()
    while pending:
        node = pending.pop()
        start, count = links[node]
        held[start : start + count] += 1
        if count == 0:
            pending += [node + 1, start]
    assert (held == 1).all()
