"""The .obj, read back by a minimal parser."""

from dataclasses import replace

import numpy as np
import pytest

from rgb_core.exporting import EXPORTERS


@pytest.mark.parametrize("textured", [True, False])
def test_obj_reads_back(scene, tmp_path, textured):
    mesh = scene.mesh if textured else replace(scene.mesh, uv=None, uv_faces=None)
    EXPORTERS["obj"](replace(scene, mesh=mesh), tmp_path / "a.obj")
    rows = {"v": [], "vn": [], "vt": [], "f": []}
    for line in (tmp_path / "a.obj").read_text().splitlines():
        key, *words = line.split()
        if key in rows:
            rows[key].append(words)
    vertices = np.array(rows["v"], float)
    np.testing.assert_allclose(vertices[:, :3], mesh.vertices.numpy(), atol=1e-6)  # six digits are written
    corners = np.array([[word.split("/") for word in face] for face in rows["f"]])
    np.testing.assert_array_equal(corners[..., 0].astype(int) - 1, mesh.faces.numpy())
    np.testing.assert_array_equal(corners[..., 2], corners[..., 0])
    np.testing.assert_allclose(np.array(rows["vn"], float), mesh.normals.numpy(), atol=1e-4)
    if textured:
        np.testing.assert_array_equal(corners[..., 1].astype(int) - 1, mesh.uv_faces.numpy())
        np.testing.assert_allclose(np.array(rows["vt"], float), mesh.uv.numpy(), atol=1e-6)
    else:
        assert not rows["vt"]
