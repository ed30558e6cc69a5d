"""A face-parsing network that the user has: which of the 19 CelebAMask classes every pixel shows."""

from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import interpolate

from ...errors import InputError
from ...scene.labels import Label

_CLASSES = len(Label)
_USUAL_SIDE = 512  # pixels of the input, where the model takes any
_MEAN, _DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # ImageNet's, which such networks are trained with


class ParsingNetwork:
    """An ONNX model run on the CPU.

    Its input is [1, 3, H, W], RGB normalised by ImageNet's mean and deviation; the first output with 19 channels,
    [1, 19, h, w] in the order of `Label`, gives the classes.
    """

    def __init__(self, path: Path):
        """
        Raises:
            InputError: when onnxruntime is missing, or the file is no such model.
        """
        try:
            import onnxruntime
        except ImportError as error:
            raise InputError("--parsing needs onnxruntime: pip install rgb-avatar[parsing]") from error
        if not path.is_file():
            raise InputError(f"{path} does not exist; --parsing takes an ONNX file of a face-parsing network")
        try:
            self._session: Any = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
        except Exception as error:  # the runtime's own classes, which differ between its releases
            raise InputError(f"onnxruntime cannot load {path}: {_first_line(error)}") from error
        self._path = path
        self._input = self._session.get_inputs()[0]
        shape = self._input.shape
        if len(shape) != 4 or (shape[1] not in (3, None) and not isinstance(shape[1], str)):
            raise InputError(f"{path} takes {shape}; a face-parsing network takes [1, 3, height, width]")
        self._size = tuple(side if isinstance(side, int) else _USUAL_SIDE for side in shape[2:])

    def classes(self, picture: Tensor) -> Tensor:
        """int64 [H, W] of `Label` of an RGB picture uint8 [H, W, 3].

        Raises:
            InputError: when the model does not run, or no output has 19 channels.
        """
        planes = picture.permute(2, 0, 1)[None].float() / 255
        planes = (planes - torch.tensor(_MEAN)[:, None, None]) / torch.tensor(_DEVIATION)[:, None, None]
        scaled = interpolate(planes, self._size, mode="bilinear", align_corners=False, antialias=True)
        try:
            outputs = self._session.run(None, {self._input.name: scaled.numpy()})
        except Exception as error:
            raise InputError(f"{self._path} does not run: {_first_line(error)}") from error
        scores = next((output for output in outputs if output.ndim == 4 and output.shape[1] == _CLASSES), None)
        if scores is None:
            shapes = ", ".join(str(list(output.shape)) for output in outputs)
            raise InputError(f"{self._path} gives {shapes}; the {_CLASSES} CelebAMask classes are expected")
        shown = interpolate(torch.from_numpy(scores).float(), picture.shape[:2], mode="bilinear", align_corners=False)
        return shown[0].argmax(0)


def _first_line(error: Exception) -> str:
    return str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
