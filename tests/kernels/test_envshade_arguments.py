"""Arguments that shading refuses, by name."""

from dataclasses import replace

import pytest
import torch
from diff_envshade import shade
from kernel_runtime import ArgumentError, UnsupportedDevice
from test_envshade import random_envmap, random_points, random_visibility


def shade_arguments() -> dict:
    normal, view, roughness = random_points(6)
    ones = torch.ones(6, 3)
    return {
        "normal": normal, "view_dir": view, "albedo": ones, "specular_albedo": ones, "roughness": roughness,
        "envmap": random_envmap(16, 32), "visibility": random_visibility(6, 512), "light_to_world": torch.eye(3),
    }  # fmt: skip


@pytest.mark.parametrize(
    "name", ["normal", "view_dir", "albedo", "specular_albedo", "roughness", "envmap", "light_to_world"]
)
def test_wrong_dtypes_and_shapes_are_refused_by_name(name):
    arguments = shade_arguments()
    with pytest.raises(ArgumentError, match=f"{name}: expected torch.float32, got torch.float64"):
        shade(**{**arguments, name: arguments[name].double()})
    with pytest.raises(ArgumentError, match=f"{name}: expected shape"):
        shade(**{**arguments, name: arguments[name][:-1, :2]})


@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        ("words", lambda words: words[:, :15], "15 words are too few for a map of 512 texels"),
        ("words", lambda words: words.long(), "expected torch.int32"),
        ("words", lambda words: words[:1], r"visibility.faces: indices must lie in \[0, 1\)"),
        ("faces", lambda faces: faces - 100, r"visibility.faces: indices must lie in \[0, 50\)"),
        ("face_id", lambda face_id: face_id * 0 - 1, r"visibility.face_id: indices must lie in \[0, 80\)"),
        ("face_id", lambda face_id: face_id[1:], "visibility.face_id: expected shape"),
        ("barycentric", lambda barycentric: barycentric.double(), "visibility.barycentric: expected torch.float32"),
    ],
)
def test_visibility_that_does_not_fit_is_refused(name, change, message):
    arguments = shade_arguments()
    visibility = arguments["visibility"]
    arguments["visibility"] = replace(visibility, **{name: change(getattr(visibility, name))})
    with pytest.raises(ArgumentError, match=message):
        shade(**arguments)


def test_other_devices_are_refused():
    arguments = {name: value.to("meta") for name, value in shade_arguments().items() if name != "visibility"}
    with pytest.raises(UnsupportedDevice, match="no meta kernel"):
        shade(**arguments)
