"""The last pass over a video: cropped pictures, mattes and labels into the dataset, with what each frame is like."""

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from ..data import DatasetWriter
from ..images import read_png
from ..progress import Progress
from ..scene.labels import Label
from .detect.detector import FaceDetector
from .detect.video_stream import Video
from .looks import FrameLook, frame_look
from .picture.labels import Parsed, Parser, Sight
from .picture.matte import foreground, refine, steady
from .picture.views import MeshView, Views
from .quality import face_overlap

_LEARNT_FROM = 8  # frames, spread over the clip, that colours are learnt from


class FrameWriter:
    """Writes the frames `numbers` (ascending) of a video as a tracked clip's pictures."""

    def __init__(self, video: Video, numbers: Sequence[int], views: Views, parser: Parser, detector: FaceDetector):
        self._video, self._numbers, self._views = video, numbers, views
        self._parser, self._detector = parser, detector

    def learn_colours(self, progress: Progress) -> None:
        """Look at a few frames of the whole clip."""
        count = min(_LEARNT_FROM, len(self._numbers))
        rows = torch.linspace(0, len(self._numbers) - 1, count).round().long().unique().tolist()
        progress.start("learning colours", len(rows))
        sights = []
        for row, picture in zip(rows, self._pictures([self._numbers[row] for row in rows]), strict=False):
            sights.append(_sight(picture, self._detector.matte(picture), self._views.view(row)))
            progress.advance()
        self._parser.learn(sights)

    def write(self, writer: DatasetWriter, test_from: int, progress: Progress) -> list[FrameLook]:
        """Add every frame, those from row `test_from` on to the test split; returns what each looks like."""
        looks = []
        progress.start("writing frames", len(self._numbers))
        samples = ((picture, self._detector.matte(picture)) for picture in self._pictures(self._numbers))
        for row, (picture, mask) in enumerate(steady(samples)):
            view = self._views.view(row)
            frame_id = frame_name(self._numbers[row])
            image = None
            if writer.has_frame(frame_id):
                matte = read_png(writer.folder / "images" / f"{frame_id}.png", 4)[..., 3]
                labels = read_png(writer.folder / "semantic" / f"{frame_id}.png", 1, dtype=torch.uint8)[..., 0]
            else:
                parsed = self._parser.parse(_sight(picture, mask, view))
                labels, matte, image = parsed.labels, parsed.matte, cut_out(picture, parsed)
            looks.append(frame_look(picture, labels, mask > 0, face_overlap(view, matte, labels)))
            clip = self._views.clip
            writer.add_frame(
                frame_id,
                "train" if row < test_from else "test",
                self._views.camera,
                clip.pose.rows(row),
                image,
                None if image is None else labels,
            )
            progress.advance(overlap=looks[-1].overlap)
        return looks

    def _pictures(self, numbers: Sequence[int]) -> Iterator[Tensor]:
        """The cropped pictures of some frames."""
        wanted = set(numbers)
        for number, frame in self._video.frames(min(wanted), max(wanted) + 1):
            if number in wanted:
                yield self._views.crop.picture(frame)


def frame_name(number: int) -> str:
    """The id of a frame: its number in the video."""
    return f"{number:05d}"


def cut_out(picture: Tensor, parsed: Parsed) -> Tensor:
    """uint8 [H, W, 4] the head on nothing.

    Cloth that is cut out keeps its colours under a matte of 0. A neck that fades out keeps its own too: nothing shines
    through it.
    """
    cut = (parsed.labels == Label.CLOTH) & (parsed.matte == 0)
    colours = torch.where(cut[..., None], picture, foreground(picture, parsed.whole))
    shown = (parsed.matte > 0) | cut
    return torch.cat([colours * shown[..., None], (255 * parsed.matte).round().byte()[..., None]], -1)


def _sight(picture: Tensor, mask: Tensor, view: MeshView) -> Sight:
    return Sight(picture, refine(picture, mask), view.fragments, view.below, view.height)
