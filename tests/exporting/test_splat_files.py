"""Gaussians as .spz and KHR_gaussian_splatting, and the axis that points up."""

import gzip
import struct

import numpy as np
import pytest
import torch
from gltf_reader import Glb, khronos_issues

from rgb_core.exporting import EXPORTERS, UP_AXES
from rgb_core.images import linear_to_srgb
from rgb_core.rotations import quaternion_to_matrix

SH_C0 = 0.28209479177387814


def test_splat_glb_holds_the_cloud_in_the_extensions_units(scene, tmp_path):
    EXPORTERS["glb-splats"](scene, tmp_path / "a.glb")
    glb, cloud = Glb(tmp_path / "a.glb"), scene.gaussians
    primitive = glb.document["meshes"][0]["primitives"][0]
    assert primitive["mode"] == 0
    assert primitive["extensions"]["KHR_gaussian_splatting"] == {
        "kernel": "ellipse",
        "colorSpace": "srgb_rec709_display",
    }
    assert glb.document["extensionsUsed"] == ["KHR_gaussian_splatting"]

    def read(name: str) -> torch.Tensor:
        return torch.from_numpy(glb.array(primitive["attributes"][name]).copy())

    prefix = "KHR_gaussian_splatting:"
    torch.testing.assert_close(read("POSITION"), cloud.means, rtol=0, atol=0)
    torch.testing.assert_close(read(prefix + "ROTATION")[:, [3, 0, 1, 2]], cloud.rotations)
    torch.testing.assert_close(read(prefix + "SCALE"), cloud.scales, rtol=0, atol=0)
    torch.testing.assert_close(read(prefix + "OPACITY"), cloud.opacities, rtol=0, atol=0)
    colour = 0.5 + SH_C0 * read(prefix + "SH_DEGREE_0_COEF_0")
    torch.testing.assert_close(colour, linear_to_srgb(cloud.radiance), rtol=0, atol=1e-6)


def test_khronos_validator_objects_to_nothing_but_the_extensions_names(scene, tmp_path):
    """It takes every attribute that no underscore begins for one of its own list, those of extensions as well."""
    EXPORTERS["glb-splats"](scene, tmp_path / "a.glb")
    issues = khronos_issues(tmp_path / "a.glb")
    attributes = Glb(tmp_path / "a.glb").document["meshes"][0]["primitives"][0]["attributes"]
    own = {f"/meshes/0/primitives/0/attributes/{name}" for name in attributes if name.startswith("KHR_")}
    errors = [message for message in issues["messages"] if message["severity"] == 0]
    assert {message["code"] for message in errors} == {"MESH_PRIMITIVE_INVALID_ATTRIBUTE"}
    assert {message["pointer"] for message in errors} == own
    assert issues["numWarnings"] == 0


def test_spz_decodes_to_the_cloud(scene, tmp_path):
    EXPORTERS["spz"](scene, tmp_path / "a.spz")
    data, cloud = gzip.decompress((tmp_path / "a.spz").read_bytes()), scene.gaussians
    magic, version, count, degree, fraction, _, _ = struct.unpack_from("<4sIIBBBB", data)
    assert (magic, version, count, degree) == (b"NGSP", 2, len(cloud.means), 0)
    assert len(data) == 16 + 19 * count
    parts = np.split(np.frombuffer(data[16:], np.uint8), np.cumsum([9 * count, count, 3 * count, 3 * count]))
    place, opacity, colour, scale, turn = (part.reshape(count, -1).astype(np.int64) for part in parts)
    fixed = place[:, 0::3] | place[:, 1::3] << 8 | place[:, 2::3] << 16
    fixed = np.where(fixed >= 1 << 23, fixed - (1 << 24), fixed)
    np.testing.assert_allclose(fixed / 2**fraction, cloud.means.numpy(), atol=0.5001 / 2**fraction)
    np.testing.assert_allclose(opacity / 255, cloud.opacities.numpy(), atol=0.501 / 255)
    srgb = 0.5 + SH_C0 * (colour / 255 - 0.5) / 0.15
    np.testing.assert_allclose(srgb, linear_to_srgb(cloud.radiance).numpy(), atol=0.501 / 255 * SH_C0 / 0.15)
    np.testing.assert_allclose(scale / 16 - 10, cloud.scales.log().numpy(), atol=0.501 / 16)
    xyz = torch.from_numpy(turn / 127.5 - 1)
    w = (1 - xyz.square().sum(1, keepdim=True)).clamp_min(0).sqrt()
    likeness = (torch.cat([w, xyz], 1) * cloud.rotations).sum(1).abs()
    assert likeness.min() > 0.999


@pytest.mark.parametrize(("axis", "up"), [("y", [0, 1, 0]), ("-y", [0, -1, 0]), ("z", [0, 0, 1])])
def test_turned_scene_is_the_same_scene_with_another_up(scene, axis, up):
    turned = scene.turned(UP_AXES[axis])
    before, after = scene.gaussians, turned.gaussians
    rotation = torch.linalg.lstsq(before.means, after.means).solution.T
    torch.testing.assert_close(rotation @ torch.tensor([0.0, 1, 0]), torch.tensor(up).float(), rtol=0, atol=1e-5)
    torch.testing.assert_close(torch.linalg.det(rotation), torch.tensor(1.0))

    def covariance(cloud) -> torch.Tensor:
        root = quaternion_to_matrix(cloud.rotations) * cloud.scales[:, None]
        return root @ root.mT

    expected = rotation @ covariance(before) @ rotation.T
    torch.testing.assert_close(covariance(after), expected, rtol=1e-4, atol=1e-9)
    torch.testing.assert_close(turned.mesh.vertices, scene.mesh.vertices @ rotation.T, rtol=0, atol=1e-5)
