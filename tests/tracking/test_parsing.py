"""A face-parsing network of the user's, as a tiny ONNX model that knows classes by brightness."""

from pathlib import Path

import onnx
import pytest
import torch

from rgb_core.errors import InputError
from rgb_core.scene.labels import Label
from rgb_core.tracking.picture.parsing import ParsingNetwork


def model(path: Path, classes: int = 19, side: int | str = 64) -> Path:
    """White is hair, black is cloth: a 1 x 1 convolution whose scores grow or fall with the brightness."""
    weights = torch.zeros(classes, 3, 1, 1)
    if classes > Label.HAIR:
        weights[Label.HAIR], weights[Label.CLOTH] = 1.0, -1.0
    helper, number = onnx.helper, onnx.TensorProto.FLOAT
    graph = helper.make_graph(
        [helper.make_node("Conv", ["picture", "weights"], ["scores"])],
        "parsing",
        [helper.make_tensor_value_info("picture", number, [1, 3, side, side])],
        [helper.make_tensor_value_info("scores", number, [1, classes, side, side])],
        [helper.make_tensor("weights", number, weights.shape, weights.flatten().tolist())],
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8), path)
    return path


@pytest.mark.parametrize("side", [64, "side"])
def test_classes_lie_where_the_picture_shows_them(tmp_path: Path, side: int | str) -> None:
    picture = torch.zeros(90, 120, 3, dtype=torch.uint8)
    picture[:, :60] = 255
    classes = ParsingNetwork(model(tmp_path / "parsing.onnx", side=side)).classes(picture)
    assert classes.shape == (90, 120)
    assert bool((classes[:, :55] == Label.HAIR).all())
    assert bool((classes[:, 65:] == Label.CLOTH).all())


def test_what_is_no_parsing_network_is_said(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="does not exist"):
        ParsingNetwork(tmp_path / "missing.onnx")
    (tmp_path / "text.onnx").write_text("no model")
    with pytest.raises(InputError, match="onnxruntime cannot load"):
        ParsingNetwork(tmp_path / "text.onnx")
    eleven = ParsingNetwork(model(tmp_path / "eleven.onnx", classes=11))
    with pytest.raises(InputError, match="19 CelebAMask classes are expected"):
        eleven.classes(torch.zeros(20, 20, 3, dtype=torch.uint8))
