"""Everything measured on the test frames, gathered frame by frame while they are rendered."""

import time
from dataclasses import dataclass, field
from statistics import median

import torch
from torch import Tensor

from ..data import Dataset, Frame
from ..heads import Pose
from ..images.compositing import prediction_on_black, truth_on_black
from ..rendering import RenderedFrame
from .alignment import AlignedSet
from .lpips import Lpips
from .metrics import ImageScores, mean_scores, quantize, score_image
from .normals import NormalAngles
from .parts import PartErrors
from .pictures import angle_picture, error_picture, normal_picture
from .protocol import Scored
from .surfaces import MeshDistances, Surface
from .truth import Truth

_WARM_UP_FRAMES = 2  # compile kernels and fill caches; not timed where more frames follow


@dataclass
class PictureScores:
    """Scores of all frames in one way of showing them."""

    images: dict[str, ImageScores] = field(default_factory=dict)
    """By frame id."""
    perceptual: list[float] = field(default_factory=list)

    def add(self, frame_id: str, prediction: Tensor, truth: Tensor, matte: Tensor, lpips: Lpips | None) -> None:
        """Score a frame's pictures [H, W, 3] in 8-bit steps; see `metrics.score_image`."""
        self.images[frame_id] = score_image(prediction, truth, matte)
        if lpips is not None:
            self.perceptual.append(lpips(prediction, truth))

    def record(self, lpips: Lpips | None) -> dict[str, object]:
        """The mean over frames by name, LPIPS with the name of its net."""
        distance = {lpips.net: sum(self.perceptual) / len(self.perceptual)} if lpips else None
        return {**mean_scores(list(self.images.values())), "lpips": distance}


@dataclass
class Measurements:
    """What the test frames showed; `shown` and `normals_shown` keep pictures of the frames in `show`."""

    show: frozenset[str]
    on_black: PictureScores = field(default_factory=PictureScores)
    on_white: PictureScores = field(default_factory=PictureScores)
    refined: PictureScores = field(default_factory=PictureScores)
    """On black, after the poses were refined on the same pictures."""
    parts: PartErrors = field(default_factory=PartErrors)
    seconds: list[float] = field(default_factory=list)
    relit: dict[str, AlignedSet] = field(default_factory=dict)
    relit_ids: dict[str, list[str]] = field(default_factory=dict)
    albedo: AlignedSet = field(default_factory=AlignedSet)
    albedo_ids: list[str] = field(default_factory=list)
    normals: NormalAngles = field(default_factory=NormalAngles)
    mesh: MeshDistances = field(default_factory=MeshDistances)
    shown: dict[str, list[Tensor]] = field(default_factory=dict)
    """Truth, prediction and error by frame id, uint8 [H, W, 3]."""
    normals_shown: dict[str, list[Tensor]] = field(default_factory=dict)
    """True normal, predicted normal and angle by frame id, uint8 [H, W, 3]."""

    def milliseconds(self) -> float:
        """Median time of a frame under the avatar's own light."""
        return 1000 * median(self.seconds[_WARM_UP_FRAMES:] or self.seconds)


class FrameMeasurer:
    """Renders test frames and adds what they show to `measurements`.

    Args:
        size: (width, height) of the pictures, None for the dataset's own.
    """

    def __init__(
        self, dataset: Dataset, renderer: Scored, truth: Truth, size: tuple[int, int] | None, lpips: Lpips | None
    ):
        self._dataset = dataset
        self._renderer = renderer
        self._truth = truth
        self._size = size
        self._lpips = lpips

    def reenact(self, frame: Frame, into: Measurements) -> float:
        """Score a frame under the avatar's own light, with its albedo, normals and mesh where their truth is known.

        Returns:
            The frame's PSNR, dB.
        """
        drawn = self._timed_render(frame, into)
        rgba = self._dataset.load_rgba(frame, self._size)
        prediction, truth = self._pictures(drawn, rgba)
        into.on_black.add(frame.id, prediction, truth, rgba[..., 3], self._lpips)
        into.on_white.add(frame.id, *self._pictures(drawn, rgba, white=True), rgba[..., 3], self._lpips)
        into.parts.add(prediction, truth, self._dataset.semantic(frame, self._size))
        if frame.id in into.show:
            error = error_picture(prediction, truth)
            into.shown[frame.id] = [_bytes(truth), _bytes(prediction), error]
        self._score_truth(frame, drawn, into)
        return into.on_black.images[frame.id].psnr

    def reenact_refined(self, frame: Frame, pose: Pose, into: Measurements) -> None:
        """Score a frame in another pose, which its own picture had a say in."""
        drawn = self._renderer.render(pose, self._dataset.camera(frame, self._size))
        rgba = self._dataset.load_rgba(frame, self._size)
        into.refined.add(frame.id, *self._pictures(drawn, rgba), rgba[..., 3], self._lpips)

    @staticmethod
    def _pictures(drawn: RenderedFrame, rgba: Tensor, white: bool = False) -> tuple[Tensor, Tensor]:
        """Prediction and truth [H, W, 3] sRGB in 8-bit steps, on black or on white."""
        alpha = drawn.alpha.cpu()
        prediction, truth = prediction_on_black(drawn.color.cpu(), alpha), truth_on_black(rgba)
        if white:
            prediction, truth = prediction + (1 - alpha[..., None]), truth + (1 - rgba[..., 3:].float() / 255)
        return quantize(prediction), quantize(truth)

    def relight(self, frame: Frame, name: str, into: Measurements) -> None:
        """Render a frame under the environment `name` and keep it with its truth."""
        camera = self._dataset.camera(frame, self._size)
        drawn = self._renderer.render(frame.pose, camera, self._truth.lights[name])
        truth = self._truth.files.relit(name, frame.id, self._size)
        shadow = self._truth.cast_shadow(frame, name, camera)
        labels = self._dataset.semantic(frame, self._size)
        into.relit.setdefault(name, AlignedSet()).add(drawn.color.cpu(), drawn.alpha.cpu(), truth, shadow, labels)
        into.relit_ids.setdefault(name, []).append(frame.id)

    def _timed_render(self, frame: Frame, into: Measurements) -> RenderedFrame:
        """The frame under the avatar's own light; timed without layers, drawn again with those whose truth is known."""
        camera, device = self._dataset.camera(frame, self._size), self._renderer.light.radiance.device
        _finish(device)
        start = time.perf_counter()
        drawn = self._renderer.render(frame.pose, camera)
        _finish(device)
        into.seconds.append(time.perf_counter() - start)
        if frame.id in self._truth.albedo | self._truth.normal:
            return self._renderer.render(frame.pose, camera, layers=("albedo", "normal"))
        return drawn

    def _score_truth(self, frame: Frame, drawn: RenderedFrame, into: Measurements) -> None:
        if frame.id in self._truth.albedo:
            truth = self._truth.files.albedo(frame.id, self._size)
            into.albedo.add(drawn.layers["albedo"].cpu(), drawn.alpha.cpu(), truth)
            into.albedo_ids.append(frame.id)
        if frame.id in self._truth.normal:
            truth = self._truth.files.normal(frame.id, self._size)
            angles = into.normals.add(drawn.layers["normal"].cpu(), truth, self._dataset.semantic(frame, self._size))
            if frame.id in into.show:
                pictures = [normal_picture(truth[..., :3], truth[..., 3])]
                pictures += [normal_picture(drawn.layers["normal"].cpu(), drawn.alpha.cpu()), angle_picture(angles)]
                into.normals_shown[frame.id] = pictures
        if frame.id in self._truth.mesh:
            fitted = Surface(*(part.cpu() for part in self._renderer.posed_mesh(frame.pose)))
            true = Surface(*self._truth.files.mesh(frame.id))
            matte = self._dataset.load_rgba(frame)[..., 3]
            labels = self._dataset.semantic(frame)
            into.mesh.add(fitted, self._renderer.region.cpu(), true, frame.camera, matte, labels)


def _finish(device: torch.device) -> None:
    """Wait for the device, so that a clock means something."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def _bytes(image: Tensor) -> Tensor:
    return (image * 255).round().to(torch.uint8)
