"""The splat .ply, read back by a parser that knows only the PLY format."""

import numpy as np
import pytest
import torch

from rgb_core.errors import InputError
from rgb_core.exporting import EXPORTERS
from rgb_core.images import srgb_to_linear


def _read(path):
    data = path.read_bytes()
    header, body = data.split(b"end_header\n", 1)
    lines = header.decode("ascii").splitlines()
    assert lines[:2] == ["ply", "format binary_little_endian 1.0"]
    count = int(next(line for line in lines if line.startswith("element vertex")).split()[-1])
    names = [line.split()[-1] for line in lines if line.startswith("property float")]
    table = np.frombuffer(body, "<f4").reshape(count, len(names))
    return {name: table[:, column] for column, name in enumerate(names)}


def _columns(table, *names):
    return torch.from_numpy(np.stack([table[name] for name in names], 1))


def test_values_survive_the_file(scene, tmp_path):
    EXPORTERS["ply"](scene, tmp_path / "a.ply")
    table = _read(tmp_path / "a.ply")
    cloud = scene.gaussians
    # A float32 round trip through log, logit and the sRGB power loses a few ulps.
    close = {"rtol": 1e-5, "atol": 1e-6}
    torch.testing.assert_close(_columns(table, "x", "y", "z"), cloud.means, rtol=0, atol=0)
    torch.testing.assert_close(_columns(table, "rot_0", "rot_1", "rot_2", "rot_3"), cloud.rotations, **close)
    torch.testing.assert_close(_columns(table, "scale_0", "scale_1", "scale_2").exp(), cloud.scales, **close)
    torch.testing.assert_close(torch.sigmoid(_columns(table, "opacity")), cloud.opacities, **close)
    encoded = 0.5 + 0.28209479177387814 * _columns(table, "f_dc_0", "f_dc_1", "f_dc_2")
    torch.testing.assert_close(srgb_to_linear(encoded), cloud.radiance, **close)
    assert not _columns(table, "nx", "ny", "nz").any()


def test_property_order_is_the_one_viewers_expect(scene, tmp_path):
    EXPORTERS["ply"](scene, tmp_path / "a.ply")
    assert " ".join(_read(tmp_path / "a.ply")) == (
        "x y z nx ny nz f_dc_0 f_dc_1 f_dc_2 opacity scale_0 scale_1 scale_2 rot_0 rot_1 rot_2 rot_3"
    )


def test_full_opacity_stays_finite(scene, tmp_path):
    scene.gaussians.opacities[:2] = torch.tensor([[0.0], [1.0]])
    EXPORTERS["ply"](scene, tmp_path / "a.ply")
    assert np.isfinite(_read(tmp_path / "a.ply")["opacity"]).all()


@pytest.mark.parametrize("kind", sorted(EXPORTERS))
def test_unwritable_target_is_named_and_nothing_is_left(scene, tmp_path, kind):
    target = tmp_path / "folder"
    target.mkdir()
    with pytest.raises(InputError, match="folder"):
        EXPORTERS[kind](scene, target)
    assert [path.name for path in tmp_path.rglob("*")] == ["folder"]
