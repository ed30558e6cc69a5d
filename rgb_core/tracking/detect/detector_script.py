"""The face detector as a process of its own: mediapipe demands numpy 1 and an old protobuf, so it gets its own.

Run with the Python of an environment that has mediapipe 0.10.21; it imports mediapipe and numpy alone. Requests come on
stdin, replies leave on stdout:

    reset\\n                                      -> ok\\n
    landmarks WIDTH HEIGHT\\n and RGB bytes        -> COUNT\\n and float32 [COUNT,478,3]: x, y in pixels, z likewise
    matte WIDTH HEIGHT\\n and RGB bytes            -> 1\\n and uint8 [HEIGHT,WIDTH], 255 on a person

After loading it says `ready VERSION`. It ends when stdin closes.
"""

import importlib
import importlib.metadata
import importlib.util
import os
import pkgutil
import sys
import types
from typing import Any, BinaryIO

import numpy as np

_FACES = 4  # at most so many are looked for in one picture
_MODULES = "mediapipe/modules"


def _load() -> Any:
    """mediapipe's graph runner, without the package's own __init__, which imports OpenCV, matplotlib and jax."""
    spec = importlib.util.find_spec("mediapipe")
    if spec is None:
        raise ModuleNotFoundError("mediapipe")
    package = types.ModuleType("mediapipe")
    package.__path__ = list(spec.submodule_search_locations or ())
    sys.modules["mediapipe"] = package
    from mediapipe import calculators
    from mediapipe.python.solution_base import SolutionBase

    for group in ("core", "image", "tensor", "tflite", "util"):  # a graph finds its options only if they are loaded
        for module in pkgutil.iter_modules([f"{calculators.__path__[0]}/{group}"]):
            if module.name.endswith("_pb2"):
                importlib.import_module(f"mediapipe.calculators.{group}.{module.name}")

    return SolutionBase


class Detector:
    """mediapipe's face mesh with irises, and its selfie segmentation."""

    def __init__(self) -> None:
        self._graph = _load()
        self.reset()
        self._matte = self._graph(
            binary_graph_path=f"{_MODULES}/selfie_segmentation/selfie_segmentation_cpu.binarypb",
            side_inputs={"model_selection": 0},
            outputs=["segmentation_mask"],
        )

    def reset(self) -> None:
        """Forget the faces of earlier frames."""
        self._mesh = self._graph(
            binary_graph_path=f"{_MODULES}/face_landmark/face_landmark_front_cpu.binarypb",
            side_inputs={"num_faces": _FACES, "with_attention": True, "use_prev_landmarks": True},
            calculator_params={
                "facedetectionshortrangecpu__facedetectionshortrange__facedetection__TensorsToDetectionsCalculator"
                ".min_score_thresh": 0.5,
                "facelandmarkcpu__ThresholdingCalculator.threshold": 0.5,
            },
            outputs=["multi_face_landmarks"],
        )

    def landmarks(self, image: np.ndarray) -> np.ndarray:
        """float32 [faces, 478, 3] in pixels of an RGB picture [H, W, 3]."""
        faces = self._mesh.process(input_data={"image": image}).multi_face_landmarks or []
        height, width, _ = image.shape
        points = [[(point.x, point.y, point.z) for point in face.landmark] for face in faces]
        return np.array(points, np.float32).reshape(-1, 478, 3) * np.array([width, height, width], np.float32)

    def matte(self, image: np.ndarray) -> np.ndarray:
        """uint8 [H, W]: how surely each pixel shows a person."""
        mask = self._matte.process(input_data={"image": image}).segmentation_mask
        return np.round(255 * np.clip(mask, 0, 1)).astype(np.uint8)


def _serve(requests: BinaryIO, replies: BinaryIO) -> None:
    detector = Detector()
    replies.write(f"ready {importlib.metadata.version('mediapipe')}\n".encode())
    replies.flush()
    while line := requests.readline().split():
        if line[0] == b"reset":
            detector.reset()
            replies.write(b"ok\n")
        else:
            width, height = int(line[1]), int(line[2])
            image = np.frombuffer(requests.read(3 * width * height), np.uint8).reshape(height, width, 3)
            answer = detector.landmarks(image) if line[0] == b"landmarks" else detector.matte(image)[None]
            replies.write(f"{len(answer)}\n".encode() + answer.tobytes())
        replies.flush()


if __name__ == "__main__":
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # whatever a library prints must not mix with the replies
    _serve(sys.stdin.buffer, answers)
