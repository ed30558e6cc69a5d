"""The page without a browser: it is whole, small, and its numbers are the avatar's."""

import re
import zlib
from dataclasses import replace
from typing import Any
from urllib.error import HTTPError
from urllib.request import urlopen

import numpy as np
import pytest
import torch

from rgb_core.benchmarking.scenes import bench_avatar
from rgb_core.errors import InputError
from rgb_core.exporting.web import page, serve
from rgb_core.exporting.web.blob import pack, quantise
from rgb_core.exporting.web.page import shared_exponent
from rgb_core.exporting.web.tables import avatar_tables
from rgb_core.exporting.web.transfer import transfer_tables
from rgb_core.heads import builtin_head


@pytest.fixture(scope="module")
def text() -> str:
    return page(replace(bench_avatar(500), name="</script><b>{{payload}}"))


@pytest.fixture(scope="module")
def transfer() -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    return transfer_tables(builtin_head())


def test_page_asks_for_nothing(text: str):
    assert not re.search(r"""(?:src|href)\s*=\s*["'](?!data:)""", text)
    assert "default-src 'none'" in text
    assert "http://" not in text
    assert "https://" not in text


def test_a_name_cannot_break_out_of_the_page(text: str):
    assert "</script><b>" not in text
    assert text.count("{{") == text.count("{{payload}}") > 0


def test_quantised_numbers_are_within_half_a_step():
    values = np.random.default_rng(0).normal(size=(500, 4)) * (1, 1e-3, 0, 50)
    integers, factors = quantise(values, np.int8)
    assert np.abs(integers * factors - values).max() <= factors.max() / 2 * 1.001
    assert (np.abs(integers).max(0) == (127, 127, 0, 127)).all()


def test_packed_arrays_lie_column_by_column_and_byte_by_byte():
    array = np.array([[0x0102, 0x0304], [0x0506, 0x0708], [0x090A, 0x0B0C]], np.uint16)
    data = zlib.decompress(pack({"a": array}), 31)
    size = int.from_bytes(data[:4], "little")
    assert data[4 + size :] == bytes([0x02, 0x06, 0x0A, 0x04, 0x08, 0x0C, 0x01, 0x05, 0x09, 0x03, 0x07, 0x0B])


def test_shared_exponents_keep_bright_and_dark_light():
    light = 10 ** np.random.default_rng(1).uniform(-4, 4, (8, 16, 3))
    packed = shared_exponent(light).astype(float)
    back = packed[:, :3] * 2.0 ** (packed[:, 3:] - 136)
    assert np.abs(back - light.reshape(-1, 3)).max(1).max() / light.max() < 1 / 256
    assert (np.abs(back - light.reshape(-1, 3)) <= light.reshape(-1, 3).max(1, keepdims=True) / 256).all()


def test_dropped_jaw_lets_light_to_the_teeth_and_shut_lids_keep_it_from_the_eyes(transfer):
    head, (_, arrays) = builtin_head(), transfer
    rest, moved = (arrays[f"{name}.hidden"][:, 0] / 255 for name in ("rest", "moved"))
    teeth, eyes = (head.region == 7).numpy(), (head.region == 4).numpy()
    assert rest[teeth].mean() > 0.95
    assert moved[teeth].mean() < rest[teeth].mean() - 0.03
    assert moved[eyes].mean() > rest[eyes].mean()


def test_expressions_open_the_mouth_as_far_as_they_let_light_in(transfer):
    head, (facts, _) = builtin_head(), transfer
    mouth = dict(zip(head.expression_names, facts["drivers"][0]["gains"], strict=True))
    assert mouth["jawOpen"] == pytest.approx(1, abs=0.05)
    assert mouth["browInnerUp"] == pytest.approx(0, abs=0.01)
    left = dict(zip(head.expression_names, facts["drivers"][1]["gains"], strict=True))
    assert left["eyeBlinkLeft"] == pytest.approx(1, abs=0.05)
    assert left["eyeBlinkRight"] == pytest.approx(0, abs=0.05)


def test_changes_that_cannot_be_seen_are_left_out():
    avatar = bench_avatar(500)
    whole = len(avatar.deltas)
    _, arrays = avatar_tables(avatar)
    faint = replace(avatar, expressions=replace(avatar.expressions, initial=1e-4 * avatar.expressions.initial))
    _, few = avatar_tables(faint)
    assert len(few["pair.weight"]) < 0.1 * len(arrays["pair.weight"]) <= 0.1 * whole


def test_heads_beyond_the_shaders_are_refused():
    avatar = bench_avatar(200)
    head = replace(avatar.head, expression_basis=torch.zeros(300, avatar.head.vertex_count, 3))
    with pytest.raises(InputError, match="at most 256"):
        avatar_tables(replace(avatar, head=head))


def test_server_answers_with_the_page_alone():
    with serve("<p>é</p>") as server:
        assert server.url.startswith("http://127.0.0.1:")
        assert urlopen(server.url).read().decode() == "<p>é</p>"
        with pytest.raises(HTTPError):
            urlopen(server.url + "other")
        port = int(server.url.rstrip("/").rsplit(":", 1)[1])
        with pytest.raises(InputError, match="another --port"), serve("", port=port):
            pass
