"""LPIPS (Zhang et al. 2018): distance between deep features of two pictures, from weights that the user supplies.

The file (.safetensors, or .pt with tensors only) holds one flat dictionary: the convolutions of torchvision's `vgg16`
or `alexnet` as `features.N.weight` and `features.N.bias`, and the five linear layers of LPIPS v0.1 as
`linK.model.1.weight` [1, C, 1, 1], K = 0 to 4. Which net it is follows from the first convolution.
"""

from pathlib import Path
from pickle import UnpicklingError
from typing import NamedTuple

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor
from torch.nn import functional

from ..errors import InputError

# Mean and standard deviation of ImageNet in the range -1 to 1, as LPIPS rounds them.
_SHIFT = (-0.030, -0.088, -0.188)
_SCALE = (0.458, 0.448, 0.450)
_NORM_FLOOR = 1e-10


class _Convolution(NamedTuple):
    position: int
    """In torchvision's `features`."""
    outputs: int
    """Channels."""
    kernel: int
    stride: int = 1
    pool: tuple[int, int] | None = None
    """Window and stride of the max-pooling before it."""
    tap: bool = False
    """Whether its activation is compared."""


_NETS = {
    "vgg": (
        _Convolution(0, 64, 3),
        _Convolution(2, 64, 3, tap=True),
        _Convolution(5, 128, 3, pool=(2, 2)),
        _Convolution(7, 128, 3, tap=True),
        _Convolution(10, 256, 3, pool=(2, 2)),
        _Convolution(12, 256, 3),
        _Convolution(14, 256, 3, tap=True),
        _Convolution(17, 512, 3, pool=(2, 2)),
        _Convolution(19, 512, 3),
        _Convolution(21, 512, 3, tap=True),
        _Convolution(24, 512, 3, pool=(2, 2)),
        _Convolution(26, 512, 3),
        _Convolution(28, 512, 3, tap=True),
    ),
    "alex": (
        _Convolution(0, 64, 11, stride=4, tap=True),
        _Convolution(3, 192, 5, pool=(3, 2), tap=True),
        _Convolution(6, 384, 3, pool=(3, 2), tap=True),
        _Convolution(8, 256, 3, tap=True),
        _Convolution(10, 256, 3, tap=True),
    ),
}
_ALEX_FIRST_PADDING = 2


class Lpips:
    """The perceptual distance of one net.

    Args:
        path: the weights file.

    Raises:
        InputError: when the file is missing, unreadable, or lacks a tensor of either net.
    """

    def __init__(self, path: Path):
        weights = _load(Path(path))
        first = weights.get("features.0.weight")
        self.net = "alex" if first is not None and first.shape[-1] == _NETS["alex"][0].kernel else "vgg"
        self._layers = _NETS[self.net]
        for name, shape in _expected_shapes(self._layers).items():
            if name not in weights or tuple(weights[name].shape) != shape:
                found = f"has shape {list(weights[name].shape)}" if name in weights else "is missing"
                raise InputError(f"{path}: {name} {found}, LPIPS of {self.net} needs {list(shape)}")
        self._weights = {name: weights[name].float() for name in _expected_shapes(self._layers)}

    @torch.no_grad()
    def __call__(self, a: Tensor, b: Tensor) -> float:
        """Distance of two pictures [H, W, 3], sRGB in 0 to 1; 0 for equal ones.

        Pictures must be at least 32 pixels on a side, so that every layer sees a pixel.
        """
        pairs = zip(self._features(a), self._features(b), strict=True)
        total = 0.0
        for tap, (ours, theirs) in enumerate(pairs):
            difference = (_unit(ours) - _unit(theirs)).square()
            total += float(functional.conv2d(difference, self._weights[f"lin{tap}.model.1.weight"]).mean())
        return total

    def _features(self, image: Tensor) -> list[Tensor]:
        """The compared activations [1, C, h, w] of a picture."""
        value = (2 * image.permute(2, 0, 1)[None] - 1 - _channels(_SHIFT)) / _channels(_SCALE)
        taps = []
        for layer in self._layers:
            if layer.pool is not None:
                value = functional.max_pool2d(value, *layer.pool)
            weight, bias = (self._weights[f"features.{layer.position}.{part}"] for part in ("weight", "bias"))
            padding = _ALEX_FIRST_PADDING if layer.stride > 1 else layer.kernel // 2
            value = functional.relu(functional.conv2d(value, weight, bias, layer.stride, padding))
            if layer.tap:
                taps.append(value)
        return taps


def _expected_shapes(layers: tuple[_Convolution, ...]) -> dict[str, tuple[int, ...]]:
    shapes: dict[str, tuple[int, ...]] = {}
    inputs, taps = 3, 0
    for layer in layers:
        shapes[f"features.{layer.position}.weight"] = (layer.outputs, inputs, layer.kernel, layer.kernel)
        shapes[f"features.{layer.position}.bias"] = (layer.outputs,)
        if layer.tap:
            shapes[f"lin{taps}.model.1.weight"] = (1, layer.outputs, 1, 1)
            taps += 1
        inputs = layer.outputs
    return shapes


def _load(path: Path) -> dict[str, Tensor]:
    if not path.is_file():
        raise InputError(f"cannot read LPIPS weights {path}: no such file")
    try:
        if path.suffix == ".safetensors":
            weights = load_file(path)
        else:
            weights = torch.load(path, map_location="cpu", weights_only=True)
    except (OSError, SafetensorError, UnpicklingError, RuntimeError, EOFError, ValueError) as error:
        reason = (str(error).strip().splitlines() or ["unknown format"])[0]
        raise InputError(f"{path} is not a readable file of tensors: {reason}") from error
    if not isinstance(weights, dict) or not all(isinstance(value, Tensor) for value in weights.values()):
        raise InputError(f"{path} must hold one flat dictionary of tensors; see docs/evaluation.md")
    return weights


def _unit(features: Tensor) -> Tensor:
    """Features of unit length over channels."""
    return features / (features.square().sum(1, keepdim=True).sqrt() + _NORM_FLOOR)


def _channels(values: tuple[float, float, float]) -> Tensor:
    return torch.tensor(values).view(1, 3, 1, 1)
