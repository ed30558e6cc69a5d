"""The face detector as a process of its own: mediapipe demands numpy 1 and an old protobuf, so it gets its own.

Run with the Python of an environment that has mediapipe 0.10.21; it imports mediapipe and numpy alone. Requests come on
stdin, replies leave on stdout:

    find WIDTH HEIGHT\\n, RGB bytes                  -> COUNT\\n and float32 [COUNT,4], the likeliest first
    landmarks WIDTH HEIGHT COUNT\\n, RGB bytes and
      float32 [COUNT,4]                            -> COUNT\\n and float32 [COUNT,478,3]: x, y in pixels, z likewise;
                                                      NaN where a place shows no face
    matte WIDTH HEIGHT\\n, RGB bytes                 -> 1\\n and uint8 [HEIGHT,WIDTH], 255 on a person

A place, float32 [4], is a square: x and y of its middle, its side in pixels, and the angle in radians by which its
lower edge is turned clockwise. Every request is answered by itself: nothing is remembered.

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

_MODULES = "mediapipe/modules"
_AROUND = 1.5  # side of a place by that of the box around a face: what the landmark model was trained on
_FACE_MESH = """
input_stream: "image" input_stream: "place" input_side_packet: "with_attention" output_stream: "points"
node {
  calculator: "FaceLandmarkCpu" input_stream: "IMAGE:image" input_stream: "ROI:place"
  input_side_packet: "WITH_ATTENTION:with_attention" output_stream: "LANDMARKS:points"
}
"""


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
    """mediapipe's full-range face detector, its face mesh with irises, and its selfie segmentation."""

    def __init__(self) -> None:
        graph = _load()
        from mediapipe.framework.formats.rect_pb2 import NormalizedRect

        self._rectangle = NormalizedRect
        self._faces = graph(
            binary_graph_path=f"{_MODULES}/face_detection/face_detection_full_range_cpu.binarypb",
            outputs=["detections"],
        )
        self._mesh = graph(graph_config=_FACE_MESH, side_inputs={"with_attention": True})
        self._matte = graph(
            binary_graph_path=f"{_MODULES}/selfie_segmentation/selfie_segmentation_cpu.binarypb",
            side_inputs={"model_selection": 0},
            outputs=["segmentation_mask"],
        )

    def find(self, image: np.ndarray) -> np.ndarray:
        """float32 [places, 4] of the faces in an RGB picture [H, W, 3], the likeliest first."""
        height, width, _ = image.shape
        found = self._faces.process(input_data={"image": image}).detections or []
        places = []
        for face in sorted(found, key=lambda face: -face.score[0]):
            box, eyes = face.location_data.relative_bounding_box, face.location_data.relative_keypoints
            middle = (box.xmin + box.width / 2) * width, (box.ymin + box.height / 2) * height
            side = _AROUND * max(box.width * width, box.height * height)
            angle = np.arctan2((eyes[1].y - eyes[0].y) * height, (eyes[1].x - eyes[0].x) * width)
            places.append((*middle, side, angle))
        return np.array(places, np.float32).reshape(-1, 4)

    def landmarks(self, image: np.ndarray, places: np.ndarray) -> np.ndarray:
        """float32 [places, 478, 3] in pixels of an RGB picture [H, W, 3]; NaN where a place shows no face."""
        height, width, _ = image.shape
        result = np.full((len(places), 478, 3), np.nan, np.float32)
        for row, (x, y, side, angle) in enumerate(places.tolist()):
            place = self._rectangle(
                x_center=x / width, y_center=y / height, width=side / width, height=side / height, rotation=angle
            )
            found = self._mesh.process(input_data={"image": image, "place": place}).points
            if found:
                result[row] = [(point.x * width, point.y * height, point.z * width) for point in found.landmark]
        return result

    def matte(self, image: np.ndarray) -> np.ndarray:
        """uint8 [H, W]: how surely each pixel shows a person."""
        mask = self._matte.process(input_data={"image": image}).segmentation_mask
        return np.round(255 * np.clip(mask, 0, 1)).astype(np.uint8)


def _serve(requests: BinaryIO, replies: BinaryIO) -> None:
    detector = Detector()
    replies.write(f"ready {importlib.metadata.version('mediapipe')}\n".encode())
    replies.flush()
    while line := requests.readline().split():
        width, height = int(line[1]), int(line[2])
        image = np.frombuffer(requests.read(3 * width * height), np.uint8).reshape(height, width, 3)
        if line[0] == b"find":
            answer = detector.find(image)
        elif line[0] == b"landmarks":
            count = int(line[3])
            answer = detector.landmarks(image, np.frombuffer(requests.read(16 * count), np.float32).reshape(count, 4))
        else:
            answer = detector.matte(image)[None]
        replies.write(f"{len(answer)}\n".encode() + answer.tobytes())
        replies.flush()


if __name__ == "__main__":
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # whatever a library prints must not mix with the replies
    _serve(sys.stdin.buffer, answers)
