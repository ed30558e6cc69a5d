"""The face detector's process as an object: pictures in, landmarks and mattes out."""

import subprocess
import tempfile
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Protocol, cast

import numpy as np
import torch
from torch import Tensor

from ...errors import InputError
from ...progress import Progress
from ..landmarks import COUNT
from . import detector_script
from .detector_environment import MEDIAPIPE, detector_python, remake_environment

_PATIENCE = 10.0  # seconds for a process whose pipes are closed to end


class FaceDetector(Protocol):
    """What tracking asks of a detector."""

    def find(self, image: Tensor) -> Tensor:
        """float32 [K, 4] places of faces in an RGB picture uint8 [H, W, 3], the likeliest first.

        A place is a square: x and y of its middle, its side, pixels, and the angle in radians that its lower edge is
        turned by clockwise.
        """

    def landmarks(self, image: Tensor, places: Tensor) -> Tensor:
        """float32 [K, 478, 3] of the faces at places [K, 4]: x and y in pixels, z backwards in pixels; NaN where a
        place shows no face."""

    def matte(self, image: Tensor) -> Tensor:
        """uint8 [H, W]: 255 where a picture [H, W, 3] surely shows a person, 0 where it does not."""


class DetectorProcess:
    """A running `detector_script.py`; a context manager that ends it."""

    def __init__(self, python: Path):
        """Start the process.

        Raises:
            InputError: when it does not start, with its own last words.
        """
        self._log = tempfile.TemporaryFile()  # noqa: SIM115, as long as the process: its libraries are talkative
        command = [str(python), "-I", str(Path(detector_script.__file__))]
        try:
            self._process = subprocess.Popen(  # noqa: S603, a program of this package
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._log
            )
        except OSError as error:
            raise InputError(f"the face detector does not start: {error}") from error
        self._requests = cast(BinaryIO, self._process.stdin)
        self._replies = cast(BinaryIO, self._process.stdout)
        word, _, version = self._replies.readline().decode().strip().partition(" ")
        if word != "ready" or version != MEDIAPIPE:
            words = f"mediapipe {version} where {MEDIAPIPE} is needed" if version else self._last_words()
            self.close()
            raise InputError(f"the face detector does not start: {words}; pip install mediapipe=={MEDIAPIPE}")

    def __enter__(self) -> "DetectorProcess":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """End the process."""
        self._process.kill()
        self._process.communicate()
        self._log.close()

    def find(self, image: Tensor) -> Tensor:
        """float32 [K, 4] places of faces in an RGB picture uint8 [H, W, 3]; see `FaceDetector`."""
        count = int(self._show("find", image))
        return torch.from_numpy(np.frombuffer(self._read(count * 4 * 4), np.float32).reshape(count, 4).copy())

    def landmarks(self, image: Tensor, places: Tensor) -> Tensor:
        """float32 [K, 478, 3] of the faces at places [K, 4]; see `FaceDetector`."""
        count = len(places)
        self._show("landmarks", image, f" {count}", places.float().contiguous().numpy().tobytes())
        values = self._read(count * COUNT * 3 * 4)
        return torch.from_numpy(np.frombuffer(values, np.float32).reshape(count, COUNT, 3).copy())

    def matte(self, image: Tensor) -> Tensor:
        """uint8 [H, W]: 255 where a picture [H, W, 3] surely shows a person, 0 where it does not."""
        self._show("matte", image)
        height, width, _ = image.shape
        return torch.from_numpy(np.frombuffer(self._read(height * width), np.uint8).reshape(height, width).copy())

    def _show(self, request: str, image: Tensor, more: str = "", values: bytes = b"") -> bytes:
        height, width, _ = image.shape
        line = f"{request} {width} {height}{more}\n".encode()
        return self._ask(line + image.contiguous().numpy().tobytes() + values)

    def _ask(self, request: bytes) -> bytes:
        """Send a request and return the first line of the reply."""
        try:
            self._requests.write(request)
            self._requests.flush()
            line = self._replies.readline()
        except BrokenPipeError:
            line = b""
        if not line:
            raise InputError(f"the face detector ended: {self._last_words()}; run the same command again to continue")
        return line

    def _read(self, count: int) -> bytes:
        values = self._replies.read(count)
        if len(values) < count:
            raise InputError(f"the face detector ended: {self._last_words()}; run the same command again to continue")
        return values

    def _last_words(self) -> str:
        """The last line that the process wrote on stderr."""
        self._process.wait(_PATIENCE)
        self._log.seek(0)
        lines = self._log.read().decode(errors="replace").strip().splitlines()
        return lines[-1].strip() if lines else f"it said nothing (exit code {self._process.returncode})"


def start_detector(progress: Progress) -> DetectorProcess:
    """A detector ready for pictures; a private environment that does not work is made anew once.

    Raises:
        InputError: when there is none and none can be made.
    """
    python = detector_python(progress)
    try:
        return DetectorProcess(python)
    except InputError:
        remade = remake_environment(progress)
        if remade is None:
            raise
        return DetectorProcess(remade)
